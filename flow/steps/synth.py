"""Synthesis by Yosys, and timing of its netlist."""

from __future__ import annotations

from flow.state import Build


def synth(build: Build) -> None:
    """Synthesise by Yosys: resources by node beside the plan, and timing estimated from the netlist."""
    from flow.synth.report import SynthesisedBuild

    made = SynthesisedBuild(build.workspace, log=build.log)
    build.report("synth", made.synth())
    build.report("timing", made.timing())
