"""Every command and option has calls in the table of abuse."""

import re
from collections import Counter

import pytest

from flow.cli import COMMANDS
from tests.abuse import options
from tests.abuse.calls import without_build
from tests.abuse.harness import Call, damage, run


def test_every_command_has_a_base():
    assert set(options.BASES) == set(COMMANDS)
    assert set(options.DEPLOY_BASES) == {command for command, _, _ in options.deploy_options()}


def test_every_option_has_rows():
    rows = Counter((call.group, re.split(r"=", call.name)[0]) for call in options.calls())
    wanted = {("flow", *found[:2]) for found in options.flow_options()}
    wanted |= {("deploy", *found[:2]) for found in options.deploy_options()}
    without = [name for program, *name in wanted if not rows[(f"{program} {name[0]}", name[1])]]
    assert not without, f"give these rows in tests/abuse/options.py: {without}"


def test_there_are_many_and_none_twice():
    calls = [*options.calls(), *without_build()]
    names = Counter((call.group, call.name) for call in calls)
    assert len(calls) >= 300 and max(names.values()) == 1


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("import sys; sys.exit('error: x is 3: give 4')", "right"),
        ("import sys; print('error: x\\nerror: y', file=sys.stderr); sys.exit(1)", "unclear"),
        ("import sys; sys.exit('error: y')", "unclear"),
        ("print('top-1 100.00 %')", "wrong or silent"),
        ("1 / 0", "traceback"),
        ("import os; os.kill(os.getpid(), 7)", "crash"),
        ("import time; time.sleep(600)", "hang"),
        ("while True: pass", "hang"),
        ("import os, sys; os.unlink('kept'); sys.exit('error: x is 3: give 4')", "loss"),
    ],
)
def test_the_judge(program, verdict, tmp_path, monkeypatch):
    def called(words):
        exec(program)
        return 0

    monkeypatch.setattr("tests.abuse.harness._called", called)
    folder = tmp_path / "here"
    folder.mkdir()
    write = lambda here: damage(here / "kept", b"1")
    call = Call("judge", verdict, ["flow"], "x is 3", write, codes=(1,), seconds=1, memory=1 << 40, keeps=("kept",))
    assert run(call, folder).verdict == verdict
