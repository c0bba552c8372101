"""flow/ops/xnor_popcount.py and weight_stationary.py against torch's convolution; test_votes.py has the activations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flow.ops.base import Stream
from tests.ops.nodes import hardware_op, random_signs

FEW = settings(max_examples=25, deadline=None)
FEATURES = 4


def sums_by_torch(x, weights, stride, padding, pad_value):
    """[N, OH, OW, O] of x [N, H, W, C] and weights [O, K, K, C]."""
    images = torch.nn.functional.pad(torch.tensor(x).permute(0, 3, 1, 2).double(), [padding] * 4, value=pad_value)
    sums = torch.nn.functional.conv2d(images, torch.tensor(weights).permute(0, 3, 1, 2).double(), stride=stride)
    return sums.permute(0, 2, 3, 1).numpy()


@FEW
@given(
    st.integers(3, 6),
    st.integers(3, 6),
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.integers(1, 2),
    st.integers(0, 1),
    st.sampled_from([-1, 0, 1]),
    st.integers(-4, 4),
)
def test_binary_convolution(height, width, channels, kernel, stride, padding, pad_value, threshold):
    """SlidingWindow and XnorPopcount, and WeightStationary which is both, for every way of padding."""
    x, weights = (
        random_signs(channels, 2, height, width, channels),
        random_signs(kernel, FEATURES, kernel, kernel, channels),
    )
    geometry = {
        "height": height,
        "width": width,
        "channels": channels,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "pad_value": pad_value,
    }
    vote = {"features": FEATURES, "activation": "majority_vote", "threshold": threshold}
    window = hardware_op("SlidingWindow", bits=1, **geometry)
    (stream,) = window.outputs()
    engine = hardware_op(
        "XnorPopcount",
        height=stream.height,
        width=stream.width,
        channels=stream.channels,
        masked=int(stream.masked),
        **vote,
    )
    stationary = hardware_op("WeightStationary", **geometry, **vote)
    expected = np.where(sums_by_torch(x, weights, stride, padding, pad_value) >= threshold, 1, -1)
    rows = weights.reshape(FEATURES, -1)
    assert engine.inputs() == [stream]
    np.testing.assert_array_equal(engine.evaluate(window.evaluate(x), rows), expected)
    np.testing.assert_array_equal(stationary.evaluate(x, rows), expected)


@pytest.mark.parametrize(
    ("activation", "bits"), [("majority_vote", 1), ("threshold", 1), ("popcount_scale", 9), ("sum", 9)]
)
def test_streams_cycles_and_operations(activation, bits):
    op = hardware_op(
        "XnorPopcount", height=4, width=3, channels=36, features=8, activation=activation, out_bits=9, pe=2, simd=6
    )
    assert op.inputs() == [Stream(4, 3, 36, 6, 1)]
    assert op.outputs() == [Stream(4, 3, 8, 2, bits)]
    assert op.cycles() == 12 * 4 * 6  # pixels, passes, beats of a window
    multiplications = {"popcount_mul": 12 * 8} if activation == "popcount_scale" else {}
    assert op.operations() == {"binary_mac": 12 * 8 * 36} | multiplications
