from onnx import helper
from qonnx.transformation.base import Transformation


class SeparateRepeatedInputs(Transformation):
    """A tensor that a node reads twice, as in Concat(x, x), goes through an Identity the second time.

    qonnx's renaming changes the first mention of a tensor in a node only.
    """

    def apply(self, model):
        for node in list(model.graph.node):
            for position, name in enumerate(node.input):
                if name and name in list(node.input)[:position] and model.get_initializer(name) is None:
                    again = f"{name}_again_{position}_of_{node.output[0]}"
                    node.input[position] = again
                    index = list(model.graph.node).index(node)
                    model.graph.node.insert(index, helper.make_node("Identity", [name], [again]))
        return model, False


class RemoveIdentities(Transformation):
    """Readers of an Identity read its input."""

    def apply(self, model):
        results = {output.name for output in model.graph.output}
        for node in list(model.graph.node):
            if node.op_type == "Identity" and node.output[0] not in results:
                for reader in model.graph.node:
                    for position, name in enumerate(reader.input):
                        if name == node.output[0]:
                            reader.input[position] = node.input[0]
                model.graph.node.remove(node)
        return model, False
