from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.transformation.base import Transformation

from flow.custom_op import op_of
from flow.graph import consumers, is_hardware

from .rewrite import Rewrite, Rewriter, refuse


class JoinStreams(Rewrite):
    """FromStream followed by ToStream of the same scale is a plain stream.

    A stream has an order and no shape: a map may be read as one pixel that has all its elements as channels. The only
    nodes allowed between them (a Flatten of one pixel) change no value.
    """

    def rewrite(self, model, to_stream):
        if to_stream.op_type != "ToStream":
            return False
        source, between = model.find_producer(to_stream.input[0]), []
        while source is not None and source.op_type == "Flatten":
            between.append(source)
            source = model.find_producer(source.input[0])
        if source is None or source.op_type != "FromStream":
            return False
        if _scale(source) != _scale(to_stream):
            raise refuse(to_stream, f"a stream of scale {_scale(source):g} is read at {_scale(to_stream):g}")
        shapes = [model.get_tensor_shape(source.input[0]), model.get_tensor_shape(to_stream.output[0])]
        if shapes[0] != shapes[1] and not _is_flat(to_stream):  # a Flatten has another order than a stream
            raise refuse(to_stream, f"a stream of shape {shapes[0]} is read as {shapes[1]}")
        for consumer in consumers(model, to_stream.output[0]):
            consumer.input[list(consumer.input).index(to_stream.output[0])] = source.input[0]
        model.graph.node.remove(to_stream)
        for node in (*between, source):
            if not consumers(model, node.output[0]) and node.output[0] != model.graph.output[0].name:
                model.graph.node.remove(node)
        return True


class InsertDuplicates(Transformation):
    """A stream that is read twice gets a Duplicate."""

    def apply(self, model):
        for node in list(model.graph.node):
            for tensor in node.output:
                reads = [(user, i) for user in model.graph.node for i, name in enumerate(user.input) if name == tensor]
                if not is_hardware(node) or len(reads) < 2:
                    continue
                rewriter = Rewriter(model)
                bits = model.get_tensor_datatype(tensor).bitwidth()
                rewriter.node("Duplicate", tensor, bits=bits)
                duplicate = rewriter.new[0]
                duplicate.name = f"Duplicate_{tensor}"
                # the second output, like the first, has one reader; a third one waits for the next round
                for read, (user, position) in enumerate(reads):
                    user.input[position] = duplicate.output[min(read, 1)]
                model.graph.node.insert(list(model.graph.node).index(node) + 1, duplicate)
                return model, True
        return model, False


class StreamBoundaries(Transformation):
    """The graph takes uint8 pixels [N, H, W, 3] and gives int32 logits [N, 1, 1, classes]."""

    def apply(self, model):
        graph = model.graph
        first = next((n for n in graph.node if n.op_type == "ToStream" and n.input[0] == graph.input[0].name), None)
        last = model.find_producer(graph.output[0].name)
        if first is None or last is None or last.op_type != "FromStream":
            return model, False
        pixels, logits = first.output[0], last.input[0]
        if model.get_metadata_prop("logit_scale") is None:  # the last node is no layer
            model.set_metadata_prop("logit_scale", repr(_scale(last)))
        shapes = {name: model.get_tensor_shape(name) for name in (pixels, logits)}
        graph.node.remove(first)
        graph.node.remove(last)
        for info in [i for i in graph.value_info if i.name in shapes]:
            graph.value_info.remove(info)
        graph.input[0].CopyFrom(helper.make_tensor_value_info(pixels, TensorProto.FLOAT, shapes[pixels]))
        graph.output[0].CopyFrom(helper.make_tensor_value_info(logits, TensorProto.FLOAT, shapes[logits]))
        for tensor, node in ((pixels, consumers(model, pixels)[0]), (logits, model.find_producer(logits))):
            op = op_of(node)
            stream = op.inputs()[0] if tensor == pixels else op.outputs()[0]
            model.set_tensor_datatype(tensor, DataType[stream.datatype])
        return model, False


def _is_flat(to_stream) -> bool:
    return any(a.name == "flat" and a.i for a in to_stream.attribute)


def _scale(node) -> float:
    return next(a.f for a in node.attribute if a.name == "scale")
