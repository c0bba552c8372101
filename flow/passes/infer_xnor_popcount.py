import numpy as np

from flow.graph import consumers
from flow.nodes.multi_threshold import MOST
from flow.nodes.multiply_shift import shifted
from flow.nodes.stream import saturate
from flow.nodes.window import taps_together

from .chain import chain_end, chains_to_quantizers, evaluate_chain, has_constants_of_channels, rising_steps
from .forms import Form, exact_form, form_nodes, many_thresholds
from .grid import grid_of
from .integer import AFFINE, affine_constants, dyadic_multiply_shift, fit_multiply_shift
from .response import Response
from .rewrite import PassError, Rewrite, Rewriter, refuse
from .window import convolution_of


class InferXnorPopcount(Rewrite):
    """A convolution of bipolar activations and weights, up to its quantizer, becomes XnorPopcount.

    By evaluation of the nodes after it on every sum s that can occur:

    - into BipolarQuant: the least sum that votes +1, per channel. One sum for all channels is a majority vote
      (BatchNorm with positive scales and no bias keeps it at 0), else a Threshold. A channel whose vote falls with
      s (a negative BatchNorm scale) gets the opposite weights, and then rises.
    - into Quant: PopcountScale, an integer multiplier, offset and shift per channel that give the
      quantizer's result for every sum; else the sums, and behind them MultiThreshold, PReLU or ValueTable.
    - into the graph's output: the sums are the logits, up to a factor and an offset for all of them, which are noted in
      the metadata.

    A GroupVote is a majority vote whose groups vote first.
    """

    def rewrite(self, model, node):
        conv = convolution_of(model, node)
        if conv is None or conv.depthwise or not (conv.grid.bipolar and conv.weights.bipolar):
            return False
        Layer(model, node, conv).replace()
        return True


class Layer:
    """One binary convolution and the nodes after it."""

    def __init__(self, model, node, conv):
        self.model, self.node, self.conv = model, node, conv
        self.weights = conv.weights.rows(conv.voter.get("order", "tap"))
        self.features, self.n = self.weights.shape
        self.pad = self._pad()
        # every product is odd, so a sum of n has n's parity; taps padded with 0 leave fewer products
        masked = conv.padded and self.pad == 0
        self.sums = np.arange(-self.n, self.n + 1, 1 if masked else 2)

    def _pad(self) -> int:
        pad = self.conv.pad
        if self.conv.padded and pad not in (-1, 0, 1):
            raise refuse(
                self.node,
                f"padding with {self.conv.pad_value:g}: pad with 0 or with a value of the input, "
                f"+-{self.conv.grid.scale:g}",
            )
        return int(pad) if self.conv.padded else -1

    def replace(self):
        if self.conv.voter:
            self._emit([], 1.0, self.node.output[0], activation="majority_vote", **self.conv.voter)
            return
        following = consumers(self.model, self.node.output[0])
        to_output = self._output_chain()
        if to_output is not None:
            nodes, scale, offset, output = to_output
            self.model.set_metadata_prop("logit_scale", repr(scale))
            self.model.set_metadata_prop("logit_offset", repr(offset))
            self._emit(nodes, scale, output, activation="sum", out_bits=int(self.n).bit_length() + 1)
            return
        chains = list(chains_to_quantizers(self.model, following[0])) if len(following) == 1 else []
        if not chains:
            raise refuse(
                self.node,
                f"its sums do not run through constants into one quantizer: {chain_end(self.model, self.node)}",
                "put a quantizer behind it",
            )
        for chain in reversed(chains):
            try:
                self._activation(chain)
                return
            except PassError:
                if chain is chains[0]:
                    raise

    def _activation(self, chain):
        """Emit the layer with a chain to a quantizer.

        Raises:
            PassError: no form gives its result for every sum.
        """
        grid = grid_of(self.model, chain[-1].output[0])
        if grid is None:
            raise refuse(chain[-1], "has several scales", "use one scale")
        results = evaluate_chain(self.model, chain, self._real_sums(), self.features)
        if grid.bipolar:
            try:
                attributes, constants = self._votes(chain[-1], results > 0)
            except PassError:  # bits that turn
                self._form(chain, grid)
                return
            self._emit(chain, grid.scale, chain[-1].output[0], constants, **attributes)
            return
        integers = np.rint(results / grid.scale).astype(np.int64)
        try:
            *constants, shift = fit_multiply_shift(self.sums, integers, grid.bits, chain[-1])
            attributes = {"shift": shift}
        except PassError:
            found = self._to_even(chain, grid, integers)
            if found is None:
                self._form(chain, grid)
                return
            *constants, shift = found
            attributes = {"shift": shift, "even": 1}
        attributes |= {"activation": "popcount_scale", "out_bits": grid.bits}
        self._emit(chain, grid.scale, chain[-1].output[0], constants, **attributes)

    def _to_even(self, chain, grid, integers):
        """Return multiplier, offset and shift that give the chain's results where halves go to the even neighbour, or
        None."""
        if any(node.op_type not in AFFINE for node in chain[:-1]):
            return None
        gain, offset = affine_constants(self.model, chain[:-1], self.features)
        offset = offset + (0.0 if self.conv.bias is None else gain * self.conv.bias)
        found = dyadic_multiply_shift(gain * self.conv.step / grid.scale, offset / grid.scale, rounds=True)
        if found is None or not found[-1]:
            return None
        multiplier, offset, shift, even = found
        results = shifted(self.sums[:, None] * multiplier + offset, shift, even)
        return (multiplier, offset, shift) if (saturate(results, grid.bits) == integers).all() else None

    def _form(self, chain, grid):
        """Emit the sums, and behind them the node that gives the chain's results."""
        bits, stride = int(self.n).bit_length() + 1, int(self.sums[1] - self.sums[0])

        def real(sums):
            value = sums * self.conv.step
            return value if self.conv.bias is None else value + self.conv.bias

        channels = self.features
        response = Response.of(self.model, chain, -self.n, self.n, real, channels, grid.scale, stride)
        if response is not None and grid.bipolar:
            response = response.of_bits()
        form = exact_form(response, self.model, chain, real, bits, grid.bits) if response is not None else None
        if form is None and response is not None:
            form = many_thresholds(response, bits, grid.bits)
        if form is None:
            forms = f"multiplier and shift, two lines or {MOST} thresholds"
            raise refuse(chain[-1], f"no {forms} give its result on every sum")
        sign = [Form("SignThreshold", [np.zeros(channels, np.int64)], {})] if grid.bipolar else []
        self._emit(chain, grid.scale, chain[-1].output[0], forms=(form, *sign), activation="sum", out_bits=bits)

    def _real_sums(self) -> np.ndarray:
        """Return the real value [K, O] of each sum in each channel, with the convolution's bias."""
        real = self.sums[:, None] * self.conv.step
        return real if self.conv.bias is None else real + self.conv.bias

    def _output_chain(self):
        """Return (nodes, gain, offset, output) where at most constants for all channels and a Flatten are between it
        and the graph's output, else None."""
        nodes, tensor = [], self.node.output[0]
        while tensor != self.model.graph.output[0].name:
            following = consumers(self.model, tensor)
            if len(following) != 1 or following[0].op_type not in (*AFFINE, "Flatten", "Reshape"):
                return None
            shape = self.model.get_tensor_shape(tensor)
            if following[0].op_type in AFFINE:
                if not has_constants_of_channels(self.model, following[0]):
                    return None
            elif np.prod(shape[2:]) != 1:  # the order of several pixels
                return None
            nodes.append(following[0])
            tensor = following[0].output[0]
        gain, offset = affine_constants(self.model, [node for node in nodes if node.op_type in AFFINE], self.features)
        offset = offset + (0.0 if self.conv.bias is None else gain * self.conv.bias)
        gain = gain * self.conv.step
        if np.ptp(gain) or np.ptp(offset) or gain[0] <= 0:
            return None
        return nodes, float(gain[0]), float(offset[0]), tensor

    def _votes(self, node, votes):
        falling, before = rising_steps(votes, node)
        self.weights = np.where(falling[:, None], -self.weights, self.weights)
        thresholds = np.append(self.sums, self.n + 1)[before]
        if (thresholds == thresholds[0]).all() and -self.n < thresholds[0] <= self.n:  # not one vote for all sums
            return {"activation": "majority_vote", "threshold": int(thresholds[0])}, []
        return {"activation": "threshold"}, [thresholds]

    def _emit(self, chain, scale, output, constants=(), forms=(), **attributes):
        rewriter = Rewriter(self.model)
        order = attributes.pop("order", "tap")
        together = taps_together(order, self.conv.window["kernel"])
        stream = rewriter.to_stream(self.conv.input, self.conv.grid.scale, self.conv.flat)
        stream = rewriter.node(
            "SlidingWindow", stream, bits=1, pad_value=self.pad, p=together, **self.conv.window_of(order)
        )
        masked = int(self.conv.padded and self.pad == 0)
        stream = rewriter.node(
            "XnorPopcount",
            stream,
            [self.weights, *constants],
            features=self.features,
            conv_groups=self.conv.groups,
            bits=1,
            masked=masked,
            simd=together,
            **attributes,
        )
        stream = form_nodes(rewriter, stream, forms, attributes.get("out_bits"))
        rewriter.from_stream(stream, scale, output)
        rewriter.replace([*self.conv.nodes, *chain])
