"""Changes of valid ONNX files, drawn from a seeded generator: of nodes, attributes, constants, shapes and bytes.

`mutated` applies 1 to 3 of them to the bytes of a file; the same seed gives the same bytes. What comes out may still be
a network, another one, or no file at all.
"""

from __future__ import annotations

import random

import onnx
from onnx import ModelProto

from . import mutate_graph as graph
from . import mutate_values as values

COUNTS = (1, 1, 2, 3)  # of mutations of a file
TRIES = 20  # to draw one that the file has a place for
OFTEN = (  # a network is often left
    *(graph.drop_node, graph.duplicate_node, graph.retype_node, graph.swap_inputs, graph.change_attribute),
    *(values.scale_values, values.shuffle_values, values.change_quantizer, graph.change_output),
    *(values.reshape_constant,),
)
SELDOM = (
    *(graph.swap_order, graph.change_input, graph.change_domain, values.change_values, values.retype_constant),
    *(values.drop_constant, values.external_constant, graph.change_shape, graph.change_opset, graph.change_name),
)
OF_BYTES = (values.flip, values.truncate, values.insert)
SELDOM_SHARE, BYTES_SHARE = 0.25, 0.06  # the latter of the files


def mutated(content: bytes, generator: random.Random) -> tuple[bytes, list[str]]:
    """Return the bytes of a file after 1 to 3 mutations, and each of these in words."""
    model, said = onnx.load_model_from_string(content), []
    for _ in range(generator.choice(COUNTS)):
        for _ in range(TRIES):
            change = generator.choice(SELDOM if generator.random() < SELDOM_SHARE else OFTEN)
            copy = ModelProto()
            copy.CopyFrom(model)
            if (what := change(copy, generator)) is not None:
                model = copy
                said.append(f"{change.__name__}: {what}")
                break
    content = model.SerializeToString(deterministic=True)
    if generator.random() < BYTES_SHARE:
        damage = generator.choice(OF_BYTES)
        content, what = damage(content, generator)
        said.append(f"{damage.__name__}: {what}")
    return content, said
