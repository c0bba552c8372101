"""Tests that every pool passes. A test file imports them and gives the fixtures ``module``, a built pool, and ``beats``: a function of
(number of frames, seed) to their input and output beats."""

import pytest

from tests.rtl.streams import at_all_rates

__all__ = ["test_equals_its_definition", "test_reset_in_mid_frame", "test_takes_a_beat_every_cycle"]


@at_all_rates
def test_equals_its_definition(module, beats, p_valid, p_ready):
    sent, expected = beats(5, seed=1)
    run = module.run({"in": sent}, {"out": len(expected)}, seed=2, p_valid=p_valid, p_ready=p_ready)
    assert run.outputs["out"] == expected


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_reset_in_mid_frame(module, beats, share):
    sent, expected = beats(3, seed=3)
    run = module.run({"in": sent}, {"out": len(expected)}, seed=4, p_valid=0.9, reset_at=1 + int(share * len(sent) / 3))
    assert run.outputs["out"] == expected


def test_takes_a_beat_every_cycle(module, beats):
    sent, expected = beats(4, seed=5)
    run = module.run({"in": sent}, {"out": len(expected)})
    assert run.outputs["out"] == expected
    assert run.cycles == len(sent) + 1
