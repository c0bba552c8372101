"""FINN beside this flow on the same files: makes FINN's environment, runs both on every file, prints the table.

    .venv/bin/python -m benchmarks.peers.compare            # goes on where an earlier call stopped
    .venv/bin/python -m benchmarks.peers.compare --table    # only the table of what is stored

Every file is run by each of the two in a process of its own, within a limit of time and memory, on one thread. What is
known of a file lies in build/peers/; the figures of the table go to benchmarks/peers/finn.json, the table to finn.md
beside it and to docs/peers.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from .environment import environment, versions_of
from .forks import GIGABYTES, SECONDS
from .jobs import Job, all_jobs, prepare
from .rows import row_of
from .table import markdown

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIGURES, TABLE, PAGE = HERE / "finn.json", HERE / "finn.md", ROOT / "docs/peers.md"
MARK = "<!-- The rest is written by the command. -->\n"  # of the page
TOOLS = ("finn", "flow")


def main() -> None:
    """Run what is not stored yet and print the table."""
    options = arguments()
    if not options.table:
        measure(options)
    print(markdown(json.loads(FIGURES.read_text(encoding="utf-8"))), end="")


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="files of the table; all by default")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--fresh", nargs="?", const="both", choices=(*TOOLS, "both"), help="run again what is stored")
    parser.add_argument(
        "--cases", type=Path, default=ROOT / "../shared/cases", help="folder of the files of other people"
    )
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-finn", help="FINN's environment; made if missing")
    parser.add_argument("--work", type=Path, default=ROOT / "build/peers", help="folder of what is known of each file")
    options = parser.parse_args()
    if not options.table and not (options.cases / "cases.json").is_file():
        parser.error(f"--cases {options.cases}: no cases.json there; give the folder of the cases, or --table")
    return options


def measure(options: argparse.Namespace) -> None:
    """Run the files by both and write the figures and the table."""
    python = environment(options.venv)
    versions = {"finn": versions_of(python), "flow": commit()}
    jobs = all_jobs(options.cases)
    if unknown := set(options.names) - {job.name for job in jobs}:
        raise SystemExit(
            f"{', '.join(sorted(unknown))}: no such files; there are {', '.join(job.name for job in jobs)}"
        )
    chosen = [job for job in jobs if not options.names or job.name in options.names]
    for job in chosen:
        print(f"files: {job.stem}", file=sys.stderr, flush=True)
        prepare(job, options.work / job.stem)
    for tool, interpreter in zip(TOOLS, (python, Path(sys.executable))):
        ends = [options.work / job.stem / f"{tool}.end.json" for job in chosen]
        if options.fresh in (tool, "both"):
            for end in ends:
                end.unlink(missing_ok=True)
        run(tool, interpreter, [end.parent for end in ends if not end.exists()])
    store(jobs, options.work.resolve(), versions)


def commit() -> str:
    """Return the commit of this flow."""
    call = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()


def run(tool: str, python: Path, folders: list[Path]) -> None:
    """Run one of the two on the jobs of these folders."""
    settings = {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "NUM_DEFAULT_WORKERS": "1",
        "PYTHONPATH": str(ROOT),
    }
    if folders:
        call = [python, HERE / f"{tool}_steps.py", *(folder.resolve() for folder in folders)]
        subprocess.run(call, env={**os.environ, **settings}, check=True)


def store(jobs: list[Job], work: Path, versions: dict) -> None:
    """Write the figures of all jobs that both were run on, and the table."""
    folders = [work / job.stem for job in jobs]
    rows = [
        row_of(folder, TOOLS) for folder in folders if all((folder / f"{tool}.end.json").exists() for tool in TOOLS)
    ]
    limits = {"seconds": SECONDS, "gigabytes": GIGABYTES}
    figures = {"versions": versions, "limits": limits, "files": len(jobs), "rows": rows}
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    TABLE.write_text(table := markdown(figures), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(f"{page[: page.index(MARK)]}{MARK}\n{table}", encoding="utf-8")


if __name__ == "__main__":
    main()
