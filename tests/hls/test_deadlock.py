"""C simulation with streams of their depth: what would hang on the chip is found, and named."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from flow.emit import hls as emit
from flow.emit.hls import emit_hls
from flow.errors import FlowError
from flow.golden import Golden
from flow.graph import hardware_nodes
from flow.plan.hls_fifos import join_depths
from flow.sim.cpp import compile_cpp
from flow.sim.csim import CsimAccelerator, DeadlockError
from tests.graphs import GraphBuilder, random_images, small_network
from tests.hls.test_top import forge

TARGET = {"build_id": "test", "part": "xc7z020clg400-1", "clock_mhz": 100}
IMAGES = random_images(6)


@pytest.fixture(scope="module")
def model():
    return small_network()


@pytest.fixture(scope="module")
def project(model, tmp_path_factory):
    return emit_hls(model, tmp_path_factory.mktemp("hls") / "small", **TARGET)


@pytest.fixture(scope="module")
def accelerator(project):
    return CsimAccelerator(project)


def test_the_calculated_depths_are_the_smallest(model, accelerator):
    """One beat less hangs; as many do not, whether anything else is deeper or not."""
    logits = Golden(model).execute(IMAGES)
    depths = join_depths(model)
    assert {name: depth.least for name, depth in depths.items()} == {
        "block1.fork.out1": 39,
        "block2.fork.out1": 208,
        "block3.fork.out1": 63,
    }
    least = {name: depth.least for name, depth in depths.items()}
    assert np.array_equal(accelerator.execute(IMAGES, depths=least).logits, logits)
    for name, depth in least.items():
        with pytest.raises(DeadlockError, match=f"'{name}', which is full with {depth - 1} beats"):
            accelerator.execute(IMAGES, processes=1, depths={name: depth - 1})


def regrouped(p):
    """A block whose shortcut is held in beats of ``p`` elements, where the fork gives four."""
    g = GraphBuilder(8, 8)
    main, shortcut = g.fork(g.conv(g.pixels(p=3), "stem", 8, pe=4, simd=3), "block")
    main = g.window(g.beats_of(g.sign(main, "block"), 1, "block.in"), "block", kernel=5, padding=2)
    main = g.select(g.beats_of(g.xnor(main, "block.xnor", 8, pe=4), p, "block.votes"), "block", bits=9)
    x = g.add(main, g.fifo(g.beats_of(shortcut, p, "shortcut"), "block", depth=64), "block")
    x = g.node("GlobalPool", "pool", [x])
    return g.model(g.int_conv(g.beats_of(x, 1, "pooled"), "classifier", 10, pe=1, out_bits=32, shift=0))


@pytest.mark.parametrize("p", [1, 8])
def test_a_shortcut_may_be_held_in_other_beats(tmp_path, p):
    """Of more a frame than the fork gives, or of fewer."""
    model = regrouped(p)
    accelerator = CsimAccelerator(emit_hls(model, tmp_path / "hls", **TARGET))
    assert np.array_equal(accelerator.execute(IMAGES).logits, Golden(model).execute(IMAGES))
    ((tensor, depth),) = join_depths(model).items()
    assert tensor == "shortcut.out" and 2 * 64 < depth.least * p < 4 * 64
    assert accelerator.execute(IMAGES[:1], depths={tensor: depth.least}).logits.shape == (1, 10)
    with pytest.raises(DeadlockError, match=f"'shortcut.out', which is full with {depth.least - 1} beats"):
        accelerator.execute(IMAGES[:1], depths={tensor: depth.least - 1})


def test_every_waiting_process_is_named(accelerator):
    with pytest.raises(DeadlockError) as caught:
        accelerator.execute(IMAGES, processes=1, depths={"block1.fork.out1": 16})
    message = str(caught.value)
    assert (
        "layer block1.fork: block1_fork waits in frame 0 to write 'block1.fork.out1', which is full with 16 beats"
        in message
    )
    assert "layer block1.add: block1_add waits in frame 0 to read 'block1.select.out', which is empty" in message
    assert "layer block3.stationary: block3_stationary_load waits in frame 0 to read 'block3.in_width.out'" in message
    assert "block3_stationary_compute waits in frame 0 to read 'block3_stationary_map', which is empty" in message
    assert "One of the full streams among the first must hold more" in message
    circle, behind = message.split("\nand these for them\n")
    names = ["fork", "add", "select", "xnor", "window", "in_width", "sign"]
    assert [line.split()[2] for line in circle.splitlines()[1:]] == [f"block1_{name}" for name in names]
    assert "block3_stationary_load" in behind and "read_pixels" in behind


def test_a_process_that_gives_too_few_is_found(project, tmp_path):
    """Where it has ended, what reads it waits for nothing that could come."""
    copy = shutil.copytree(project, tmp_path / "copy")
    forge(copy, "src/sign_threshold.hpp", lambda text: text.replace(b"pixel < Pixels", b"pixel + 1 < Pixels"))
    with pytest.raises(DeadlockError) as caught:
        CsimAccelerator(copy).execute(IMAGES, processes=1)
    assert "and these for them" not in str(caught.value) and "two processes differ in the beats" in str(caught.value)


def test_unbounded_streams_hide_it(model, accelerator):
    logits = accelerator.execute(IMAGES, depths={"block1.fork.out1": 16}, unbounded=True).logits
    assert np.array_equal(logits, Golden(model).execute(IMAGES))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": {"nowhere": 5}}, "has no stream nowhere: manifest.json lists its tensors"),
        ({"depths": {"block1.fork.out1": 0}}, "block1.fork.out1 cannot hold 0 beats: give a whole number from 1 on"),
        ({"depths": {"block1.fork.out1": -1}}, "cannot hold -1 beats"),
        ({"depths": {"block1.fork.out1": 38.5}}, "cannot hold 38.5 beats"),
        ({"depths": {"block1.fork.out1": "many"}}, "cannot hold many beats"),
        ({"depths": {"block1.fork.out1": 10**20}}, "cannot hold 100000000000000000000 beats"),
        ({"record": -1}, "record is -1: it must be at least 0"),
        ({"processes": -2}, "processes is -2: it must be at least 1"),
    ],
)
def test_wrong_options_are_refused(accelerator, options, message):
    with pytest.raises(FlowError, match=message):
        accelerator.execute(IMAGES, **options)


@pytest.mark.parametrize("depth", [2**40, 2**63 - 1])
def test_a_stream_may_hold_any_number(model, accelerator, depth):
    logits = accelerator.execute(IMAGES, depths={"block1.fork.out1": depth}).logits
    assert np.array_equal(logits, Golden(model).execute(IMAGES))


@pytest.mark.parametrize("count", [1, 3, 4, 64])
def test_any_number_of_images(model, accelerator, count):
    """They are shared among programs, of which each takes eight a call."""
    images = random_images(count)
    assert np.array_equal(accelerator.execute(images).logits, Golden(model).execute(images))


MEMORIES = """
#include <ap_int.h>
#include <stdint.h>
#include <hls_stream.h>
#include <cstdio>
#include <cstdlib>
static void keep(hls::stream<ap_uint<8>>& in, hls::stream<ap_uint<8>>& out, int bytes) {
    volatile char* memory = static_cast<volatile char*>(__builtin_alloca(size_t(bytes)));
    for (int i = 0; i < bytes; i += 4096) memory[i] = 1;
    out.write(in.read() + memory[0]);
}
int main(int, char** argv) {
    hls::stream<ap_uint<8>> in("in"), out("out");
    in.write(1);
    const int bytes = std::atoi(argv[1]);
    const bool ended = flow::concurrent::run([&] {
        hls::stream<ap_uint<8>> between("between");
        FLOW_PROCESS(keep(in, between, bytes));
        FLOW_PROCESS(keep(between, out, bytes));
    });
    std::printf("%d %u", ended, unsigned(out.read()));
}
"""


def test_memories_of_large_maps(tmp_path):
    """A process keeps them on its stack, and goes beyond that into no other one's."""
    source = tmp_path / "memories.cpp"
    source.write_text(MEMORIES)
    program = compile_cpp([source], tmp_path / "memories", concurrent=True)
    held, beyond = (
        subprocess.run([program, str(size << 20)], capture_output=True, text=True, check=False) for size in (40, 64)
    )
    assert held.stdout == "1 3" and beyond.returncode < 0 and beyond.stdout == ""


def test_depths_of_the_code_count(project, tmp_path):
    """Not only those that a run is given."""
    copy = shutil.copytree(project, tmp_path / "copy")
    pattern = rb"(FLOW_STREAM\(block1_fork_out1, \d+, )\d+"
    forge(copy, "src/accelerator.cpp", lambda text: re.sub(pattern, rb"\g<1>38", text))
    with pytest.raises(DeadlockError, match=r"'block1.fork.out1', which is full with 38 beats"):
        CsimAccelerator(copy).execute(IMAGES)


def test_a_window_that_reads_whole_rows_first_is_found(project, tmp_path):
    """The window of before took the next rows at the start of an output row, whatever the shortcut held."""
    copy = shutil.copytree(project, tmp_path / "copy")
    eager = b"const bool came = (in_row == Height || in_row + PadTop >= top + Slots) && true;"
    forge(copy, "src/sliding_window.hpp", lambda text: re.sub(rb"const bool came = [^;]*;", eager, text))
    with pytest.raises(
        DeadlockError, match="layer block1.fork: .* to write 'block1.fork.out1', which is full with 64 beats"
    ):
        CsimAccelerator(copy).execute(IMAGES)


@pytest.mark.parametrize(
    ("concurrent", "flags"), [(False, ()), (True, ("-DFLOW_UCONTEXT",))], ids=["vitis", "other processors"]
)
def test_other_ways_to_run_processes_give_the_same(model, tmp_path, concurrent, flags):
    """Plain calls and unbounded streams, as Vitis' own headers have them, and fibers of the C library, which processors
    other than x86-64 take."""
    logits = Golden(model).execute(random_images(2))
    again = emit_hls(model, tmp_path / "again", **TARGET, images=random_images(2), expected=logits)
    sources = [again / "src" / "accelerator.cpp", again / "tb" / "testbench.cpp"]
    program = compile_cpp(sources, tmp_path / "csim", flags, concurrent=concurrent)
    for file in ("tb/images.bin", "tb/expected_logits.bin", "data/ddr_weights.bin"):
        shutil.copy(again / file, tmp_path)
    run = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("PASS: 2 frames in ")


def test_frames_overlap_beside_a_stationary_layer(model):
    """Beside a layer that works on a frame while it takes the next, the shortcut holds what keeps its rate."""
    planned = {node.inputs[0]: node.op.depth for node in hardware_nodes(model) if node.kind == "Fifo"}
    depths = join_depths(model)
    assert depths["block3.fork.out1"].beats == planned["block3.fork.out1"] == 300
    assert depths["block1.fork.out1"].beats < planned["block1.fork.out1"] + 1


def test_more_masters_than_a_port_takes_are_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(emit, "MOST_MASTERS", 1)
    with pytest.raises(
        FlowError, match="2 layers, up to block3.stationary, read their weights from DDR.* takes 1: set"
    ):
        emit_hls(model, tmp_path / "hls", **TARGET)


def test_beats_that_are_too_wide_are_refused(tmp_path):
    g = GraphBuilder(8, 8, p=8)
    x = g.beats_of(g.conv(g.pixels(p=3), "stem", 512, pe=1, simd=3, out_bits=9), 512, "wide")
    x = g.node("GlobalPool", "pool", [x])
    model = g.model(g.int_conv(g.beats_of(x, 1, "narrow"), "classifier", 10, pe=1, out_bits=32, shift=0))
    with pytest.raises(
        FlowError, match="wide: a beat of 4608 bits is wider than the 4096 of Vitis' ap_uint: lower p, pe"
    ):
        emit_hls(model, tmp_path / "hls", **TARGET)
