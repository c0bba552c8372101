"""Samples of what Vitis HLS reports, with the elements and order of public reports of 2022.2 and 2024.2.

None was made from this accelerator, as no Vitis HLS was at hand.
"""

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
PLANNED = 294912  # cycles between two frames
UNKNOWN = "<TripCount>undef</TripCount><Latency>undef</Latency><AbsoluteTimeLatency>undef</AbsoluteTimeLatency>"


def loop(tag, ii="1", depth="5", named=True):
    """A loop as SummaryOfLoopLatency lists it; 2022.2 has a Name beside the tag."""
    name = f"<Name>{tag}</Name>" if named else ""
    return (
        f"<{tag}>{name}<Slack>7.30</Slack>{UNKNOWN}<PipelineII>{ii}</PipelineII><PipelineDepth>{depth}</PipelineDepth>"
        f"<PipelineType>yes</PipelineType><InstanceList/></{tag}>"
    )


def sequential(tag, inside=""):
    """A loop that is no pipeline: it has no PipelineII."""
    return (
        f"<{tag}><Name>{tag}</Name><Slack>7.30</Slack>{UNKNOWN}<IterationLatency>12</IterationLatency>"
        f"<PipelineDepth>12</PipelineDepth><PipelineType>no</PipelineType><InstanceList/>{inside}</{tag}>"
    )


def resources(**changed):
    values = {"BRAM_18K": 120, "DSP": 31, "FF": 30000, "LUT": 41000, "URAM": 0, **changed}
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def timing(estimated):
    return (
        f"<SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>{estimated}</EstimatedClockPeriod>"
        "</SummaryOfTimingAnalysis>"
    )


def module(name, kind="no", loops="", latency="undef", interval="undef"):
    """A module as ModuleInformation lists it."""
    return (
        f"<Module><Name>{name}</Name><PerformanceEstimates>{timing('7.300')}<SummaryOfOverallLatency>"
        f"<Best-caseLatency>undef</Best-caseLatency><Worst-caseLatency>{latency}</Worst-caseLatency>"
        f"<PipelineInitiationInterval>{interval}</PipelineInitiationInterval><PipelineType>{kind}</PipelineType>"
        f"</SummaryOfOverallLatency><SummaryOfLoopLatency>{loops}</SummaryOfLoopLatency></PerformanceEstimates>"
        "<AreaEstimates><Resources><FF>8</FF><AVAIL_FF>106400</AVAIL_FF><UTIL_FF>~0</UTIL_FF></Resources>"
        "</AreaEstimates></Module>"
    )


def report(version="2022.2", estimated="7.300", loops=None, named=True, *, modules="", region=None, pragmas="", **used):
    """csynth.xml of a loop over frames around a dataflow region with one engine."""
    pipe = loop("VITIS_LOOP_41_1", named=named) if loops is None else loops
    if region is None:
        region = module("dataflow_in_loop_VITIS_LOOP_300_1", "dataflow", "", "1781557", "294912")
    return (
        f"<profile><ReportVersion><Version>{version}</Version></ReportVersion>"
        "<UserAssignments><unit>ns</unit><ProductFamily>zynq</ProductFamily><Part>xc7z020-clg400-1</Part>"
        "<TopModelName>accelerator</TopModelName><TargetClockPeriod>10.00</TargetClockPeriod>"
        "<ClockUncertainty>2.70</ClockUncertainty><FlowTarget>vivado</FlowTarget></UserAssignments>"
        f"<PerformanceEstimates><PipelineType>no</PipelineType>{timing(estimated)}<SummaryOfOverallLatency>"
        "<unit>clock cycles</unit><Worst-caseLatency>undef</Worst-caseLatency><Interval-min>undef</Interval-min>"
        "<Interval-max>undef</Interval-max></SummaryOfOverallLatency><SummaryOfLoopLatency>"
        f"{sequential('VITIS_LOOP_300_1')}</SummaryOfLoopLatency></PerformanceEstimates>"
        f"<AreaEstimates><Resources>{resources(**used)}</Resources><AvailableResources>"
        f"{resources(BRAM_18K=280, DSP=220, FF=106400, LUT=53200)}</AvailableResources></AreaEstimates>"
        f"<ModuleInformation>{module('dataflow_parent_loop_proc', loops=sequential('VITIS_LOOP_300_1'))}{region}"
        f"{module('XnorPopcount_3', loops=pipe)}{modules}</ModuleInformation>"
        f"<PragmaReport>{pragmas}</PragmaReport></profile>"
    )
