"""flow/report/summary.py: what the console says of the route."""

import io

import pytest
from rich.console import Console

from flow.plan.hls_cost import HlsEstimate
from flow.report.hls import read_hls_report
from flow.report.summary import show
from flow.synth.delays import LEVEL_NS

from .vitis import report

SUMMARY = {
    "model": "small",
    "strategy": "qat",
    "target": "pynq-z2",
    "clock_mhz": 100.0,
    "voter": "exact",
    "build_id": "0" * 32,
    "accuracy": None,
    "baseline_operations": None,
    "operations": {},
    "plan": {
        "resources": {"lut": 100},
        "fps": 339.08,
        "cycles_per_frame": 294912,
        "ddr_gb_per_s": 0,
        "path_ns": None,
        "fits": True,
    },
    "hls": HlsEstimate(30, 140, True, {}).as_dict(),
    "simulated": {"fps": 339.08, "cycles_per_frame": 294912, "latency_cycles": 400000, "frames": 4},
    "csim": {"bounded_streams": True},
    "implementation": None,
    "foreign": None,
    "verification": [],
    "seconds": {},
}
BITFILE = {
    "route": "hls",
    "tool": "Vivado v.2022.2",
    **dict.fromkeys(("lut", "ff", "bram36", "dsp"), 7),
    "worst_negative_slack_ns": 0.2,
    "timing_met": True,
    "power_w": 1.5,
}


def shown(**changes):
    console = Console(file=io.StringIO(), width=2000)
    show({**SUMMARY, **changes}, console)
    return console.file.getvalue()


def test_the_rtl_route_says_nothing_of_hls():
    assert "HLS" not in shown(route="rtl")


def test_what_is_unknown_without_vitis_hls_is_said():
    assert (
        "route hls  30 of 140 BRAM36, by the memories that pragmas bind to them: fits; LUTs, flip-flops, DSPs, clock "
        "and rate are not known without Vitis HLS: those of the plan are the RTL's"
    ) in shown(route="hls")


@pytest.mark.parametrize(
    ("interval", "cosim", "rate", "ended"),
    [("294912", "    Pass", "294,912", "Pass"), ("undef", None, "an unknown number of", "none")],
)
def test_what_vitis_hls_reported_takes_its_place(project, interval, cosim, rate, ended):
    text = report().replace("<PipelineInitiationInterval>294912", f"<PipelineInitiationInterval>{interval}")
    made = read_hls_report(project(text, cosim)).as_dict()
    text = shown(route="hls", implementation={**BITFILE, "hls": made})
    assert (
        "route hls  Vitis HLS 2022.2, estimates of csynth: 120 of 280 BRAM_18K, 31 of 220 DSP, 30,000 of 106,400 FF, "
        f"41,000 of 53,200 LUT; 7.3 ns of 10; {rate} cycles a frame, II at most 1; cosimulation: {ended}"
    ) in text
    assert "unknown without" not in text and "bitfile    route hls, Vivado v.2022.2" in text


def test_block_rams_come_in_halves():
    plan = {**SUMMARY["plan"], "resources": {"lut": 1234567.8, "ff": 5720.5, "bram36": 6.5, "dsp": 0.0}}
    assert "estimate: 1,234,568 lut, 5,720 ff, 6.5 bram36, 0 dsp;" in shown(plan=plan)


NETLIST = {
    "origin": "synthesised by Yosys 0.70",
    "total": {"lut": 1234567, "ff": 5691, "bram36": 5.5, "dsp": 2},
    "share": {"lut": 0.101},
    "timing": {
        "origin": "estimated from the netlist",
        "level_ns": LEVEL_NS,
        "worst_ns": 7.98,
        "slack_ns": 2.02,
        "fmax_mhz": 125.3,
    },
}


@pytest.mark.parametrize(("level", "said"), [(LEVEL_NS, ""), (0.2, " (0.2 ns a LUT with its route)")])
def test_another_level_than_the_default_is_said(level, said):
    text = shown(synthesis={**NETLIST, "timing": {**NETLIST["timing"], "level_ns": level}})
    assert "1,234,567 lut, 5,691 ff, 5.5 bram36, 2 dsp (10% of the LUTs)" in text
    assert f"estimated from the netlist{said}: worst path 7.98 ns, slack 2.02 ns" in text


def test_what_was_left_out_is_said():
    assert "left out   report/synth.json is damaged" in shown(left_out=["report/synth.json is damaged"])


def test_csim_without_bounds_is_said():
    line = (
        "csim       with streams of any depth (--csim-unbounded): nothing shows whether the HLS accelerator would hang"
    )
    assert line in shown(csim={"bounded_streams": False}) and "any depth" not in shown()
