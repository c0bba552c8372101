"""Runs every call of the table and prints how many ended in which way; exits with 1 if one ended wrongly.

python -m tests.abuse [--group GROUP ...] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.abuse.calls import every_call
from tests.abuse.harness import VERDICTS, Outcome, in_copy, preload

PLAIN_WIDTH, PLAIN_CALLS = 120, 100  # of the table, and between two lines, where there is no terminal


class Workers:
    """Forked processes that share the work: calls hold functions, which cannot be sent, but are inherited."""

    def __init__(self, jobs: int, work):
        global _work
        _work = work
        self._pool = multiprocessing.get_context("fork").Pool(jobs)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_) -> None:
        self._pool.terminate()

    def map(self, count: int):
        """Yield the results of 0 .. count - 1 in order."""
        return self._pool.imap(_do, range(count))


_work = None


def _do(index: int):
    return _work(index)


def complain(outcome: Outcome) -> None:
    """Print what a call that ended wrongly printed."""
    call, console = outcome.call, Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{outcome.verdict}: {call.group}, {call.name}: exit code {outcome.code} in {outcome.seconds:.1f} s")
    console.print("  " + " ".join(map(str, call.words)))
    console.print("  " + outcome.printed.strip()[-500:].replace("\n", "\n  "))


def show(outcomes: list[Outcome], seconds: float) -> None:
    """Print a row a group."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    table = Table("calls of", "all", *VERDICTS, "longest", box=None)
    groups = dict.fromkeys(outcome.call.group for outcome in outcomes)
    for group in (*groups, None):
        rows = [outcome for outcome in outcomes if group in (None, outcome.call.group)]
        counts = Counter(outcome.verdict for outcome in rows)
        longest = max((outcome.seconds for outcome in rows), default=0.0)
        figures = (str(counts[verdict]) for verdict in VERDICTS)
        table.add_row(group or "all", str(len(rows)), *figures, f"{longest:.1f} s")
    console.print(table)
    console.print(f"{len(outcomes)} calls in {seconds:.0f} s")


def main() -> int:
    """Make the template, run the calls two at a time, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", nargs="+", help="only calls of these groups")
    parser.add_argument("--keep", type=Path, help="folder of the template, which is made there once")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    preload()
    with tempfile.TemporaryDirectory(prefix="abuse-") as scratch:
        folder = (arguments.keep or Path(scratch) / "template").resolve()
        # in a process of its own: calls are forked from this one, and threads of simulators would not come along
        subprocess.run([sys.executable, "-P", "-m", "tests.abuse.template", str(folder)], check=True)
        started = time.monotonic()
        calls = [call for call in every_call(folder) if not arguments.group or call.group in arguments.group]

        def outcome_of(index: int):
            outcome = in_copy(calls[index], folder)
            return outcome.verdict, outcome.code, outcome.seconds, outcome.printed

        progress = Console(stderr=True, quiet=not sys.stderr.isatty())
        outcomes: list[Outcome] = []
        with suppress(KeyboardInterrupt), Workers(arguments.jobs, outcome_of) as workers:  # shows what is known
            for call, found in zip(calls, track(workers.map(len(calls)), "calls", len(calls), console=progress)):
                outcomes.append(Outcome(call, *found))
                if outcomes[-1].verdict != "right":
                    complain(outcomes[-1])
                if len(outcomes) % PLAIN_CALLS == 0 and not sys.stderr.isatty():
                    print(f"{len(outcomes)} of {len(calls)} calls", flush=True)
    show(outcomes, time.monotonic() - started)
    return int(len(outcomes) < len(calls) or any(outcome.verdict != "right" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
