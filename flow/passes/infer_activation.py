from .chain import CURVED, chain_input, chain_to_quantizer, is_uniform
from .forms import exact_form, many_thresholds, nearest_form
from .grid import grid_of
from .lines import BENT
from .response import Response
from .rewrite import APPROXIMATIONS, Rewrite, Rewriter, read_notes, refuse, write_notes


class InferActivation(Rewrite):
    """Constants and bends on a fixed-point tensor, up to a quantizer, become PReLU, MultiThreshold or ValueTable.

    By evaluation on every value of the grid: the cheapest of them whose results are all right. Where none is, the two
    straight lines a channel that are nearest, if they differ by 1 at most.
    """

    def rewrite(self, model, start):
        chain = chain_to_quantizer(model, start)
        if chain is None or chain[-1].op_type != "Quant":
            return False
        tensor = chain_input(model, chain)
        grid, result = grid_of(model, tensor), grid_of(model, chain[-1].output[0])
        if grid is None or grid.bipolar or result is None or (len(chain) == 1 and grid == result):
            return False
        channels = model.get_tensor_shape(tensor)[1]

        def real(integers):
            return integers * grid.scale

        different = 1 if is_uniform(model, chain) else channels
        response = Response.of(model, chain, grid.low, grid.high, real, different, result.scale)
        if response is None:
            raise refuse(
                chain[-1], f"the values of {grid.bits} bits in {channels} channels are too many", "quantize it to fewer"
            )
        response = response.repeated(channels // different)
        form = exact_form(response, model, chain, real, grid.bits, result.bits)
        rewriter = Rewriter(model)
        stream = rewriter.to_stream(tensor, grid.scale)
        form = form or self._nearest(model, chain, response, real, grid, result)
        stream = rewriter.node(form.kind, stream, form.constants, bits=grid.bits, **form.attributes)
        rewriter.from_stream(stream, result.scale, chain[-1].output[0])
        rewriter.replace(chain)
        return True

    @staticmethod
    def _nearest(model, chain, response, real, grid, result):
        """Return lines whose results differ by 1 at most: halves that are rounded to even are on no straight line."""
        nearest = nearest_form(response, model, chain, real, result.bits)
        if nearest.largest > 1 and (many := many_thresholds(response, grid.bits, result.bits)) is not None:
            return many
        if nearest.largest > 1:
            blamed = next((node for node in chain if node.op_type in (*CURVED, *BENT)), chain[-1])
            raise refuse(
                blamed,
                f"two straight lines a channel differ by {nearest.largest} from it, and it has too many steps for "
                "thresholds",
                "quantize it to 3 bits or fewer",
            )
        notes = {**read_notes(model, APPROXIMATIONS), chain[-1].name: nearest.note()}
        write_notes(model, APPROXIMATIONS, notes)
        return nearest.form
