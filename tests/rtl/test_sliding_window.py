"""rtl/sliding_window.sv (with tap_gather) against im2col in numpy, and against the node's definition."""

from dataclasses import dataclass

import numpy as np
import pytest

from flow.emit.rtl_nodes import cell_of
from flow.errors import FlowError
from flow.sim.module import RtlError, RtlModule
from flow.sim.streams import to_beats
from tests.rtl.nodes import beats_of, module_of, node_of
from tests.rtl.streams import quick


@dataclass(frozen=True)
class Case:
    height: int
    width: int
    channels: int
    kernel: int
    stride: int
    padding: int
    p: int
    bits: int = 1
    pad_value: int = 0

    def __str__(self):
        return (
            f"{self.height}x{self.width}x{self.channels}-k{self.kernel}s{self.stride}p{self.padding}"
            f"-P{self.p}-b{self.bits}-pad{self.pad_value}"
        )

    @property
    def row_beats(self):
        return self.width * self.channels // self.p

    @property
    def in_beats(self):
        return self.height * self.row_beats

    @property
    def out_beats(self):
        rows, cols = ((size + 2 * self.padding - self.kernel) // self.stride + 1 for size in (self.height, self.width))
        return rows * cols * self.kernel**2 * self.channels // self.p

    def build(self):
        parameters = dict(
            Height=self.height,
            Width=self.width,
            Channels=self.channels,
            Kernel=self.kernel,
            Stride=self.stride,
            Padding=self.padding,
            P=self.p,
            Bits=self.bits,
            PadValue=self.pad_value,
        )
        width = self.p * self.bits
        return RtlModule("sliding_window", parameters, inputs={"in": width}, outputs={"out": width})

    def frames(self, count, seed):
        """Input and output beats of random frames."""
        shape = (count, self.height, self.width, self.channels)
        frames = np.random.default_rng(seed).integers(0, 2**self.bits, shape)
        windows = im2col(frames, self.kernel, self.stride, self.padding, self.pad_value)
        return to_beats(frames, self.p, self.bits), to_beats(windows, self.p, self.bits)


def im2col(x, kernel, stride, padding, pad_value):
    """[N, H, W, C] to [N, OH, OW, kernel, kernel, C]."""
    border = (padding, padding)
    x = np.pad(x, ((0, 0), border, border, (0, 0)), constant_values=pad_value)
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
    return windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


NETWORK = [
    Case(32, 32, 64, 3, 1, 1, p=32),
    Case(32, 32, 64, 3, 2, 1, p=32),
    Case(8, 8, 256, 3, 1, 1, p=64),
    Case(32, 32, 3, 3, 1, 1, p=3, bits=8),
]
ODD = [
    Case(5, 7, 6, 3, 1, 1, p=2, bits=3, pad_value=5),
    Case(5, 7, 4, 3, 2, 1, p=4, pad_value=1),
    Case(6, 5, 8, 1, 1, 0, p=4),
    Case(7, 6, 8, 1, 2, 0, p=4),  # a column no window needs
    Case(8, 8, 2, 3, 3, 0, p=1, bits=5),  # two rows and columns no window needs
    Case(5, 6, 4, 3, 1, 0, p=2),  # as many rows new at a frame border as the kernel has
    Case(7, 5, 2, 5, 1, 2, p=1, bits=8, pad_value=200),
    Case(9, 6, 2, 5, 3, 2, p=2),  # the window enters the map by less than a stride
    Case(2, 3, 4, 5, 2, 2, p=2),  # the kernel is larger than the map
    Case(1, 1, 8, 3, 1, 1, p=8),
]
CASES = NETWORK + ODD
RATES = [(1.0, 1.0), (0.6, 0.6), (0.3, 0.9), (0.9, 0.3)]
TAIL = 2000  # cycles for input beats that no window needs


@pytest.fixture(scope="module", params=quick(CASES, 3, 4, 5, 8, 11, 12), ids=str)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def module(case):
    return case.build()


@pytest.mark.parametrize("p_valid, p_ready", RATES)
def test_equals_im2col(case, module, p_valid, p_ready):
    beats, expected = case.frames(3, seed=1)
    run = module.run({"in": beats}, {"out": len(expected)}, seed=2, p_valid=p_valid, p_ready=p_ready, extra_cycles=TAIL)
    assert run.outputs["out"] == expected


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97, 1.6])
def test_reset_in_mid_frame(case, module, share):
    beats, expected = case.frames(2, seed=3)
    reset_at = int(share * max(case.in_beats, case.out_beats)) + 1
    run = module.run(
        {"in": beats}, {"out": len(expected)}, seed=4, p_valid=0.9, p_ready=0.9, reset_at=reset_at, extra_cycles=TAIL
    )
    assert run.outputs["out"] == expected


def cycles(module, case, frames):
    beats, expected = case.frames(frames, seed=5)
    return module.run({"in": beats}, {"out": len(expected)}, extra_cycles=TAIL).cycles


def test_no_cycle_is_lost(case, module):
    """After the rows of the first window a frame takes as many cycles as the longer of its two streams has beats."""
    frame = max(case.in_beats, case.out_beats)
    fill = (case.kernel - case.padding) * case.row_beats + 3
    assert cycles(module, case, 4) - cycles(module, case, 3) == frame
    assert cycles(module, case, 4) <= 4 * frame + fill


# Orders of a window and masks, against SlidingWindow.evaluate.


@dataclass(frozen=True)
class Layer:
    height: int
    width: int
    channels: int
    kernel: int
    stride: int
    padding: int
    p: int
    bits: int
    pad_value: int
    order: str

    def __str__(self):
        return (
            f"{self.height}x{self.width}x{self.channels}-k{self.kernel}s{self.stride}p{self.padding}"
            f"-P{self.p}-b{self.bits}-pad{self.pad_value}-{self.order}"
        )

    def node(self):
        return node_of("SlidingWindow", **vars(self))

    def frames(self, count: int, seed: int) -> tuple[list[int], list[int]]:
        """Input and output beats."""
        op, rng = self.node().op, np.random.default_rng(seed)
        shape = (count, self.height, self.width, self.channels)
        half = 1 << self.bits - 1
        maps = rng.choice([-1, 1], shape) if self.bits == 1 else rng.integers(-half, half, shape)
        return beats_of(maps, op.inputs()[0]), beats_of(op.evaluate(maps), op.outputs()[0])


LAYERS = [
    Layer(5, 7, 4, 3, 1, 1, 4, 1, 0, "tap"),  # masked, from here on
    Layer(6, 5, 6, 3, 2, 1, 2, 1, 0, "tap"),
    Layer(9, 6, 2, 5, 3, 2, 1, 1, 0, "tap"),
    Layer(1, 1, 8, 3, 1, 1, 8, 1, 0, "tap"),
    Layer(2, 3, 4, 5, 2, 2, 2, 1, 0, "tap"),  # the kernel is larger than the map
    Layer(8, 8, 6, 3, 1, 1, 6, 1, -1, "row"),
    Layer(5, 7, 4, 3, 2, 1, 12, 1, 1, "row"),  # all channels a beat
    Layer(7, 5, 3, 3, 1, 1, 3, 1, -1, "row"),  # a channel a beat
    Layer(6, 7, 4, 2, 2, 0, 4, 5, 0, "row"),  # integers, an even kernel, a row and a column that no window needs
    Layer(9, 6, 2, 5, 3, 2, 5, 1, -1, "row"),
    Layer(6, 5, 4, 1, 2, 0, 2, 3, 0, "row"),  # one tap: any order is the same
    Layer(6, 7, 4, 3, 1, 1, 9, 1, -1, "channel"),
    Layer(5, 6, 6, 3, 2, 1, 27, 1, 1, "channel"),
    Layer(4, 4, 2, 3, 1, 1, 18, 1, -1, "channel"),  # all channels a beat
    Layer(7, 5, 3, 2, 1, 1, 4, 8, -100, "channel"),
    Layer(2, 3, 4, 5, 2, 2, 50, 1, -1, "channel"),
    Layer(8, 8, 2, 3, 3, 0, 9, 2, 0, "channel"),
]


@pytest.fixture(scope="module", params=quick(LAYERS, 0, 2, 5, 8, 12, 14), ids=str)
def layer(request, tmp_path_factory):
    return request.param, module_of(request.param.node(), tmp_path_factory.mktemp("window"))


def check_layer(layer, frames, **options):
    case, module = layer
    beats, expected = case.frames(frames, seed=6)
    run = module.run({"in": beats}, {"out": len(expected)}, seed=7, extra_cycles=TAIL, **options)
    assert run.outputs["out"] == expected
    return run.cycles


@pytest.mark.parametrize("p_valid, p_ready", RATES)
def test_equals_evaluate(layer, p_valid, p_ready):
    check_layer(layer, 3, p_valid=p_valid, p_ready=p_ready)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97, 1.6])
def test_layers_after_reset_in_mid_frame(layer, share):
    check_layer(layer, 2, p_valid=0.9, p_ready=0.9, reset_at=int(share * layer[0].node().op.cycles()) + 1)


def test_layers_lose_no_cycle(layer):
    """A frame takes what the node says: a tap a cycle."""
    assert check_layer(layer, 4) - check_layer(layer, 3) == layer[0].node().op.cycles()


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Layer(4, 4, 4, 3, 1, 1, 4, 1, 1, "row"), "layer: order row needs p to be a multiple of 3, not 4"),
    ],
    ids=str,
)
def test_refuses_what_cannot_be_built(case, message):
    with pytest.raises(FlowError, match=message):
        cell_of(case.node())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"P": 6, "TapsTogether": 2}, "TapsTogether .2. is neither 1, Kernel nor its square"),
        ({"P": 2, "Masked": 1, "PadValue": 1}, "Masked needs Padding, PadValue 0 and TapsTogether 1"),
        ({"P": 9, "TapsTogether": 3}, "P .9. must divide Channels [*] TapsTogether .4 [*] 3."),
    ],
)
def test_module_refuses_what_it_cannot_do(parameters, message):
    p, together = parameters["P"], parameters.get("TapsTogether", 1)
    widths = {"in": p // together}, {"out": p + parameters.get("Masked", 0)}
    module = RtlModule("sliding_window", {"Height": 4, "Width": 4, "Channels": 4, **parameters}, *widths)
    with pytest.raises(RtlError, match=message):
        module.run({"in": []}, {"out": 0})
