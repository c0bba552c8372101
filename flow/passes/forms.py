"""Nodes that equal a chain of constants and bends between two streams, the cheapest that is exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flow import nodes
from flow.nodes.multi_threshold import MOST
from flow.nodes.stream import signed_bits
from flow.nodes.value_table import WIDEST

from .lines import line_results, nearest_lines
from .response import MOST_THRESHOLDS, Response

DSP, BRAM36 = 50, 300  # look-up tables that one is worth


@dataclass(frozen=True)
class Form:
    """A node of ``kind`` with its constants and attributes."""

    kind: str
    constants: list[np.ndarray]
    attributes: dict

    def price(self, bits: int, channels: int) -> float:
        """Return its cost for one element a beat, in look-up tables."""
        op = nodes.find(self.kind)(height=1, width=1, channels=channels, bits=bits, **self.attributes)
        cost = op.cost()
        return cost.lut + DSP * cost.dsp + BRAM36 * cost.bram36


def exact_form(response: Response, model, chain, real, bits: int, out_bits: int) -> Form | None:
    """Return the cheapest node that gives the response to a stream of ``bits`` bits, or None where none does."""
    forms = [
        *_thresholds(response, bits, out_bits),
        *_lines(response, model, chain, real, out_bits),
        *_table(response, bits, out_bits),
    ]
    return min(forms, key=lambda form: form.price(bits, len(response.base)), default=None)


def many_thresholds(response: Response, bits: int, out_bits: int) -> Form | None:
    """Return a MultiThreshold of up to 255 steps that gives the response, or None: costly, where there is no other."""
    return next(_thresholds(response, bits, out_bits, MOST), None)


def form_nodes(rewriter, stream, forms, bits: int):
    """Add the nodes of ``forms`` behind a stream of ``bits`` bits; return the stream behind the last."""
    for form in forms:
        stream = rewriter.node(form.kind, stream, form.constants, bits=bits, **form.attributes)
        bits = form.attributes.get("out_bits", 1)
    return stream


@dataclass(frozen=True)
class Nearest:
    """The nearest form, and how its results differ from the chain's: by ``largest`` at most, in ``differ`` of
    ``values``."""

    form: Form
    largest: int
    differ: int
    values: int

    def note(self) -> dict:
        """Return what the metadata say of it."""
        what = {"what": "two lines", "largest_error": float(self.largest), "values": self.values}
        return {**what, "differ": self.differ}


def nearest_form(response: Response, model, chain, real, out_bits: int) -> Nearest:
    """Return the two lines a channel that are nearest to the response; what they miss are halves that are rounded to
    even, where it is straight."""
    found = []
    for steps in response.bends(model, chain, real, out_bits):
        x, table = response.points(np.stack([steps - response.stride, steps]))
        lines, shift = nearest_lines(x, table, steps, out_bits)
        error = np.abs(line_results(x, steps, lines, shift, out_bits) - table)
        form = Form("PReLU", [steps, *lines], {"shift": shift, "out_bits": out_bits})
        found.append(Nearest(form, int(error.max()), int((error > 0).sum()), error.size))
    return min(found, key=lambda one: (one.largest, one.differ))


def _thresholds(response, bits, out_bits, most=MOST_THRESHOLDS):
    found = response.thresholds(most)
    if found is None:
        return
    thresholds, falls, base = found
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    thresholds = np.where(thresholds > response.high, high + 1, np.where(thresholds <= response.low, low, thresholds))
    out_bits = max(out_bits, signed_bits(base, base + thresholds.shape[1] - falls) if not falls else out_bits)
    steps = thresholds.shape[1] - falls
    yield Form("MultiThreshold", [thresholds], {"steps": steps, "falls": falls, "base": base, "out_bits": out_bits})


def _lines(response, model, chain, real, out_bits):
    found = response.lines(model, chain, real, out_bits, chain[-1])
    if found is not None:
        constants, shift = found
        yield Form("PReLU", list(constants), {"shift": shift, "out_bits": out_bits})


def _table(response, bits, out_bits):
    same = all((rows == rows[:1]).all() for rows in (response.base[:, None], response.rises, response.falls))
    if bits > WIDEST or not same or response.stride != 1:
        return
    one = Response(response.low, response.high, 1, response.base[:1], response.rises[:1], response.falls[:1])
    integers = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
    table = one.results(np.clip(integers, response.low, response.high)[:, None])[:, 0]
    yield Form("ValueTable", [table], {"out_bits": max(2, out_bits)})
