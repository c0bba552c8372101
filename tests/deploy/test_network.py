"""deploy/network.py: every logit of the network file is the golden model's, with and without np.bitwise_count."""

import functools
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from brevitas_models.config import NetworkConfig
from brevitas_models.networks import BnnCifar10
from deploy.errors import DeployError, NetworkError
from deploy.network import DESCRIPTION, Network
from flow.compile import integer_graph
from flow.emit.network_file import write_network
from flow.emit.package import driver_sources
from flow.errors import FlowError
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.nodes import packed
from flow.nodes.packed import count_ones
from flow.plan.apply import apply_plan
from flow.plan.plan import NodePlan
from flow.plan.planner import plan_network
from flow.plan.target import load_target
from tests.compiler.small import Layer, SmallNetwork, random_images, settle
from tests.graphs import GraphBuilder, bent_network, pooled_network, small_network, votes_network

IMAGES = random_images(32, 16)
LAYERS = (Layer(), Layer(stride=2))
ACTIVATED = (Layer(activated=True), Layer(stride=2, activated=True), Layer(kernel=5, activated=True), Layer(kernel=1))
GRAPHS = {"small": small_network, "pooled": pooled_network, "bent": bent_network, "votes": votes_network}
TRAINED = {
    "qat": ({}, LAYERS),
    "none": ({"strategy": "none"}, LAYERS),
    "none-zero": ({"strategy": "none", "padding": "zero"}, LAYERS),
    "plus_one": ({"padding": "plus_one"}, LAYERS),
    "zero": ({"padding": "zero"}, LAYERS),
    "binary-shortcut": ({"shortcut": "binary"}, LAYERS),
    "duplicate": ({"shortcut": "duplicate"}, LAYERS),
    "maj3": ({"voter": "maj3"}, LAYERS),
    "nine-taps": ({"voter": "hierarchical(9)"}, LAYERS),
    "sixteen-ties": ({"voter": "hierarchical(16,-+)"}, LAYERS),
    "sampled": ({"voter": "sample(2)"}, LAYERS),
    "activated": ({}, ACTIVATED),
    "activated-none": ({"strategy": "none"}, ACTIVATED),
    "wide": ({"width": 64, "padding": "zero"}, LAYERS),  # windows of whole words
}


@functools.cache
def compiled(name):
    """The integer graph of a small network, the same for all tests."""
    changes, layers = TRAINED[name]
    return integer_graph(settle(SmallNetwork(NetworkConfig(**{"width": 8, **changes}), layers), IMAGES), size=16)


def saved(model, folder):
    write_network(model, folder / "network.npz")
    return folder / "network.npz"


def require_equal(model, images, folder):
    """Network = golden on every logit, however the ones are counted; returns the file."""
    path, golden = saved(model, folder), Golden(model).execute(images)
    logits = Network(path).execute(images, batch=3)
    assert logits.dtype == np.int32
    np.testing.assert_array_equal(logits, golden)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(np, "bitwise_count", raising=False)
        np.testing.assert_array_equal(Network(path).execute(images), golden)
    return path


@pytest.fixture(scope="module")
def model():
    return small_network()


@pytest.fixture
def path(model, tmp_path):
    return saved(model, tmp_path)


@pytest.mark.parametrize("name", GRAPHS)
def test_hardware_graphs(name, tmp_path):
    model = GRAPHS[name]()
    shape = (7, *model.get_tensor_shape("image")[1:])
    require_equal(model, np.random.default_rng(1).integers(0, 256, shape, np.uint8), tmp_path)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_networks(name, tmp_path):
    require_equal(compiled(name), IMAGES[:7], tmp_path)


@pytest.mark.parametrize("padding", ["minus_one", "zero"])
def test_sequential_network(padding, tmp_path):
    images = random_images(16, 32)
    config = NetworkConfig(model="bnn_cifar10", strategy="none", width=8, padding=padding)
    require_equal(integer_graph(settle(BnnCifar10(config), images)), images[:4], tmp_path)


@pytest.mark.parametrize("name", ["qat", "zero", "maj3", "none"])
def test_planned_networks(name, tmp_path):
    """With FIFOs, width converters and, for a rate that needs it, weights from DDR, the arithmetic is the same."""
    model = compiled(name)
    plan = plan_network(model, load_target("u250"), 2_000)
    for node in hardware_nodes(model):
        if node.kind == "XnorPopcount" and name != "zero":
            plan.nodes[node.name] = NodePlan(pe=8, simd=24 if name == "maj3" else 8, memory="ddr")
    hardware = apply_plan(model, plan)
    found = {node.kind for node in hardware_nodes(hardware)}
    assert found >= {"Fifo", "WidthConverter", "XnorPopcount" if name == "zero" else "WeightStationary"}
    require_equal(hardware, IMAGES[:7], tmp_path)


@pytest.mark.parametrize("order", ["tap", "row", "channel"])
@pytest.mark.parametrize(
    ("group", "group_threshold"), [(0, 0), (3, 0), (3, 1), (3, 2), (5, 0), (9, 1), (20, -1), (33, 0), (70, 1), (99, 0)]
)
def test_groups_in_every_order(order, group, group_threshold, tmp_path):
    """Groups of one byte to more than one word, of more than all inputs, and short last ones."""
    g = GraphBuilder(4, 4, seed=group)
    x = g.sign(g.conv(g.pixels(p=3), "stem", 8, pe=4, simd=3), "stem")
    x = g.binary(x, "group", 8, pe=4, simd=72, order=order, pad_value=1, group=group, group_threshold=group_threshold)
    model = g.model(g.int_conv(x, "classifier", 10, pe=2, out_bits=32, shift=0))
    require_equal(model, random_images(5, 4), tmp_path)


def test_sums_beyond_float32(tmp_path):
    """Weights of 8 bits on 16-bit maps sum to more than 2^24, multiplied to more than 2^31."""
    g = GraphBuilder(4, 4)
    x = g.conv(g.pixel_table(p=3, bits=16), "stem", 16, pe=1, simd=3, out_bits=16, shift=2)
    rng = np.random.default_rng(0)
    constants = {
        "weights": rng.integers(-128, 128, (8, 144)),
        "bias": rng.integers(-(1 << 22), 1 << 22, 8),
        "multiplier": rng.integers(1 << 12, 1 << 16, 8),
    }
    x = g.node(
        "IntConv",
        "scaled",
        [g.window(x, "scaled")],
        constants,
        features=8,
        weight_bits=8,
        acc_bits=48,
        out_bits=24,
        shift=10,
        pe=1,
        simd=g.streams[x].parallel,
    )
    require_equal(g.model(g.node("RepeatChannels", "repeat", [x], times=3)), random_images(5, 4), tmp_path)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_counting_with_adders(kind, monkeypatch):
    rng = np.random.default_rng(0)
    words = [rng.integers(0, np.iinfo(kind).max, (3, 5), kind, endpoint=True) for _ in range(29)]
    words[3:20] = [np.full((3, 5), np.iinfo(kind).max, kind)] * 17
    expected = np.array([[sum(int(word[i, j]).bit_count() for word in words) for j in range(5)] for i in range(3)])
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    np.testing.assert_array_equal(count_ones(word.copy() for word in words), expected)


def test_layers_in_blocks(monkeypatch, tmp_path):
    """Layers whose pixels take many blocks, and windows of many parts, change nothing."""
    monkeypatch.setattr(packed, "BLOCK", 24)
    monkeypatch.setattr("flow.nodes.windows.ELEMENTS", 1000)
    require_equal(votes_network(), np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), np.uint8), tmp_path)


def test_equal_graphs_are_equal_files(model, tmp_path):
    write_network(model, tmp_path / "a.npz")
    write_network(small_network(), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert json.loads(arrays[DESCRIPTION].tobytes())["image"] == [8, 8, 3]


def test_no_float_nodes(tmp_path):
    model = small_network()
    model.graph.node[0].domain = ""
    with pytest.raises(FlowError, match="pixels is a PixelOffset, no hardware node"):
        write_network(model, tmp_path / "network.npz")


def test_needs_only_numpy(path, tmp_path):
    """As on a board, which has the driver's files and the nodes', and nothing of the flow."""
    for name, content in driver_sources().items():
        file = tmp_path / "board" / "deploy" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("flow", "brevitas_models", "onnx", "qonnx", "torch", "brevitas", "pynq"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import numpy as np
from deploy.network import Network
print(Network({str(path)!r}).execute(np.zeros((1, 8, 8, 3), np.uint8)).shape)
ours = {{"deploy", "numpy", "__main__", "__mp_main__"}}
names = {{name.split(".")[0] for name in sys.modules}} - ours - set(sys.stdlib_module_names)
print(sorted(name for name in names if not name.startswith(("_", "sitecustomize"))))
"""
    run = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=_bare_environment(tmp_path / "board"),
    )
    assert run.stdout.splitlines() == ["(1, 10)", "[]"], run.stderr


def _bare_environment(board):
    """Where numpy and the driver lie, without the .pth files of other packages."""
    places = [str(board), str(Path(np.__file__).parents[1])]
    return {"PYTHONPATH": ":".join(places), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}


# what goes wrong


def rewritten(path, change):
    """``path`` with its JSON text changed."""
    with np.load(path) as loaded:
        arrays = dict(loaded)
    description = json.loads(arrays[DESCRIPTION].tobytes())
    change(description)
    arrays[DESCRIPTION] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    np.savez(path, **arrays)
    return path


CHANGES = {
    "version": (
        lambda d: d.update(version=9),
        "of version 9, not 'popbin-network' of version 2: build and deploy must match",
    ),
    "format": (lambda d: d.update(format="zip"), "is 'zip' of version 2"),
    "kind": (
        lambda d: d["nodes"][0].update(kind="Softmax"),
        "no node of kind 'Softmax': known are .*: write the network again, build and deploy must match",
    ),
    "nodes": (lambda d: d.pop("nodes"), "no complete network .KeyError: 'nodes'"),
    "array": (lambda d: d["nodes"][2]["constants"][0].update(array="none"), "no complete network .KeyError: 'none'"),
    "shape": (lambda d: d["nodes"][2]["constants"][0].update(shape=[7, 7]), "no complete network .ValueError"),
    "order": (lambda d: d["nodes"].reverse(), "which no node before gives: write the network again"),
    "inputs": (lambda d: d["nodes"][0].update(inputs=[]), "node pixels of kind PixelOffset has other streams than"),
    "output": (lambda d: d.update(output="y"), "no node gives the output 'y'"),
    "attribute": (lambda d: [n["attributes"].clear() for n in d["nodes"]], "no complete network .TypeError"),
    "empty": (lambda d: d.clear(), "no network file, or damaged .KeyError"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_wrong_descriptions(name, path):
    change, message = CHANGES[name]
    with pytest.raises(NetworkError, match=message):
        Network(rewritten(path, change))


@pytest.mark.parametrize("data", [b"", b"PK", b"not a network", bytes(1000)])
def test_other_files(data, tmp_path):
    (tmp_path / "network.npz").write_bytes(data)
    with pytest.raises(DeployError, match="is no network file, or damaged"):
        Network(tmp_path / "network.npz")


def test_missing_file(tmp_path):
    with pytest.raises(NetworkError, match="none.npz does not exist"):
        Network(tmp_path / "none.npz")
    with pytest.raises(NetworkError, match="is no network file"):
        Network(tmp_path)


def test_archive_without_description(tmp_path):
    np.savez(tmp_path / "network.npz", weights=np.zeros(3))
    with pytest.raises(NetworkError, match="no network file, or damaged .KeyError: 'network'"):
        Network(tmp_path / "network.npz")


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "network.npz", network=np.array([{}], dtype=object))
    with pytest.raises(NetworkError, match="damaged"):
        Network(tmp_path / "network.npz")


def test_damaged_files(path):
    """A truncated file is refused; one with a wrong byte too, or it computes the same where the byte has no meaning."""
    whole = path.read_bytes()
    images = random_images(1, 8)
    expected = Network(path).execute(images)
    rng = np.random.default_rng(0)
    for size in rng.integers(0, len(whole) - 1, 20):
        path.write_bytes(whole[:size])
        with pytest.raises(NetworkError):
            Network(path)
    refused = 0
    for position in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(Network(path).execute(images), expected)
        except NetworkError:
            refused += 1
    assert refused > 100


WRONG_IMAGES = {
    "dtype": (np.zeros((1, 8, 8, 3), np.float32), "takes uint8 images .N, 8, 8, 3., not float32"),
    "channels first": (np.zeros((1, 3, 8, 8), np.uint8), "not .1, 3, 8, 8."),
    "size": (np.zeros((1, 8, 9, 3), np.uint8), "not .1, 8, 9, 3."),
    "one": (np.zeros((8, 8, 3), np.uint8), "not .8, 8, 3."),
    "none": (np.zeros((0, 8, 8, 3), np.uint8), "not 0 in batches of 8: give one or more"),
    "no array": ([], "not float64"),
}


@pytest.mark.parametrize("name", WRONG_IMAGES)
def test_wrong_images(name, path):
    images, message = WRONG_IMAGES[name]
    with pytest.raises(NetworkError, match=message):
        Network(path).execute(images)


def test_grouped_voter_on_masked_windows(tmp_path):
    g = GraphBuilder(4, 4)
    x = g.sign(g.conv(g.pixels(p=3), "stem", 8, pe=4, simd=3), "stem")
    x = g.binary(x, "zeros", 8, pe=4, simd=8, pad_value=0, group=9)
    network = Network(saved(g.model(x), tmp_path))
    with pytest.raises(NetworkError, match="zeros.xnor: a grouped voter cannot take windows padded with zeros"):
        network.execute(random_images(1, 4))


@pytest.mark.slow
def test_full_width_checkpoint(tmp_path):
    from brevitas_models.checkpoint import load_checkpoint
    from brevitas_models.data import load_samples
    from brevitas_models.zoo import bundled

    network, _ = load_checkpoint(bundled(NetworkConfig(model="bireal18", strategy="qat", width=64)))
    path = require_equal(integer_graph(network), load_samples().images[:20], tmp_path)
    assert path.stat().st_size < 2_500_000
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
