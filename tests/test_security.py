"""What other libraries would do behind a user's back."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import numpy as np
import flow
import onnxruntime
from onnx import TensorProto, helper

info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", info[:1], info[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
print(session.run(None, {"x": np.ones(1, np.float32)}))
"""


def test_onnxruntime_writes_nothing_for_its_maker(tmp_path):
    names = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | names
    root = Path(__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0 and "-1." in run.stdout, run.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
