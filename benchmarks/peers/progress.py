"""What a process of the comparison has come to, in a JSON file that is whole at any moment. Needs no package."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")
LONGEST = 300  # characters of an error's first line


def first_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:LONGEST]


def _seconds() -> float:
    """Return the seconds of a processor that this process and its children took."""
    return sum(os.times()[:4])


class Progress:
    """The attempts at one network; each is a dictionary that is written whenever a step begins or ends.

    An attempt has its own fields, ``seconds`` of a processor for each finished step by name, ``running`` (the step that
    has begun, or None) and ``stopped`` (the step that failed and the error's first line, or None). The caller adds
    ``estimate`` when all steps are done.
    """

    def __init__(self, path: Path):
        self.path = path
        self.attempts: list[dict] = []

    def begin(self, **fields) -> dict:
        """Return a new attempt with ``fields``."""
        self.attempts.append({**fields, "seconds": {}, "running": None, "stopped": None})
        self.write()
        return self.attempts[-1]

    def run(self, step: str, call: Callable[[], Value]) -> Value:
        """Return the result of ``call``, the step ``step`` of the latest attempt; raise what it raises."""
        attempt = self.attempts[-1]
        attempt["running"] = step
        self.write()
        begin = _seconds()
        try:
            result = call()
        except Exception as error:
            attempt.update(running=None, stopped={"step": step, "error": first_line(error)})
            self.write()
            raise
        attempt["seconds"][step] = round(_seconds() - begin, 2)
        attempt["running"] = None
        self.write()
        return result

    def best(self) -> int:
        """Return the number of the attempt that has an estimate, or else of the first of those that got furthest."""

        def rank(number: int) -> tuple[bool, int, int]:
            attempt = self.attempts[number]
            return "estimate" in attempt, len(attempt["seconds"]), -number

        return max(range(len(self.attempts)), key=rank)

    def write(self) -> None:
        """Write all attempts; a reader sees the old file or the new one."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({"attempts": self.attempts}, indent=1) + "\n", encoding="utf-8")
        os.replace(part, self.path)
