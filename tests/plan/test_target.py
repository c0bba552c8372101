"""Boards: which clocks they make, and what is said of a file that cannot be."""

import pytest
import yaml

import flow.plan.target
from flow import cli
from flow.emit.vivado import unsupported
from flow.errors import FlowError
from flow.plan.target import divisors, load_target


@pytest.fixture
def board(tmp_path, monkeypatch):
    """A function that makes `mine` the only board: pynq-z2 with other fields."""
    fields = load_target("pynq-z2").model_dump()
    (tmp_path / "targets").mkdir()
    monkeypatch.setattr(flow.plan.target.resources, "files", lambda _: tmp_path)

    def write(**changes):
        text = yaml.safe_dump({**fields, "name": "mine", **changes})
        (tmp_path / "targets" / "mine.yaml").write_text(text)
        return "mine"

    return write


@pytest.mark.parametrize(
    ("pll", "clock", "pair"),
    [
        (1000, 100, (5, 2)),
        (1600, 100, (4, 4)),
        (1000, 125, (4, 2)),
        (1000, 142.857, (7, 1)),
        (1000, 142.86, (7, 1)),
        (1000, 166.667, (3, 2)),
        (1000, 1000 / 61, (61, 1)),
        (1000, 1000 / 63**2, (63, 63)),
        (1000, 1000, (1, 1)),
    ],
)
def test_clocks_that_are_made(pll, clock, pair):
    assert divisors(pll, clock) == pair


@pytest.mark.parametrize(
    ("pll", "clock", "around"),
    [
        (1000, 75, "71.4286 or 76.9231"),
        (1000, 150, "142.857 or 166.667"),
        (1600, 142.857, "133.333 or 145.455"),
        (1000, 1000 / 67, "14.7059 or 15.1515"),  # 67 is prime, and no divider goes that far
        (1000, 2000, "1000"),
        (1000, 0.1, "0.251953"),
    ],
)
def test_clocks_that_are_not_made_name_those_around(pll, clock, around):
    with pytest.raises(ValueError, match=f"cannot be {clock:g} MHz.*PLL's {pll:g} MHz .*; use {around}$"):
        divisors(pll, clock)


@pytest.mark.parametrize("clock", [76.923, 111.111, 125, 142.857, 166.667])
def test_a_board_at_a_clock_of_its_pll(board, clock):
    assert load_target(board(clock_mhz=clock)).clock_mhz == clock


def test_a_clock_that_the_board_does_not_make_is_refused_before_work(board, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["build", "--target", board(clock_mhz=75), "--output", str(tmp_path / "out")])
    told = capsys.readouterr().err
    assert (
        stop.value.code == 1
        and "mine.yaml: the clock cannot be 75 MHz" in told
        and "use 71.4286 or 76.9231" in told.replace("\n", " ")
        and "Traceback" not in told
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clock_mhz": 0}, "mine.yaml: clock_mhz Input should be greater than 0"),
        ({"pll_mhz": "fast"}, "mine.yaml: pll_mhz Input should be a valid number"),
        ({"colour": "red"}, "mine.yaml: colour Extra inputs are not permitted"),
    ],
)
def test_impossible_fields_are_named(board, changes, message):
    with pytest.raises(FlowError, match=message):
        load_target(board(**changes))


@pytest.mark.parametrize("changes", [{"pll_mhz": None}, {"processor": {}}])
def test_scripts_need_to_know_how_the_clock_is_made(board, changes):
    target = load_target(board(**changes))
    assert "the Vivado scripts set its clock by pll_mhz and processor" in unsupported(target)


@pytest.mark.parametrize(("clock", "limit"), [(50, 0.38), (100, 0.76), (200, 1.2)])
def test_weights_come_through_one_port_of_64_bits(clock, limit):
    assert load_target("pynq-z2").ddr_limit(clock) == pytest.approx(limit)
