"""flow/nodes/sliding_window.py, rtl/sliding_window.sv (with tap_gather) and hls/sliding_window.hpp.

What windows are is compared in test_window.py, too.
"""

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from flow.emit.core import call_of, cell_of
from flow.nodes import Cost, NodeError, Stream
from flow.nodes.windows import Windows
from tests.nodes.harness import SLOW, Case, NodeTests, any_shape, hardware_node, hardware_op, random_signs
from tests.nodes.refusals import assert_header_refuses, assert_module_refuses, assert_refused

ORDERS = {"tap": 1, "row": 3, "channel": 9}  # taps of a channel side by side, for a kernel of 3
# axes of torch's weights [O, C, KH, KW] in each order
WEIGHT_AXES = {"tap": (0, 2, 3, 1), "row": (0, 2, 1, 3), "channel": (0, 1, 2, 3)}


def case(height, width, channels, kernel, stride, padding, p, bits=1, pad_value=0, order="tap", rtl=SLOW, **options):
    """A node; ``kernel``, ``stride`` and ``padding`` are numbers, or as ONNX has them. ``dilation`` and ``block`` are
    attributes, other ``options`` those of the case."""
    attributes = {"height": height, "width": width, "channels": channels, "kernel": kernel, "stride": stride}
    attributes |= {"padding": padding, "p": p, "bits": bits, "pad_value": pad_value, "order": order}
    more = {name: options.pop(name) for name in ("dilation", "block") if name in options}
    shape = f"k{written(kernel)}s{written(stride)}p{written(padding)}" + "".join(
        f"{name[0]}{written(value)}" for name, value in more.items()
    )
    label = f"{height}x{width}x{channels}-{shape}-P{p}-b{bits}-pad{pad_value}-{order}"
    return Case("SlidingWindow", attributes | more, rtl=rtl, label=label, **options)


def written(value) -> str:
    return str(value) if isinstance(value, int) else "x".join(map(str, value))


def any_window(choose, rtl=SLOW):
    """A case of any shape, by ``choose(low, high)``: an integer, both ends included."""
    kernel, stride, dilation = (
        (choose(1, 4), choose(1, 4)),
        (choose(1, 3), choose(1, 3)),
        (choose(1, 3), choose(1, 2)),
    )
    reach = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilation)]
    padding = tuple(choose(0, side - 1) for side in reach * 2)
    least = [max(1, side - before - after) for side, before, after in zip(reach, padding, padding[2:])]
    if choose(0, 3) == 0:  # a signal: a map of one row
        kernel, dilation, padding, least[0] = (1, kernel[1]), (1, dilation[1]), (0, padding[1], 0, padding[3]), 1
        height, width = 1, choose(least[1], least[1] + 9)
    else:
        height, width = (choose(side, side + 5) for side in least)
    order = ["tap", "row", "channel", "block"][choose(0, 3)]
    together = {"row": kernel[1], "channel": kernel[0] * kernel[1]}.get(order, 1)
    read, block, blocks, bits = choose(1, 4), choose(1, 2), choose(1, 3), [1, 1, 4][choose(0, 2)]
    # zeros among signs are a bit of a beat, which holds one tap then
    pad_value = choose(-1, 1) if bits > 1 or together == 1 else 2 * choose(0, 1) - 1
    options = {"dilation": dilation, "block": read * block} if order == "block" else {"dilation": dilation}
    shape = height, width, read * block * blocks, kernel, stride, padding
    return case(*shape, read * together, bits, pad_value, order, rtl, **options)


def random_case(seed, rtl=SLOW):
    rng = np.random.default_rng(seed)
    return any_window(lambda low, high: int(rng.integers(low, high + 1)), rtl)


def places(op):
    """The taps (row, column) and channels of a window, in its order."""
    rows, columns, channels = (range(size) for size in (*op.kernel, op.channels))
    size = op.block or op.p
    blocks = [range(first, first + size) for first in range(0, op.channels, size)] if op.order == "block" else []
    return {
        "tap": [(r, k, c) for r in rows for k in columns for c in channels],
        "row": [(r, k, c) for r in rows for c in channels for k in columns],
        "channel": [(r, k, c) for c in channels for r in rows for k in columns],
        "block": [(r, k, c) for block in blocks for r in rows for k in columns for c in block],
    }[op.order]


class TestSlidingWindow(NodeTests):
    cases = [
        # of networks
        case(32, 32, 64, 3, 1, 1, 32, pad_value=-1),
        case(32, 32, 64, 3, 2, 1, 32, pad_value=-1),
        case(8, 8, 256, 3, 1, 1, 64, pad_value=-1),
        case(8, 8, 256, 3, 2, 1, 32, pad_value=-1),
        case(32, 32, 3, 3, 1, 1, 3, bits=8, rtl=True),
        # odd ones
        case(5, 7, 6, 3, 1, 1, 2, bits=3, pad_value=-3, rtl=True),
        case(5, 7, 4, 3, 2, 1, 4, pad_value=1, rtl=True),
        case(6, 5, 8, 1, 1, 0, 4),
        case(7, 6, 8, 1, 2, 0, 4),  # a column no window needs
        case(8, 8, 2, 3, 3, 0, 1, bits=5, rtl=True),  # two rows and columns no window needs
        case(5, 6, 4, 3, 1, 0, 2),  # as many rows new at a frame border as the kernel has
        case(7, 5, 2, 5, 1, 2, 1, bits=8, pad_value=-56),
        case(9, 6, 2, 5, 3, 2, 2, pad_value=-1, rtl=True),  # the window enters the map by less than a stride
        case(2, 3, 4, 5, 2, 2, 2, pad_value=-1, rtl=True),  # the kernel is larger than the map
        case(1, 1, 8, 3, 1, 1, 8, pad_value=-1),
        case(1, 1, 1, 1, 1, 0, 1),
        case(1, 1, 2, 3, 1, 1, 1, pad_value=1),  # padding all around
        case(5, 7, 4, 3, 1, 1, 2, bits=8, pad_value=-1),
        case(5, 7, 4, 3, 1, 0, 4),
        case(6, 4, 2, 2, 3, 0, 2),  # pixels between windows, and a row after them
        case(7, 8, 2, 5, 2, 2, 2, pad_value=-1),
        case(2, 3, 2, 5, 1, 3, 1, pad_value=-1),
        case(8, 8, 8, 1, 2, 0, 2, bits=8),  # more reads than writes, the last row unused
        # masked
        case(5, 7, 4, 3, 1, 1, 4, rtl=True),
        case(6, 5, 6, 3, 2, 1, 2),
        case(9, 6, 2, 5, 3, 2, 1, rtl=True),
        case(1, 1, 8, 3, 1, 1, 8),
        case(2, 3, 4, 5, 2, 2, 2),
        case(5, 7, 4, 3, 1, 1, 2),
        case(3, 4, 2, 3, 2, 2, 1),
        case(4, 4, 128, 3, 2, 1, 64),  # beats of 65 bits
        case(1, 1, 2, 5, 1, 2, 2),
        # rows of taps
        case(8, 8, 6, 3, 1, 1, 6, 1, -1, "row", rtl=True),
        case(5, 7, 4, 3, 2, 1, 12, 1, 1, "row"),  # all channels a beat
        case(7, 5, 3, 3, 1, 1, 3, 1, -1, "row"),  # a channel a beat
        case(6, 7, 4, 2, 2, 0, 4, 5, 0, "row", rtl=True),  # an even kernel, a row and a column that no window needs
        case(9, 6, 2, 5, 3, 2, 5, 1, -1, "row"),
        case(6, 5, 4, 1, 2, 0, 2, 3, 0, "row"),  # one tap: any order is the same
        case(5, 7, 4, 3, 1, 1, 6, 1, -1, "row"),
        case(5, 4, 3, 3, 2, 1, 3, 1, 1, "row"),
        case(4, 4, 32, 3, 1, 1, 96, 1, 1, "row"),
        case(5, 6, 4, 2, 2, 1, 4, 8, -128, "row"),
        case(4, 4, 4, 1, 1, 0, 2, 1, 0, "row"),
        case(8, 8, 6, 2, 5, 0, 4, 1, 0, "row"),  # more reads than writes
        # channels
        case(6, 7, 4, 3, 1, 1, 9, 1, -1, "channel"),
        case(5, 6, 6, 3, 2, 1, 27, 1, 1, "channel", rtl=True),
        case(4, 4, 2, 3, 1, 1, 18, 1, -1, "channel"),  # all channels a beat
        case(7, 5, 3, 2, 1, 1, 4, 8, -100, "channel", rtl=True),
        case(2, 3, 4, 5, 2, 2, 50, 1, -1, "channel"),
        case(8, 8, 2, 3, 3, 0, 9, 2, 0, "channel"),
        case(5, 7, 4, 3, 1, 1, 18, 1, -1, "channel"),
        case(6, 5, 3, 3, 2, 1, 9, 1, 1, "channel"),
        case(4, 4, 8, 3, 1, 1, 72, 1, -1, "channel"),
        case(4, 5, 2, 2, 1, 1, 4, 9, 255, "channel"),
        case(2, 2, 2, 5, 1, 3, 50, 1, -1, "channel"),
        # rows unlike columns
        case(5, 7, 4, (1, 3), (1, 2), (0, 1, 0, 1), 2, pad_value=-1),
        case(6, 9, 4, (3, 5), (2, 1), (1, 2, 1, 2), 4, rtl=True),  # masked
        case(8, 8, 2, 3, 2, (0, 0, 1, 1), 2, 8, -3, rtl=True),  # as TensorFlow pads to the same size
        case(7, 4, 3, (4, 1), 1, (3, 0, 0, 0), 1, 4, 2),  # causal: padded above only
        case(9, 8, 4, 3, 1, 2, 2, 1, -1, dilation=2, rtl=True),
        case(9, 8, 2, (2, 3), (3, 1), (0, 1, 2, 1), 6, 5, 7, "row", dilation=(3, 1)),
        case(8, 9, 4, (3, 2), (2, 2), (3, 0, 1, 1), 12, 1, 1, "channel", dilation=(2, 1), rtl=True),
        case(3, 3, 2, 3, 2, 5, 1, 1, 1, dilation=3),  # more padding than map
        # signals: maps of one row
        case(1, 40, 8, (1, 3), (1, 2), (0, 1, 0, 1), 4, 8, 0, rtl=True),
        case(1, 20, 4, (1, 5), 1, (0, 4, 0, 0), 4, 1, -1, dilation=(1, 1)),
        case(1, 21, 3, (1, 3), 1, (0, 2, 0, 2), 9, 4, 0, "row", dilation=(1, 2), rtl=True),
        case(1, 9, 4, 1, (1, 2), 0, 4, 8),  # a row of windows is one word
        case(1, 7, 2, 3, 1, 1, 2, 8),  # rows of padding around it
        # blocks of channels
        case(6, 7, 8, 3, 1, 1, 2, 1, 0, "block", rtl=True),  # masked, blocks of a beat
        case(5, 6, 12, (2, 3), (1, 2), (1, 1, 0, 1), 2, 4, -8, "block", block=6, rtl=True),
        case(5, 6, 8, 3, 1, 2, 4, 8, 0, "block", block=4, dilation=2),
        case(1, 12, 6, (1, 4), (1, 3), 0, 3, 5, 0, "block"),
        case(4, 5, 6, 1, 2, 0, 2, 8, 0, "block"),
        case(4, 5, 6, 3, 1, 1, 2, 8, 0, "block", block=6),  # one block: order tap
        *map(random_case, range(30)),
    ]
    resets = (0.05, 0.5, 0.97, 1.6)
    tail = 2000  # input beats that no window needs

    @staticmethod
    def reference(op, streams, constants):
        """Window by window's element: its tap of a padded map."""
        (x,), (top, left, bottom, right) = streams, op.padding
        padded = np.full((len(x), top + op.height + bottom, left + op.width + right, op.channels), op.pad_value)
        padded[:, top : top + op.height, left : left + op.width] = x
        (rows, columns), (down, across) = op.dilation, op.stride
        tops = np.arange(0, padded.shape[1] - (op.kernel[0] - 1) * rows, down)
        lefts = np.arange(0, padded.shape[2] - (op.kernel[1] - 1) * columns, across)
        elements = [padded[:, tops + r * rows][:, :, lefts + k * columns][..., c] for r, k, c in places(op)]
        return np.stack(elements, axis=-1)

    def check_rate(self, rtl):
        """After the rows of the first window a frame takes what the node says: a tap a cycle, or its input's beats."""
        op = rtl.case.op
        all_frames = rtl.check(extra_cycles=self.tail).cycles
        assert all_frames - rtl.check(rtl.case.frames - 1, extra_cycles=self.tail).cycles == op.cycles()
        if op.order == "tap":
            fill = (op.reach[0] - op.padding[0]) * op.inputs()[0].beats // op.height + 3
            assert all_frames <= rtl.case.frames * op.cycles() + fill


@st.composite
def any_case(draw):
    return any_window(lambda low, high: draw(st.integers(low, high)))


test_any_shape = any_shape(TestSlidingWindow, any_case())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (1, 0), (2, 2)])
def test_convolution_equals_torch(order, stride, padding):
    """Zero padding: a product of windows and weights in the same order is torch's conv2d."""
    op = case(5, 6, 4, 3, stride, padding, ORDERS[order], 8, 0, order).op
    rng = np.random.default_rng(stride)
    x, weights = rng.integers(-128, 128, (2, 5, 6, 4)), rng.integers(-128, 128, (3, 4, 3, 3))
    images = torch.tensor(x).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.conv2d(images, torch.tensor(weights).double(), stride=stride, padding=padding)
    sums = op.evaluate(x) @ weights.transpose(WEIGHT_AXES[order]).reshape(3, -1).T
    np.testing.assert_array_equal(sums, expected.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize(("order", "together"), ORDERS.items())
def test_a_beat_holds_whole_rows_of_taps(order, together):
    """A beat of p elements has p / together neighbouring channels with their taps: those of one input beat."""
    op = case(5, 6, 4, 3, 1, 0, 2 * together, 8, 0, order).op
    x = np.broadcast_to(np.arange(4), (1, 5, 6, 4))  # every element is the number of its channel
    (taken,), (given,) = op.inputs(), op.outputs()
    assert (taken.parallel, given.parallel) == (2, 2 * together)
    beats = op.evaluate(x).reshape(-1, given.parallel).tolist()
    blocks = [[channel for channel in pair for _ in range(together)] for pair in ([0, 1], [2, 3])]
    assert all(beat in blocks for beat in beats)
    assert len(beats) == given.beats
    assert op.cycles() == max(taken.beats, given.beats * together)
    assert op.works_ahead() == (36 if together > 1 else 0)


@pytest.mark.parametrize(
    ("bits", "padding", "pad_value", "masked"),
    [(1, 1, 0, True), (1, 1, -1, False), (1, 1, 1, False), (1, 0, 0, False), (8, 1, 0, False)],
)
def test_only_zeros_among_signs_are_masked(bits, padding, pad_value, masked):
    op = case(5, 6, 4, 3, 1, padding, 2, bits, pad_value).op
    (stream,) = op.outputs()
    windows = op.evaluate(random_signs(1, 2, 5, 6, 4))
    assert stream == Stream(3 + 2 * padding, 4 + 2 * padding, 36, 2, bits, masked=masked)
    assert stream.beat_bits == 2 * bits + masked
    assert stream.datatype == {True: "TERNARY", False: "BIPOLAR" if bits == 1 else "INT8"}[masked]
    assert (windows == 0).any() == (padding > 0 and pad_value == 0)


def test_a_masked_beat_is_0_as_a_whole_or_not_at_all():
    """In tap order all elements of a beat are of one tap, so a bit a beat tells where it lies."""
    op = case(5, 6, 4, 3, 1, 1, 2).op
    beats = op.evaluate(random_signs(1, 1, 5, 6, 4)).reshape(-1, op.p)
    assert set((beats == 0).sum(axis=1)) == {0, op.p}


def test_its_quick_form_puts_the_windows_off():
    node = case(5, 6, 4, 3, 1, 1, 2)
    result = node.op.quick()(node.streams[0])
    assert isinstance(result, Windows)
    assert result.map is node.streams[0]


def test_a_single_tap_is_a_wire():
    wire = case(5, 6, 4, 1, 1, 0, 2).op
    assert wire.is_wire and wire.lag() == 0 and wire.cost() == Cost()
    assert not case(5, 6, 4, 1, (1, 2), 0, 2).op.is_wire
    assert not case(5, 6, 4, 3, 1, 1, 2).op.is_wire


def test_it_waits_for_the_rows_above_its_first_window():
    assert case(5, 6, 4, 3, 1, 1, 2).op.lag() == (1 * 6 + 2) / 30
    assert case(8, 6, 4, (3, 2), 1, (2, 0, 0, 0), 2, dilation=2).op.lag() == (2 * 6 + 3) / 48
    assert case(1, 30, 4, (1, 5), 1, (0, 4, 0, 0), 2).op.lag() == 1 / 30


@pytest.mark.parametrize("order", ["tap", "row", "channel", "block"])
def test_a_signal_is_buffered_pixel_by_pixel(order):
    """The buffer of a map of one row holds a window and a step of it, not the row."""
    op = case(1, 1000, 4, (1, 5), (1, 2), (0, 2, 0, 2), 4, 8, 0, order, dilation=(1, 3)).op
    op = op.variant(p=4 * op.taps_together)
    (rows,) = call_of(hardware_node(op)).arrays
    assert rows.words * rows.bits == (13 + 2) * 4 * 8


# refusals


def test_an_unknown_order_is_refused():
    with pytest.raises(NodeError, match="^order 'raster' is none of tap, row, channel, block$"):
        hardware_op("SlidingWindow", kernel=3, order="raster").inputs()


BLOCKS = "blocks of {} channels are no whole beats of {}, or do not divide 4 channels"
ZEROS = (
    "windows of order row are padded with -1 or +1, not 0, as one bit a beat says that it lies outside: "
    "set pad_value, or order tap"
)


@pytest.mark.parametrize("emit", [cell_of, call_of])
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"order": "row", "p": 4}, "order row needs p to be a multiple of 3, not 4: set simd so"),
        ({"order": "row", "p": 8}, "order row needs p to be a multiple of 3, not 8: set simd so"),
        ({"order": "channel", "p": 12}, "order channel needs p to be a multiple of 9, not 12: set simd so"),
        ({"order": "row", "p": 3, "pad_value": 0}, ZEROS),
        ({"order": "raster"}, "order 'raster' is none of tap, row, channel, block"),
        (
            {"order": "row", "kernel": (1, 2), "padding": (0, 1), "p": 3},
            "order row needs p to be a multiple of 2, not 3: set simd so",
        ),
        ({"p": 3}, BLOCKS.format(4, 3)),
        ({"order": "block", "block": 3, "p": 3}, BLOCKS.format(3, 3)),
        ({"order": "block", "block": 2, "p": 4}, BLOCKS.format(2, 4)),
        (
            {"kernel": (2, 9), "padding": (0, 2)},
            "kernel (2, 9) reaches over 2x9 pixels, more than the padded map's 4x8: use a smaller one, or pad more",
        ),
        (
            {"kernel": (2, 1), "padding": (1, 0, 2, 0)},
            "padding (1, 0, 2, 0) holds whole windows of kernel (2, 1): pad less than a window on each side",
        ),
    ],
)
def test_refuses(emit, attributes, message):
    size = {"height": 4, "width": 4, "channels": 4, "kernel": 3, "padding": 1, "bits": 1, "pad_value": 1}
    assert_refused(emit, message, "SlidingWindow", **{**size, **attributes})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"P": 6, "TapsTogether": 2}, "TapsTogether .2. is neither 1, KernelColumns .3. nor KernelRows .3. times that"),
        ({"P": 2, "Masked": 1, "PadValue": 1}, "Masked needs padding, PadValue 0 and TapsTogether 1"),
        ({"P": 9, "TapsTogether": 3}, "P .9. must divide Channels [*] TapsTogether .4 [*] 3."),
        ({"P": 2, "Block": 3}, "P .2. must divide Block .3., and that Channels .4."),
        ({"P": 2, "DilationRows": 0}, "kernel .3x3., stride .1x1. and dilation .0x1. must be at least 1"),
        ({"P": 2, "PadBottom": 5, "DilationRows": 2}, "padding .1, 1, 5, 1. must be below a window's 5x3 pixels"),
        ({"P": 2, "KernelColumns": 7}, "a window of 3x7 pixels is larger than the padded map 6x6"),
    ],
)
def test_the_module_refuses(parameters, message):
    p, together = parameters["P"], parameters.get("TapsTogether", 1)
    widths = {"in": p // together}, {"out": p + parameters.get("Masked", 0)}
    assert_module_refuses(message, "sliding_window", {"Height": 4, "Width": 4, "Channels": 4, **parameters}, *widths)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (case(4, 4, 4, 3, 1, 1, 3, pad_value=-1), "P / Taps must divide Channels"),
        (case(4, 4, 4, 3, 1, 3, 4, pad_value=-1), "padding must be smaller than a window"),
        (case(4, 4, 4, 3, 1, 1, 4, 1, -1, "block", block=2), "P must divide Block, and that Channels"),
        (case(4, 4, 4, (3, 7), 1, 1, 4, pad_value=-1), "a window over the map"),
    ],
)
def test_the_header_refuses(node, message, tmp_path, monkeypatch):
    monkeypatch.setattr(type(node.op), "_check", lambda op: None)  # which refuses them first
    call, p = call_of(node.node), node.op.p
    parameters = tuple(call.parameters.values())
    rows = {"rows": f"static ap_uint<{p}> rows[{call.arrays[0].words}]"}
    assert_header_refuses(message, "sliding_window", parameters, tmp_path, {"in": p}, {"out": p}, rows)
