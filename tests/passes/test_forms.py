"""The node that stands for a chain gives all its results, whichever is the cheapest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow import nodes
from flow.passes.forms import Form, exact_form, nearest_form
from flow.passes.response import MOST_THRESHOLDS, Response

from .test_response import CURVES, chain_of, real, run


def evaluated(form, integers, bits):
    """The results [K, 4] of the node on integers [K]."""
    op = nodes.find(form.kind)(height=1, width=len(integers), channels=4, bits=bits, **form.attributes)
    x = np.broadcast_to(integers[None, None, :, None], (1, 1, len(integers), 4))
    return op.evaluate(x, *(np.asarray(c, np.int64) for c in form.constants))[0, 0]


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(CURVES), st.integers(0, 10**6), st.integers(2, 7), st.integers(0, 1))
def test_exact_forms_are_exact(kind, seed, out_bits, signed):
    model, chain = chain_of(kind, seed, 0.1937, out_bits, signed)
    response = Response.of(model, chain, -64, 63, real, 4, 0.1937)
    form = exact_form(response, model, chain, real, 7, out_bits + 1 - signed)
    if form is None:
        assert response.rises.shape[1] + response.falls.shape[1] + np.ptp(response.base) > MOST_THRESHOLDS - 1
        return
    integers = np.arange(-64, 64)
    np.testing.assert_array_equal(evaluated(form, integers, 7), run(model, chain, integers, 0.1937))


@pytest.mark.parametrize(
    ("kind", "scale", "bits", "expected"),
    [("HardSwish", 0.5131, 3, "MultiThreshold"), ("LeakyRelu", 0.05131, 7, "PReLU")],
)
def test_the_form_of_channels_of_their_own(kind, scale, bits, expected):
    model, chain = chain_of(kind, 3, scale, bits)
    response = Response.of(model, chain, -64, 63, real, 4, scale)
    assert exact_form(response, model, chain, real, 7, bits).kind == expected


def test_the_cheapest_is_taken():
    """Two steps that all channels share cost less than a table of 4,096 values."""
    response = Response(-2048, 2047, 1, np.zeros(4, int), np.tile([-5, 7], (4, 1)), np.zeros((4, 0), int))
    model, chain = chain_of("Relu", 0, 1.0, 3)
    assert exact_form(response, model, chain, real, 12, 3).kind == "MultiThreshold"
    table = Form("ValueTable", [], {"out_bits": 3})
    assert table.price(12, 4) > Form("MultiThreshold", [], {"steps": 2, "out_bits": 3}).price(12, 4)


def test_the_nearest_lines_say_how_far_they_are():
    model, chain = chain_of("Sigmoid", 1, 0.01, 8)
    response = Response.of(model, chain, -64, 63, real, 4, 0.01)
    nearest = nearest_form(response, model, chain, real, 8)
    integers = np.arange(-64, 64)
    error = np.abs(evaluated(nearest.form, integers, 7) - run(model, chain, integers, 0.01))
    assert nearest.largest == error.max() > 1 and nearest.note()["largest_error"] == error.max()
