"""flow/report/hls.py: what Vitis HLS says is read, and what is not as it was meant stops the build by name."""

import pytest

from flow.errors import FlowError
from flow.report.hls import SOLUTION, read_hls_report, require_good

from .vitis import PLANNED, loop, module, report, sequential


@pytest.mark.parametrize(("version", "named"), [("2022.2", True), ("2024.2", False)])
def test_figures(project, version, named):
    folder = project(report(version, named=named))
    found = read_hls_report(folder)
    require_good(found, folder)
    assert found.remarks(PLANNED) == []
    assert found.as_dict() == {
        "tool": f"Vitis HLS {version}",
        "target_ns": 10.0,
        "uncertainty_ns": 2.7,
        "estimated_ns": 7.3,
        "frame_latency_cycles": 1781557,
        "frame_interval_cycles": 294912,
        "used": {"BRAM_18K": 120, "DSP": 31, "FF": 30000, "LUT": 41000},
        "available": {"BRAM_18K": 280, "DSP": 220, "FF": 106400, "LUT": 53200},
        "pipelined_loops": 1,
        "largest_ii": 1,
        "deepest_pipeline": 5,
        "pragmas_not_taken": [],
        "cosimulation": "Pass",
        "cosimulation_cycles": 1790000,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loops": loop("VITIS_LOOP_41_1", ii="2")},
            "loop VITIS_LOOP_41_1 of XnorPopcount_3 takes a beat every 2 cycles instead of 1",
        ),
        (
            {"loops": sequential("OUTER", loop("INNER", ii="4", named=False))},
            "loop OUTER of XnorPopcount_3 is no pipeline; loop INNER of XnorPopcount_3 takes a beat every 4 cycles",
        ),
        ({"loops": sequential("ALONE")}, "loop ALONE of XnorPopcount_3 is no pipeline"),
        ({"loops": loop("ODD", ii="~0")}, "loop ODD of XnorPopcount_3 is no pipeline"),
        ({"loops": ""}, "no loop is listed, so nothing says that one takes a beat a cycle"),
        ({"region": ""}, "no module is a dataflow region, so processes and frames do not overlap"),
        ({"modules": module("helper", "yes", interval="3")}, "loop (itself) of helper takes a beat every 3 cycles"),
        ({"estimated": "10.512"}, "the clock is estimated at 10.512 ns instead of 10"),
        ({"BRAM_18K": 281}, "BRAM_18K 281 of 280 on the device"),
        ({"LUT": 60000, "DSP": 300}, "DSP 300 of 220 on the device; LUT 60000 of 53200 on the device"),
    ],
)
def test_what_is_not_as_meant_stops_the_build(project, changes, message):
    folder = project(report(**changes))
    with pytest.raises(FlowError) as caught:
        require_good(read_hls_report(folder), folder)
    assert message in str(caught.value) and "made another accelerator than was meant" in str(caught.value)


def test_a_failed_cosimulation_stops_the_build(project):
    folder = project(report(), cosim="    Fail")
    with pytest.raises(FlowError, match="cosimulation ended with Fail"):
        require_good(read_hls_report(folder), folder)
    folder = project(report(), cosim="")
    with pytest.raises(FlowError, match="cosimulation ended with no result"):
        require_good(read_hls_report(folder), folder)


@pytest.mark.parametrize(
    ("changes", "cosim", "remark"),
    [
        ({"loops": loop("DEEP", depth="40")}, "Pass", "loop DEEP of XnorPopcount_3 has 40 stages, more than FIFOs"),
        ({"estimated": "7.674"}, "Pass", "estimated at 7.674 ns: 10 less 2.7 for what routing adds is violated"),
        ({}, None, "there is no report of a cosimulation: nothing compares the logits of the Verilog"),
        (
            {"region": module("dataflow_in_loop_VITIS_LOOP_300_1", "dataflow", interval="600000")},
            "Pass",
            "a frame takes 600,000 cycles by csynth.xml, and 294,912 by the plan",
        ),
        (
            {"region": module("dataflow_in_loop_VITIS_LOOP_300_1", "dataflow", interval="?")},
            "Pass",
            "csynth.xml does not know the cycles between two frames",
        ),
        (
            {
                "pragmas": '<Pragma type="pipeline" location="a.hpp:9" status="valid" options="II=1"/><Pragma '
                'type="dependence" location="b.hpp:60" status="invalid" options="variable=sums true"><Msg '
                'msg_id="207-5572" msg_severity="WARNING" msg_body="unknown HLS pragma ignored"/></Pragma>'
            },
            "Pass",
            "pragma dependence variable=sums true at b.hpp:60 is invalid by Vitis HLS: unknown HLS pragma ignored",
        ),
    ],
)
def test_what_may_be_wrong_is_said(project, changes, cosim, remark):
    """It stops nothing."""
    found = read_hls_report(project(report(**changes), cosim=cosim))
    assert found.issues() == []
    (line,) = found.remarks(PLANNED)
    assert remark in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "csynth.xml cannot be read .*: run run_hls.tcl in Vitis HLS first"),
        ("", "is no report of Vitis HLS"),
        ("<profile>", "is no report of Vitis HLS"),
        (report()[:2000], "is no report of Vitis HLS"),
        ('<?xml version="1.0" encoding="no-such"?><profile/>', "is no report of Vitis HLS"),
        ("<profile></profile>", "does not give AreaEstimates/Resources/BRAM_18K"),
        (report(LUT="~0"), "gives '~0' as AreaEstimates/Resources/LUT, which is no number"),
        (report(LUT="41,000"), "gives '41,000' as AreaEstimates/Resources/LUT, which is no number"),
        (report(estimated="undef"), "gives 'undef' as PerformanceEstimates/.*EstimatedClockPeriod, which is no number"),
        (report(estimated="nan"), "gives 'nan' as"),
        (report(estimated="7,3"), "gives '7,3' as"),
    ],
)
def test_what_is_no_report_is_refused(project, text, message):
    with pytest.raises(FlowError, match=message):
        read_hls_report(project(text))


def test_a_report_of_cosimulation_that_cannot_be_read(project):
    folder = project(report())
    path = folder / SOLUTION / "sim" / "report" / "accelerator_cosim.rpt"
    path.unlink()
    path.mkdir()
    with pytest.raises(FlowError, match="accelerator_cosim.rpt cannot be read"):
        read_hls_report(folder)
