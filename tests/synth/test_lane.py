"""One lane of a binary engine through Yosys: the LUTs that benchmarks/lane.py measures."""

from benchmarks.lane import measure
from tests.synth.test_yosys import installed


@installed
def test_a_lane_of_64_signs_takes_80_luts():
    (row,) = measure([(64, 0)]).values()
    assert row["lane"]["lut"] <= 80 and row["lane"]["lut"] < 0.6 * row["countones"]["lut"]


@installed
def test_votes_of_three_cost_less_than_signs():
    votes, signs = measure([(66, 3), (64, 0)]).values()
    assert votes["lane"]["lut"] <= 46 < signs["lane"]["lut"]
