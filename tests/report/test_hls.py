"""flow/report/hls.py: what Vitis HLS says is read, and what is not as it was meant stops the build by name.

The samples have the elements and order of csynth.xml as public reports of 2022.2 and 2024.2 show them; none was made
from this accelerator, as no Vitis HLS was at hand.
"""

import pytest

from flow.errors import FlowError
from flow.report.hls import SOLUTION, read_hls_report, require_good

COSIM = """
+----------+----------+-----------------------------------------+-----------------------------------------+
|          |          |             Latency(Clock Cycles)             |              Interval(Clock Cycles)           |
|   RTL    |  Status  +-----------------------------------------+-----------------------------------------+
|          |          |      min      |      avg      |      max      |      min      |      avg      |      max      |
+----------+----------+-----------------------------------------+-----------------------------------------+
|      VHDL|        NA|             NA|             NA|             NA|             NA|             NA|             NA|
|   Verilog|      {}|        1781557|        1781557|        1790000|             NA|             NA|             NA|
+----------+----------+-----------------------------------------+-----------------------------------------+
"""


def loop(tag, ii="1", depth="5", named=True):
    """A loop as SummaryOfLoopLatency lists it; 2022.2 has a Name beside the tag."""
    name = f"<Name>{tag}</Name>" if named else ""
    return (
        f"<{tag}>{name}<Slack>7.30</Slack><TripCount>undef</TripCount><Latency>undef</Latency>"
        f"<PipelineII>{ii}</PipelineII><PipelineDepth>{depth}</PipelineDepth><PipelineType>yes</PipelineType></{tag}>"
    )


def resources(**changed):
    values = {"BRAM_18K": 120, "DSP": 31, "FF": 30000, "LUT": 41000, "URAM": 0, **changed}
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def report(version="2022.2", estimated="7.300", loops="", named=True, **used):
    """csynth.xml of a dataflow region with one engine."""
    pipe = loops or loop("VITIS_LOOP_41_1", named=named)
    head = (
        f"<ReportVersion><Version>{version}</Version></ReportVersion>"
        "<UserAssignments><unit>ns</unit><ProductFamily>zynq</ProductFamily><Part>xc7z020-clg400-1</Part>"
        "<TopModelName>accelerator</TopModelName><TargetClockPeriod>10.00</TargetClockPeriod>"
        "<ClockUncertainty>2.70</ClockUncertainty><FlowTarget>vivado</FlowTarget></UserAssignments>"
    )
    overall = (
        "<SummaryOfOverallLatency><unit>clock cycles</unit><Best-caseLatency>undef</Best-caseLatency>"
        "<Average-caseLatency>undef</Average-caseLatency><Worst-caseLatency>1781557</Worst-caseLatency>"
        "<Interval-min>undef</Interval-min><Interval-max>294912</Interval-max>{}</SummaryOfOverallLatency>"
    )
    timing = (
        "<SummaryOfTimingAnalysis><unit>ns</unit>"
        f"<EstimatedClockPeriod>{estimated}</EstimatedClockPeriod></SummaryOfTimingAnalysis>"
    )
    available = resources(BRAM_18K=280, DSP=220, FF=106400, LUT=53200)
    module = (
        "<ModuleInformation><Module><Name>XnorPopcount_3</Name><Loops><VITIS_LOOP_41_1/></Loops><PerformanceEstimates>"
        f"{timing}{overall.format('<PipelineDepth>undef</PipelineDepth><PipelineType>no</PipelineType>')}"
        f"<SummaryOfLoopLatency>{pipe}</SummaryOfLoopLatency></PerformanceEstimates>"
        f"<AreaEstimates><Resources>{resources()}</Resources></AreaEstimates></Module></ModuleInformation>"
    )
    return (
        f"<profile>{head}<PerformanceEstimates><PipelineType>no</PipelineType>{timing}{overall.format('')}"
        "<SummaryOfLoopLatency><VITIS_LOOP_300_1><TripCount>undef</TripCount><Latency>undef</Latency>"
        "<PipelineII>undef</PipelineII><PipelineDepth>undef</PipelineDepth></VITIS_LOOP_300_1></SummaryOfLoopLatency>"
        f"</PerformanceEstimates><AreaEstimates><Resources>{resources(**used)}</Resources>"
        f"<AvailableResources>{available}</AvailableResources></AreaEstimates>{module}</profile>"
    )


@pytest.fixture
def project(tmp_path):
    """Writes the reports of a run of Vitis HLS; returns the project."""

    def write(text, cosim="    Pass"):
        for path, content in (("syn/report/csynth.xml", text), ("sim/report/accelerator_cosim.rpt", cosim)):
            (tmp_path / SOLUTION / path).parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                body = content if path.endswith("xml") else COSIM.format(content)
                (tmp_path / SOLUTION / path).write_text(body)
        return tmp_path

    return write


@pytest.mark.parametrize(("version", "named"), [("2022.2", True), ("2024.2", False)])
def test_figures(project, version, named):
    folder = project(report(version, named=named))
    found = read_hls_report(folder)
    require_good(found, folder)
    assert found.as_dict() == {
        "tool": f"Vitis HLS {version}",
        "target_ns": 10.0,
        "estimated_ns": 7.3,
        "latency_cycles": 1781557,
        "interval_cycles": 294912,
        "used": {"BRAM_18K": 120, "DSP": 31, "FF": 30000, "LUT": 41000},
        "available": {"BRAM_18K": 280, "DSP": 220, "FF": 106400, "LUT": 53200},
        "pipelined_loops": 1,
        "largest_ii": 1,
        "deepest_pipeline": 5,
        "cosimulation": "Pass",
        "cosimulation_cycles": 1790000,
    }
    assert found.deep_pipelines() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loops": loop("VITIS_LOOP_41_1", ii="2")},
            "loop VITIS_LOOP_41_1 of XnorPopcount_3 takes a beat every 2 cycles instead of 1",
        ),
        (
            {"loops": f"<OUTER><TripCount>3</TripCount>{loop('INNER', ii='4', named=False)}</OUTER>"},
            "loop INNER of Xnor",
        ),
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


def test_without_a_cosimulation_nothing_is_said_of_it(project):
    folder = project(report(), cosim=None)
    assert read_hls_report(folder).as_dict()["cosimulation"] is None


def test_deep_pipelines_are_named(project):
    found = read_hls_report(project(report(loops=loop("VITIS_LOOP_41_1", depth="40"))))
    assert found.issues() == [] and [(entry.module, entry.depth) for entry in found.deep_pipelines()] == [
        ("XnorPopcount_3", 40)
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "csynth.xml cannot be read .*: run run_hls.tcl in Vitis HLS first"),
        ("<profile>", "is no report of Vitis HLS"),
        ("<profile></profile>", "does not give AreaEstimates/Resources/BRAM_18K"),
    ],
)
def test_what_is_no_report_is_refused(project, text, message):
    with pytest.raises(FlowError, match=message):
        read_hls_report(project(text))
