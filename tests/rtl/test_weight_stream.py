"""rtl/weight_stream.sv on flow/sim/rtl/axi_memory.hpp, which checks the AXI protocol."""

import ctypes
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import flow.sim
from flow.sim.build import Design, build_library

HEADERS = [Path(flow.sim.__file__).parent / "rtl" / "axi_memory.hpp", Path(__file__).parent / "weight_stream_bench.hpp"]
NEVER = 1 << 60


class Bench(ctypes.Structure):
    _fields_ = [
        ("memory", ctypes.c_void_p),
        ("memory_bytes", ctypes.c_int64),
        ("regions", ctypes.c_void_p),
        ("latency", ctypes.c_int64),
        ("jitter", ctypes.c_int64),
        ("outstanding", ctypes.c_int64),
        ("seed", ctypes.c_int64),
        ("bandwidth", ctypes.c_double),
        ("p_arready", ctypes.c_double),
        ("error_from", ctypes.c_int64),
        ("error_to", ctypes.c_int64),
        ("p_ready", ctypes.c_void_p),
        ("cycles", ctypes.c_int64),
        ("disable", ctypes.c_int64),
        ("enable", ctypes.c_int64),
        ("reset", ctypes.c_int64),
        ("release", ctypes.c_int64),
        ("words", ctypes.c_void_p),
        ("capacity", ctypes.c_int64),
        ("taken", ctypes.c_void_p),
        ("beats", ctypes.c_int64),
        ("bursts", ctypes.c_int64),
        ("most_outstanding", ctypes.c_int64),
        ("in_flight_at_disable", ctypes.c_int64),
        ("error_before", ctypes.c_int64),
        ("error", ctypes.c_int64),
        ("violations", ctypes.c_char * 2048),
    ]


class WeightStream:
    """The module with its regions laid out in a memory of random words, and a gap of 128 bytes or more after each."""

    def __init__(self, *words: int, fifo_depth: int = 64):
        self.words = words
        packed = f"{32 * len(words)}'h{sum(count << 32 * port for port, count in enumerate(words)):x}"
        design = Design("weight_stream", {"Ports": len(words), "WordsPerFrame": packed, "FifoDepth": fifo_depth})
        headers = "\n".join(header.read_text(encoding="utf-8") for header in HEADERS)
        includes = "".join(f'#include "{header}"\n' for header in HEADERS)
        text = f'#define PORTS {len(words)}\n#include "Vweight_stream.h"\n{includes}'
        self._run = ctypes.CDLL(str(build_library(design, lambda ports: text, key=headers))).bench_run
        starts = 128 + np.cumsum([0, *(-(-8 * count // 128) * 128 + 128 for count in words)])
        self.regions = np.stack([starts[:-1], starts[:-1] + 8 * np.array(words)], axis=1).astype(np.int64)
        self.memory = np.random.default_rng(len(words)).integers(0, 1 << 64, int(starts[-1]) // 8, dtype=np.uint64)

    def run(
        self,
        cycles,
        *,
        p_ready=1.0,
        latency=60,
        jitter=0,
        outstanding=16,
        seed=1,
        bandwidth=1.0,
        p_arready=1.0,
        errors=(0, 0),
        disable=None,
        reset=None,
    ):
        """Runs and checks the protocol and the order of the words.

        `disable` and `reset` are pairs of cycles between which enable_i, rst_ni is low; only words after `disable` are
        kept.
        """
        ports = len(self.words)
        p_ready = np.broadcast_to(np.float64(p_ready), ports).copy()
        words, taken = np.zeros((ports, cycles), np.uint64), np.zeros(ports, np.int64)
        low, reset = disable or (NEVER, NEVER), reset or (NEVER, NEVER)
        bench = Bench(
            self.memory.ctypes.data,
            self.memory.nbytes,
            self.regions.ctypes.data,
            latency,
            jitter,
            outstanding,
            seed,
            bandwidth,
            p_arready,
            *errors,
            p_ready.ctypes.data,
            cycles,
            *low,
            *reset,
            words.ctypes.data,
            cycles,
            taken.ctypes.data,
        )
        self._run(ctypes.byref(bench))
        assert bench.violations.decode() == ""
        for port, (start, end) in enumerate(self.regions // 8):
            got = words[port, : taken[port]]
            np.testing.assert_array_equal(got, np.resize(self.memory[start:end], len(got)), err_msg=f"port {port}")
        fields = {name: getattr(bench, name) for name, _ in Bench._fields_[-7:-1]}
        return SimpleNamespace(taken=taken, frames=taken / self.words, **fields)


@pytest.fixture(scope="module")
def three():
    return WeightStream(36 * 16, 203, 1000)


@pytest.mark.parametrize("seed", range(4))
def test_order_over_frames(three, seed):
    """Random latency, gaps and unequal consumers."""
    rng = np.random.default_rng(seed)
    p_ready = rng.permutation([0.9, 0.5, 0.1])
    run = three.run(
        30_000,
        p_ready=p_ready,
        latency=int(rng.integers(1, 80)),
        jitter=40,
        bandwidth=0.8,
        p_arready=0.3,
        seed=seed + 1,
    )
    assert run.frames.min() > 2
    assert not run.error


def test_slow_memory_is_shared_evenly(three):
    run = three.run(20_000, bandwidth=0.2)
    assert run.taken.sum() == pytest.approx(0.2 * 20_000, rel=0.05)
    assert run.taken.min() > 0.8 * run.taken.max()  # bursts in turn; a frame of 203 words ends with a short one


def test_a_stopped_consumer_stops_nobody_else(three):
    run = three.run(10_000, p_ready=[1.0, 0.0, 1.0])
    assert run.taken[1] == 0
    assert run.taken.sum() > 0.9 * 10_000


@pytest.mark.parametrize("bandwidth", [1.0, 0.75])
def test_throughput(three, bandwidth):
    """With bursts of 16 and 8 of them in flight, a latency of 60 cycles costs no bandwidth."""
    run = three.run(20_000, latency=60, outstanding=8, bandwidth=bandwidth)
    assert run.beats >= 0.9 * bandwidth * 20_000
    assert run.most_outstanding <= 8


def test_few_words():
    """Frames shorter than a burst."""
    run = WeightStream(1, 7, 16, 17, fifo_depth=32).run(20_000, p_ready=[0.3, 0.9, 0.5, 1.0], jitter=20, p_arready=0.7)
    assert run.frames.min() > 20


def test_eight_ports_and_one():
    assert WeightStream(*range(30, 110, 10)).run(10_000, latency=60).beats > 0.9 * 9_000
    assert WeightStream(500).run(5_000, latency=30, p_arready=0.5).beats > 0.9 * 5_000


@pytest.mark.parametrize("length", [1, 5, 300])
@pytest.mark.parametrize("at", [70, 100, 1234])
def test_disable_restarts_at_the_first_word(three, at, length):
    """With bursts in flight: they are finished and dropped, and only then does the next run begin."""
    for seed in range(8):
        run = three.run(6_000, p_ready=0.8, jitter=30, p_arready=0.5, disable=(at, at + length), seed=seed + 1)
        assert run.in_flight_at_disable > 0
        assert run.frames.min() > 1


@pytest.mark.parametrize("at", [65, 500])
def test_reset_with_bursts_in_flight(three, at):
    """The memory still answers bursts from before the reset; enable_i stays low until it has."""
    run = three.run(4_000, p_ready=0.8, reset=(at, at + 5), disable=(at, at + 300))
    assert run.in_flight_at_disable > 0
    assert run.frames.min() > 1


def test_error_response(three):
    start = int(three.regions[1, 0])
    run = three.run(3_000, errors=(start + 800, start + 808), disable=(2_000, 2_100))
    assert run.error_before == 1
    assert run.error == 1
    assert three.run(500, errors=(start + 800, start + 808), disable=(300, 400)).error == 0  # cleared by the new run
    assert three.run(3_000, errors=(0, 128)).error == 0  # nobody reads there


def test_the_memory_sees_violations():
    stream = WeightStream(500)
    stream.regions[0, 1] -= 8
    with pytest.raises(AssertionError, match="burst lies in no region"):
        stream.run(3_000)
    stream.regions[0] += 64  # the low 7 bits of a base count as 0: the first burst begins too early
    with pytest.raises(AssertionError, match="cycle [0-9]: burst lies in no region"):
        stream.run(100)


def test_parameters_are_checked():
    with pytest.raises(AssertionError, match="FifoDepth is 16, must be 32 or more"):
        WeightStream(10, 20, fifo_depth=16).run(10)
