"""flow/nodes/executor.py against node-by-node evaluation of small graphs, and what it must refuse."""

import re
import threading

import numpy as np
import pytest

from flow.graph import hardware_nodes
from flow.nodes import NodeError
from flow.nodes.executor import BATCH, Executor, Step
from flow.nodes.windows import Windows
from tests.graphs import bent_network, pooled_network, random_images, small_network, votes_network
from tests.nodes.harness import hardware_op, random_signs

NETWORKS = {
    "small": (small_network, 8),
    "pooled": (pooled_network, 8),
    "bent": (bent_network, 4),
    "votes": (votes_network, 8),
}


def steps_of(model):
    return [Step(node.op, node.inputs, node.outputs, node.constants) for node in hardware_nodes(model)]


def executor_of(model):
    return Executor(steps_of(model), model.graph.input[0].name, model.graph.output[0].name)


def evaluated(model, images):
    """Every stream by ``evaluate``, one node after the other."""
    streams = {model.graph.input[0].name: images}
    for node in hardware_nodes(model):
        results = node.op.evaluate(*(streams[name] for name in node.inputs), *node.constants)
        streams.update(zip(node.outputs, results if isinstance(results, tuple) else (results,), strict=True))
    return streams


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """(model, images, every stream by evaluate)"""
    build, size = NETWORKS[request.param]
    model, images = build(), random_images(11, size)
    return model, images, evaluated(model, images)


@pytest.mark.parametrize("batch", [1, 3, BATCH, 100])
def test_equals_node_by_node_evaluation(network, batch):
    model, images, streams = network
    outputs = executor_of(model).execute(images, batch=batch)
    assert outputs.dtype == np.int32
    np.testing.assert_array_equal(outputs, streams[model.graph.output[0].name].reshape(len(images), -1))


@pytest.mark.parametrize("batch", [2, 100])
def test_every_stream_is_recorded(network, batch):
    """Those between a window and its engine, too, which are not laid out otherwise."""
    model, images, streams = network
    recorded = {}
    executor_of(model).execute(images, recorded, batch=batch)
    assert recorded.keys() == streams.keys()
    for name, values in streams.items():
        assert recorded[name].shape == values.shape
        np.testing.assert_array_equal(recorded[name], values, name)


def test_recorded_streams_are_within_their_ranges(network):
    model, images, _ = network
    recorded = {}
    executor_of(model).execute(images, recorded)
    for node in hardware_nodes(model):
        for name, stream in {**node.input_streams(), **node.output_streams()}.items():
            low, high = stream.range
            assert low <= recorded[name].min() and recorded[name].max() <= high
            assert recorded[name].shape[1:] == (stream.height, stream.width, stream.channels)


def test_batches_run_on_several_threads():
    """Two batches meet in a step; were one after the other, each would wait for ever."""
    together = threading.Barrier(2, timeout=30)
    step = Step(hardware_op("Fifo", depth=2), ["in"], ["out"], [])
    step.function = lambda x: together.wait() * 0 + x
    executor = Executor([step], "in", "out")
    executor_module = __import__("flow.nodes.executor", fromlist=["os"])
    images = np.arange(2).reshape(2, 1, 1, 1)
    if (executor_module.os.cpu_count() or 1) > 1:
        assert executor.execute(images, batch=1).ravel().tolist() == [0, 1]


def test_streams_go_when_their_last_reader_has_run():
    kept = []
    steps = [Step(hardware_op("Fifo", depth=2), [f"s{n}"], [f"s{n + 1}"], []) for n in range(4)]
    run = Step.run

    class Watched(Step):
        def run(self, streams):
            run(self, streams)
            kept.append(sorted(streams))

    for step in steps:
        step.__class__ = Watched
    Executor(steps, "s0", "s4").execute(np.zeros((1, 1, 1, 1), np.uint8))
    assert kept == [["s0", "s1"], ["s1", "s2"], ["s2", "s3"], ["s3", "s4"]]


def test_a_node_that_takes_no_windows_gets_a_map():
    """And one that does gets them as they are."""
    window = Step(hardware_op("SlidingWindow", height=3, width=3, kernel=3, padding=1, bits=1), ["in"], ["windows"], [])
    seen = {}
    plain = Step(hardware_op("SignThreshold", height=3, width=3, channels=9), ["windows"], ["out"], [np.zeros(9)])
    fork = Step(hardware_op("Duplicate", height=3, width=3, channels=9, bits=1), ["windows"], ["a", "b"], [])
    for name, step in (("plain", plain), ("fork", fork)):
        function = step.function
        step.function = lambda x, name=name, function=function: (seen.update({name: type(x)}), function(x))[1]
    Executor([window, plain, fork], "in", "out").execute(random_signs(1, 2, 3, 3, 1))
    assert seen == {"plain": np.ndarray, "fork": Windows}


@pytest.mark.parametrize(
    ("steps", "output", "message"),
    [
        ([("Fifo", ["x"], ["y"])], "y", "node takes 'x', which no node before gives"),
        (
            [("Fifo", ["b"], ["c"]), ("Fifo", ["image"], ["b"])],
            "c",
            "node takes 'b', which no node before gives",
        ),
        ([("Fifo", ["image"], ["b"])], "c", "no node gives the output 'c'"),
        (
            [("Fifo", ["image", "b"], ["c"])],
            "c",
            "node node of kind Fifo has other streams than ['image', 'b'], ['c']",
        ),
        (
            [("Duplicate", ["image"], ["b"])],
            "b",
            "node node of kind Duplicate has other streams than ['image'], ['b']",
        ),
    ],
)
def test_refuses(steps, output, message):
    attributes = {"Fifo": {"depth": 2}, "Duplicate": {}}
    with pytest.raises(NodeError, match=f"^{re.escape(message)}$"):
        made = [Step(hardware_op(kind, **attributes[kind]), taken, given, []) for kind, taken, given in steps]
        Executor(made, "image", output)
