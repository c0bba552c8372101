"""Every block of shell and Python in the README runs, in order, in one folder; those marked board or vivado aside."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ASIDE = {"board", "vivado"}
FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_LINES = 120


def blocks(path):
    """(language, marks, text) of every fenced block."""
    return [(language, set(marks.split()), text) for language, marks, text in FENCE.findall(path.read_text())]


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_LINES


def test_blocks_are_marked():
    found = blocks(ROOT / "README.md")
    assert len([language for language, marks, _ in found if language in ("sh", "python") and not marks & ASIDE]) >= 4
    for language, marks, text in found:
        assert language in ("sh", "python", "text"), text
        assert marks <= ASIDE, f"{marks - ASIDE}: only board and vivado are left out"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_readme_blocks():
    """What the first build prints is what the README shows, but for its seconds."""
    shown, printed = [], ""
    for language, marks, text in blocks(ROOT / "README.md"):
        if marks & ASIDE:
            continue
        if language == "text":
            shown += [line.strip() for line in text.splitlines()]
            continue
        text = text.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        command = ["bash", "-euc", text] if language == "sh" else [sys.executable, "-c", text]
        environment = {**os.environ, "VENV": str(Path(sys.executable).parents[1])}
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
        assert run.returncode == 0, f"{text}\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}"
        printed += run.stdout
    lines = {" ".join(line.split()) for line in printed.splitlines()}
    missing = [line for line in shown if " ".join(line.split()) not in lines]
    assert shown and not missing, missing
