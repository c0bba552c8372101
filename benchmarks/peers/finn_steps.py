"""Takes ONNX files through FINN's own build steps, up to its estimates. Runs in FINN's environment.

    .venv-finn/bin/python benchmarks/peers/finn_steps.py JOB_FOLDER ...

The folders are those of `jobs.prepare`. Written are finn.json (see `progress.Progress`) and finn.npy, the outputs of
the latest graph that FINN's Python execution takes, float64 [N, elements].

A file is tried in FINN's ways until one goes through: by the default steps and by those the package has for ResNet-18
(these first where streams are added); with the range of the pixels as a first node and an input of 8 bits, then as the
file is.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from pathlib import Path

import finn.xsi
import numpy as np
import yaml
from finn.builder.build_dataflow_config import (
    DataflowBuildConfig,
    DataflowOutputType,
    ShellFlowType,
    default_build_dataflow_steps,
)
from finn.builder.custom_step_library.general import add_preproc_divide_by_255
from forks import each
from onnx import helper
from progress import Progress, first_line
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

finn.xsi.SimEngine = None  # Vivado's simulator, which the module of the steps asks for when it is imported
from finn.builder.build_dataflow import resolve_build_steps  # noqa: E402
from finn.core.onnx_exec import execute_onnx  # noqa: E402

LAST = "step_generate_estimate_reports"  # the next ones ask for Vivado
PARTITION = "step_create_dataflow_partition"  # from here on FINN executes its graph by HLS or RTL only
RESNET = "resnet18"


def main() -> None:
    """Take every file of the command line through the steps."""
    each("finn", take)


def take(folder: Path) -> None:
    """Go through the attempts at a job, and execute what the best of them left."""
    os.environ["FINN_BUILD_DIR"] = str(folder / "finn")
    job = json.loads((folder / "job.json").read_text())
    progress = Progress(folder / "finn.json")
    orders = (RESNET, "default") if job["residual"] else ("default", RESNET)
    graphs = []
    for entry, order in [(entry, order) for entry in ("pixels", "file") for order in orders]:
        graphs.append(attempt(progress, folder, job, entry, order))
        if "estimate" in progress.attempts[-1]:
            break
    best = progress.best()
    of_pixels = progress.attempts[best]["input"] == "pixels" and job["pixels"] != "bits"
    inputs = np.load(folder / ("pixels.npy" if of_pixels else "inputs.npy"))
    execute(progress, progress.attempts[best], graphs[best], inputs, folder / "finn.npy")


def attempt(progress: Progress, folder: Path, job: dict, entry: str, order: str) -> list[tuple[str, ModelWrapper]]:
    """Go through the steps of ``order``; return the graphs that Python can execute, each with its step."""
    found = progress.begin(input=entry, steps=order)
    config = configuration(folder / "finn" / f"{entry}-{order}", job, order)
    graphs: list[tuple[str, ModelWrapper]] = []
    try:
        model = progress.run("read", lambda: ModelWrapper(str(folder / "network.onnx")))
        if entry == "pixels":
            model = progress.run("range of the pixels", lambda: with_range(model, job["pixels"], config))
        for step in resolve_build_steps(config):
            model = progress.run(step.__name__, lambda step=step, model=model: step(model, config))
            if step.__name__ == PARTITION:
                found["nodes"] = nodes(model, config)
            elif PARTITION not in found["seconds"]:
                graphs.append((step.__name__, model))
        found["estimate"] = progress.run("read the estimates", lambda: estimate(config))
    except Exception:
        progress.write()  # the error is noted
    return graphs


def configuration(output: Path, job: dict, order: str) -> DataflowBuildConfig:
    """Return FINN's configuration of a build for the board, clock and rate of the job."""
    settings = {"steps": default_build_dataflow_steps}
    if order != "default":
        text = (files("finn.benchmarking") / "dut" / f"{order}.yml").read_text()
        settings = {
            key: value for key, value in yaml.safe_load(text).items() if key in ("steps", "standalone_thresholds")
        }
    return DataflowBuildConfig(
        output_dir=str(output),
        board=job["board"],
        synth_clk_period_ns=1e3 / job["clock_mhz"],
        target_fps=job["fps"],
        shell_flow_type=ShellFlowType.VIVADO_ZYNQ,
        generate_outputs=[DataflowOutputType.ESTIMATE_REPORTS],
        stop_step=LAST,
        **settings,
    )


def with_range(model: ModelWrapper, pixels: str, config: DataflowBuildConfig) -> ModelWrapper:
    """Return the network for bytes 0..255 as its input, or, of bits, with its input said to be bits."""
    name = model.graph.input[0].name
    if pixels == "bits":
        model.set_tensor_datatype(name, DataType["BIPOLAR"])
        return model
    low, high = map(float, pixels.split(","))
    if (low, high) == (0.0, 1.0):
        return add_preproc_divide_by_255(model, config)
    if (low, high) != (0.0, 255.0):
        kind = helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
        for node in model.graph.node:
            node.input[:] = ["in_range" if tensor == name else tensor for tensor in node.input]
        model.set_initializer("range_gain", np.array((high - low) / 255, kind))
        model.set_initializer("range_low", np.array(low, kind))
        model.graph.node.insert(0, helper.make_node("Add", ["scaled", "range_low"], ["in_range"], name="RangeAdd"))
        model.graph.node.insert(0, helper.make_node("Mul", [name, "range_gain"], ["scaled"], name="RangeMul"))
    model.set_tensor_datatype(name, DataType["UINT8"])
    return model


def nodes(model: ModelWrapper, config: DataflowBuildConfig) -> dict:
    """Return how many nodes are in the accelerator, how many of these give floats, and which are left outside."""
    parent = ModelWrapper(str(config.get_intermediate_models_directory() / "dataflow_parent.onnx"))
    outside = [node.op_type for node in parent.graph.node if node.op_type != "StreamingDataflowPartition"]
    floats = [node for node in model.graph.node if model.get_tensor_datatype(node.output[0]) == DataType["FLOAT32"]]
    return {"inside": len(model.graph.node), "floats": len(floats), "outside": outside}


def estimate(config: DataflowBuildConfig) -> dict:
    """Return the figures of FINN's reports: resources of all layers, and cycles of the slowest."""
    folder = config.get_report_directory()
    total = json.loads((folder / "estimate_layer_resources.json").read_text())["total"]
    network = json.loads((folder / "estimate_network_performance.json").read_text())
    return {
        "lut": total.get("LUT", 0),
        "bram18": total.get("BRAM_18K", 0),
        "dsp": total.get("DSP", 0),
        "cycles": network["max_cycles"],
    }


def execute(progress: Progress, found: dict, graphs: list[tuple[str, ModelWrapper]], inputs, path: Path) -> None:
    """Store the outputs of the latest graph that FINN's Python execution takes; note what the later ones said."""
    found["not_executed"] = {}
    for step, model in reversed(graphs):
        found["running"] = f"execution after {step}"
        progress.write()
        try:
            outputs = [outputs_of(model, image) for image in inputs]
        except Exception as error:
            found["not_executed"][step] = first_line(error)
            continue
        np.save(path, np.array(outputs))
        found["executed"] = step
        break
    found["running"] = None
    progress.write()


def outputs_of(model: ModelWrapper, image: np.ndarray) -> np.ndarray:
    """Return all outputs of a graph, one after the other, float64."""
    results = execute_onnx(model, {model.graph.input[0].name: image})
    return np.concatenate([np.asarray(results[info.name], np.float64).ravel() for info in model.graph.output])


if __name__ == "__main__":
    main()
