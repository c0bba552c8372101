"""What flow/emit/vivado.py reads from the reports of a build."""

import shutil

import pytest

from flow.emit.vivado import read_reports
from flow.errors import FlowError
from tests.emit.projects import SAMPLES


@pytest.fixture
def reports(tmp_path):
    shutil.copytree(SAMPLES, tmp_path / "reports")
    return tmp_path


def test_reports(reports):
    assert read_reports(reports) == {
        "lut": 25770,
        "ff": 42269,
        "bram36": 121.5,
        "dsp": 24,
        "worst_negative_slack_ns": -0.471,
        "power_w": 1.795,
        "tool": "Vivado v.2022.1",
    }


def test_reports_of_older_versions(reports):
    """Without the column Prohibited, and with a remark at the LUTs."""
    path = reports / "reports" / "utilization.rpt"
    text = (
        path.read_text().replace("| Prohibited ", "").replace("|          0 ", "").replace("Slice LUTs ", "Slice LUTs*")
    )
    path.write_text(text)
    assert read_reports(reports)["lut"] == 25770 and read_reports(reports)["bram36"] == 121.5


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("utilization", "| DSPs ", "| DSQs ", "utilization.rpt does not give DSPs"),
        ("utilization", "Block RAM Tile", "Block RAM", "utilization.rpt does not give Block RAM Tile"),
        ("timing", "     -0.471 ", "         NA ", r"timing.rpt does not give WNS\(ns\)"),
        ("timing", "Design Timing Summary", "Inter Clock Table", r"timing.rpt does not give WNS\(ns\)"),
        ("power", "| 1.795 ", "| N/A   ", r"power.rpt does not give Total On-Chip Power \(W\)"),
        ("utilization", "Tool Version", "Tool", "utilization.rpt does not give Tool Version"),
    ],
)
def test_reports_that_lack_a_figure(reports, name, old, new, message):
    path = reports / "reports" / f"{name}.rpt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FlowError, match=message):
        read_reports(reports)


def test_reports_that_are_missing(reports):
    (reports / "reports" / "power.rpt").unlink()
    with pytest.raises(FlowError, match="power.rpt cannot be read .*run build.tcl in Vivado first"):
        read_reports(reports)
