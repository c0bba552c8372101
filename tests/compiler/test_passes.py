"""Each pass keeps every logit; the whole list ends in integers that equal PyTorch."""

import numpy as np
import pytest
from onnx import helper

from brevitas_models.data import load_samples
from flow.execute import execute_graph
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.passes import INTEGER_PASSES, REAL_PASSES, PassError, run_pass, to_integers
from flow.report.operations import operations
from flow.steps.export import torch_logits

from .networks import exported_graph, settled_network

IMAGES = load_samples().images[:24]


@pytest.mark.parametrize("strategy", ["qat", "none"])
def test_passes_keep_every_logit(strategy, tmp_path):
    network = settled_network(strategy=strategy)
    reference = torch_logits(network, IMAGES)
    assert len(np.unique(reference, axis=0)) == len(IMAGES)  # no constant network
    model = exported_graph(network, tmp_path)
    np.testing.assert_array_equal(execute_graph(model, IMAGES), reference)
    for rewrite in REAL_PASSES:
        model = run_pass(model, rewrite)
        np.testing.assert_array_equal(execute_graph(model, IMAGES), reference, err_msg=rewrite.__name__)
    for rewrite in INTEGER_PASSES:
        model = run_pass(model, rewrite)
    logits = Golden(model).execute(IMAGES)
    assert logits.dtype == np.int32
    np.testing.assert_array_equal(logits * float(model.get_metadata_prop("logit_scale")), reference)


def compiled(strategy, tmp_path, **config):
    model = exported_graph(settled_network(strategy=strategy, **config), tmp_path)
    return to_integers(model)


def test_operations_are_counted_from_the_graph(tmp_path):
    """At width w the popcount multiplications are 7,680 w (491,520 at w = 64), and votes leave none."""
    for width in (4, 8):
        kept = operations(compiled("none", tmp_path, width=width))
        voted = operations(compiled("qat", tmp_path, width=width))
        assert kept["popcount_mul"] == 7_680 * width
        assert voted["popcount_mul"] == 0
        assert kept["stem_rescale"] == voted["stem_rescale"] == 1024 * width
        assert kept["binary_mac"] == voted["binary_mac"] == 547_356_672 * width**2 // 64**2


def test_golden_fills_every_stream(tmp_path):
    model = compiled("qat", tmp_path)
    streams = {}
    Golden(model).execute(IMAGES[:3], streams, batch=2)
    for node in hardware_nodes(model):
        for name, stream in node.output_streams().items():
            assert streams[name].shape == (3, stream.height, stream.width, stream.channels)
            low, high = (-1, 1) if stream.bipolar else (-(1 << (stream.bits - 1)), (1 << (stream.bits - 1)) - 1)
            assert low <= streams[name].min() and streams[name].max() <= high


def test_a_float_node_is_named(tmp_path):
    model = exported_graph(settled_network(), tmp_path)
    last = model.graph.node[-1]
    tensor = last.input[0]
    model.graph.node.insert(len(model.graph.node) - 1, helper.make_node("Tanh", [tensor], ["squashed"], name="squash"))
    model.set_tensor_shape("squashed", model.get_tensor_shape(tensor))
    last.input[0] = "squashed"
    for rewrite in REAL_PASSES:
        model = run_pass(model, rewrite)
    with pytest.raises(PassError, match=r"squash \(Tanh, "):
        for rewrite in INTEGER_PASSES:
            model = run_pass(model, rewrite)


def test_all_that_has_no_hardware_is_listed_at_once(tmp_path):
    model = exported_graph(settled_network(), tmp_path)
    pads = [node for node in model.graph.node if node.op_type == "Pad" and "BipolarQuant" in node.input[0]]
    for node in (pads[0], pads[5]):
        name = model.make_new_valueinfo_name()
        model.set_initializer(name, np.float32(0.5).reshape(model.get_initializer(node.input[2]).shape))
        node.input[2] = name
    with pytest.raises(PassError) as error:
        model = to_integers(model)
    lines = [line for line in str(error.value).splitlines() if "padding with 0.5" in line]
    assert len(lines) == 2
    assert "Conv" in lines[0] and "1x8x32x32" in lines[0]
    assert "nodes behind these" in str(error.value)
