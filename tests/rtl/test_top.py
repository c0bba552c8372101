"""flow/emit/rtl.py and flow/sim/rtl.py: the whole accelerator against the golden model, and what they must refuse."""

import json
import shutil

import numpy as np
import pytest

from flow.custom_op import op_of, set_attributes
from flow.emit.rtl import emit_rtl
from flow.errors import FlowError, VerificationError
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.nodes import Stream
from flow.project import sha256
from flow.sim.build import RtlError
from flow.sim.compare import first_difference
from flow.sim.rtl import DeadlockError, RtlAccelerator
from flow.sim.streams import decode, to_beats
from tests.graphs import GraphBuilder, random_images, small_network

FRAMES = 6
BUILD = {"build_id": "0123456789abcdeffedcba9876543210", "clock_mhz": 100}


def deep_small_network():
    """With shortcuts as deep as the planner makes them: two frames beside a layer with weights in DDR."""
    model = small_network()
    for proto in model.graph.node:
        if proto.op_type == "Fifo":
            set_attributes(proto, depth=2 * op_of(proto).depth)
    return model


@pytest.fixture(scope="module")
def model():
    return deep_small_network()


@pytest.fixture(scope="module")
def project(model, tmp_path_factory):
    return emit_rtl(model, tmp_path_factory.mktemp("rtl") / "small", **BUILD)


@pytest.fixture(scope="module")
def golden(model):
    """(images, logits, streams)"""
    streams = {}
    images = random_images(FRAMES)
    return images, Golden(model).execute(images, streams), streams


@pytest.fixture
def accelerator(project):
    return RtlAccelerator(project)


@pytest.fixture
def copy(project, tmp_path):
    return shutil.copytree(project, tmp_path / "copy")


def forge(project, name, data):
    """Writes a file and its SHA-256 in the manifest."""
    (project / name).write_bytes(data)
    manifest = json.loads((project / "manifest.json").read_text())
    manifest["files"][name]["sha256"] = sha256(data)
    (project / "manifest.json").write_text(json.dumps(manifest))


def flipped(data, byte, bit=0):
    return data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :]


def assert_equals(result, golden):
    _, logits, streams = golden
    np.testing.assert_array_equal(result.logits, logits)
    assert result.streams.keys() == streams.keys()
    assert first_difference(streams, result.streams, result.streams) is None


def test_logits_streams_and_counters(accelerator, golden, model):
    result = accelerator.execute(golden[0], record=True)
    assert_equals(result, golden)
    assert result.frames == FRAMES
    assert result.axi_errors == 0
    plan = max(node.op.cycles() for node in hardware_nodes(model))
    assert abs(result.cycles_per_frame - plan) <= 0.05 * plan
    assert result.cycles_per_frame < result.latency_cycles < result.total_cycles
    assert all(layer["frames"] == FRAMES for layer in result.layers.values())
    weights = sum(region["words_per_frame"] * 8 for region in accelerator.regions)
    prefetched = 64 * 8 * len(accelerator.regions)  # a FIFO full of weights for frames to come
    assert FRAMES * weights <= result.ddr_bytes <= FRAMES * weights + prefetched + 2 * weights


@pytest.mark.parametrize(("gaps", "stalls"), [(0.9, 0.0), (0.0, 0.995), (0.6, 0.7)])
def test_gaps_and_stalls(accelerator, golden, gaps, stalls):
    assert_equals(accelerator.execute(golden[0], True, input_gaps=gaps, output_stalls=stalls, seed=5), golden)


def test_slow_memory(project, golden):
    """Weights that come too late cost time and nothing else."""
    slow = RtlAccelerator(project, ddr_latency=700, ddr_bandwidth=0.05).execute(golden[0], True)
    assert_equals(slow, golden)


def test_second_packet(accelerator, golden):
    """The device lives on between packets, and one of a single frame has no interval."""
    images, logits, streams = golden
    accelerator.execute(images[:3])
    assert_equals(accelerator.execute(images, True), golden)
    single = accelerator.execute(images[4:5], 1)
    np.testing.assert_array_equal(single.logits, logits[4:5])
    assert single.cycles_per_frame == 0
    assert (
        first_difference({name: frames[4:5] for name, frames in streams.items()}, single.streams, accelerator.order)
        is None
    )


@pytest.mark.parametrize("cycles", [100, 2000, 7003])
def test_soft_reset_in_mid_frame(accelerator, golden, cycles):
    images, logits, _ = golden
    accelerator.execute(images[:1])
    accelerator.device.send(images, logits.size)
    accelerator.device.run(cycles)
    accelerator.reset()
    assert_equals(accelerator.execute(images, True), golden)


def test_taps_of_some_frames(accelerator, golden):
    result = accelerator.execute(golden[0], record=2)
    assert {len(frames) for frames in result.streams.values()} == {2}
    assert first_difference(golden[2], result.streams, accelerator.order) is None


def test_progress(accelerator, golden):
    calls = []
    accelerator.execute(golden[0], progress=lambda *call: calls.append(call))
    assert calls[-1][:2] == (FRAMES, FRAMES)


def test_deadlock_names_the_streams(project, golden):
    """A memory that never answers starves the first layer with weights in DDR."""
    with pytest.raises(DeadlockError, match="no beat moved for 200000 cycles after .* 0 logits") as error:
        RtlAccelerator(project, ddr_bandwidth=0.0).execute(golden[0])
    offered, wanted = str(error.value).split("; ready but not valid: ")
    assert "block2.in_width.out" in offered.split("valid but not ready: ")[1].split(", ")
    assert "block2.stationary.out" in wanted.split(", ")


def test_reads_outside_the_memory(accelerator, golden):
    accelerator.registers.set_weight_base(0, 0x4000_0000)
    with pytest.raises(RtlError, match="burst leaves the memory"):
        accelerator.execute(golden[0])
    assert (accelerator.execute(golden[0]).logits == golden[1]).all()  # on a fresh device


def test_wrong_build_id(copy, golden):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["build_id"] = "f" * 32
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(VerificationError, match=f"has build id {BUILD['build_id']}, the manifest f{{32}}"):
        RtlAccelerator(copy).execute(golden[0])


def test_flipped_bits_are_found_by_checksum(copy):
    rng = np.random.default_rng(0)
    manifest = json.loads((copy / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        if name.startswith("data/") and entry["layer"]:
            data = (copy / name).read_bytes()
            (copy / name).write_bytes(flipped(data, rng.integers(len(data)), rng.integers(8)))
            with pytest.raises(VerificationError, match=f"layer {entry['layer']}: .*{name}"):
                RtlAccelerator(copy)
            (copy / name).write_bytes(data)
    ddr = (copy / "data/ddr_weights.bin").read_bytes()
    for region in manifest["regions"]:
        (copy / "data/ddr_weights.bin").write_bytes(flipped(ddr, region["offset"] + 5))
        with pytest.raises(VerificationError, match=f"layer {region['layer']}: "):
            RtlAccelerator(copy)


def test_missing_file(copy):
    (copy / "data/classifier_biases.hex").unlink()
    with pytest.raises(VerificationError, match="layer classifier: .* is missing"):
        RtlAccelerator(copy)


@pytest.mark.parametrize(
    ("name", "layer", "tensor"),
    [
        ("stem_conv_biases.hex", "stem.conv", "stem.conv.out"),
        ("block1_sign_thresholds.hex", "block1.sign", "block1.sign.out"),
        ("block2_select_table.hex", "block2.select", "block2.select.out"),
        ("ddr_weights.bin", "block2.stationary", "block2.stationary.out"),
        ("classifier_weights.hex", "classifier", "classifier.out"),
    ],
)
def test_forged_files_differ_in_their_layer(copy, golden, name, layer, tensor):
    """With its checksum forged as well, a change is found by the first stream that differs."""
    images, _, streams = golden
    data = (copy / "data" / name).read_bytes()
    forged = (
        bytes(byte ^ 0xFF for byte in data[:16]) + data[16:]
        if name.endswith("bin")
        else data.replace(b"0", b"7").replace(b"f", b"1")
    )
    forge(copy, f"data/{name}", forged)
    accelerator = RtlAccelerator(copy)
    difference = first_difference(streams, accelerator.execute(images, True).streams, accelerator.order)
    assert difference.tensor == tensor
    assert accelerator.order[tensor] == layer
    assert "values differ" in str(difference)


def test_weights_do_not_cause_a_new_build(copy, project):
    data = (copy / "data/stem_conv_weights.hex").read_bytes()
    forge(copy, "data/stem_conv_weights.hex", data.replace(b"1", b"2"))
    assert RtlAccelerator(copy).library == RtlAccelerator(project).library


def test_same_files_each_time(model, project, tmp_path):
    again = emit_rtl(model, tmp_path / "again", **BUILD)
    assert (again / "manifest.json").read_bytes() == (project / "manifest.json").read_bytes()


def test_bad_arguments(model, accelerator, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(FlowError, match="holds no manifest.json, so it is no RTL project"):
        emit_rtl(model, tmp_path, **BUILD)
    with pytest.raises(FlowError, match="not 32 hex digits"):
        emit_rtl(model, tmp_path / "new", build_id="1234", clock_mhz=100)
    with pytest.raises(FlowError, match=r"not uint8 \[1, 9, 8, 3\]"):
        accelerator.execute(np.zeros((1, 9, 8, 3), np.uint8))
    with pytest.raises(FlowError, match="cannot be read"):
        RtlAccelerator(tmp_path)


def test_without_ddr_with_odd_names_and_a_threshold_never_reached(tmp_path):
    g = GraphBuilder(4, 4, p=4)
    x = g.conv(g.pixels(p=3), "case", 8, pe=2, simd=3, out_bits=6)  # window "case.window", conv "case.conv"
    never = np.r_[g.rng.integers(-20, 20, 6), 32, -32]  # 32 does not fit 6 bits: that channel is always -1
    x = g.node("SignThreshold", "8-bit/sign", [x], {"threshold": never})
    x = g.select(g.vote(x, "always", 8, pe=2, simd=8), "always", 9)
    x = g.node("GlobalPool", "pool", [x])
    model = g.model(g.int_conv(x, "module", 10, pe=1, out_bits=24, shift=0))
    images, streams = random_images(3, size=4), {}
    logits = Golden(model).execute(images, streams)
    accelerator = RtlAccelerator(emit_rtl(model, tmp_path / "tiny", **BUILD))
    result = accelerator.execute(images, True)
    np.testing.assert_array_equal(result.logits, logits)
    assert (result.logits < 0).any()  # sign-extended to the 32 bits of the bus
    assert first_difference(streams, result.streams, accelerator.order) is None
    assert (streams["8-bit/sign.out"][..., 6] == -1).all()
    assert result.ddr_bytes == 0


def tapped(beats, width):
    """Beats of `width` bits as the 64-bit words of a tap."""
    return np.frombuffer(b"".join(beat.to_bytes(8 * -(-width // 64), "little") for beat in beats), np.uint64)


@pytest.mark.parametrize(
    ("parallel", "bits", "signed"), [(1, 1, True), (96, 1, True), (3, 8, False), (5, 10, True), (9, 9, True)]
)
def test_decode_words(parallel, bits, signed):
    rng = np.random.default_rng(parallel)
    shape = (2, 4, 3, 2 * parallel)
    if bits == 1:
        array = rng.choice([-1, 1], shape)
    else:
        array = rng.integers(0, 1 << bits, shape) - (1 << bits - 1) * signed
    data = tapped(to_beats(array, parallel, bits, bipolar=bits == 1), parallel * bits)
    stream = Stream(4, 3, 2 * parallel, parallel, bits, signed)
    np.testing.assert_array_equal(decode(data, stream), array)


@pytest.mark.parametrize("parallel", [1, 63, 64, 96])
def test_decode_masked_words(parallel):
    rng = np.random.default_rng(parallel)
    array = rng.choice([-1, 1], (2, 4, 3, 2, parallel)) * rng.choice([0, 1], (2, 4, 3, 2, 1))
    data = tapped(to_beats(array, parallel, 1, masked=True), parallel + 1)
    stream = Stream(4, 3, 2 * parallel, parallel, 1, masked=True)
    np.testing.assert_array_equal(decode(data, stream), array.reshape(2, 4, 3, -1))


def test_first_difference():
    reference = {"a": np.zeros((2, 1, 1, 3), int), "b": np.ones((2, 1, 1, 3), int)}
    streams = {"b": np.array([[[[1, 1, 0]]]]), "a": np.zeros((1, 1, 1, 3), int)}
    difference = first_difference(reference, streams, ["a", "b"])
    assert str(difference) == "b: 1 of 3 values differ, first at [0, 0, 0, 2]: 0 instead of 1"
    with pytest.raises(ValueError, match="nothing was compared"):
        first_difference(reference, {}, ["a", "b"])
    with pytest.raises(ValueError, match="b: shape"):
        first_difference(reference, {"b": np.ones((1, 2, 1, 3))}, ["b"])
