"""Puts together what travels to the device, and takes in what comes back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from brevitas_models.data import KNOWN_ARCHIVES
from flow.cli.recipes import run_folder

from .jobs import Job, Work
from .parcel import RESULTS, state_name, unpack_results

REPOSITORY = Path(__file__).parents[2]
FOLDER_NAME = ".whl"  # ignored by git
TRAVELS_BYTES = 64 << 20
COMMAND_CHARACTERS = 2000
PYTHON = "3.12"
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34)] + ["manylinux2014_x86_64"]
# What a training run imports and the device lacks; the last two are there, of a version that is not known: pydantic
# asks for new ones.
PACKAGES = (
    "brevitas",
    "dependencies",
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "platformdirs",
    "typing-inspection",
    "typing-extensions",
)


class PrepareError(RuntimeError):
    """What cannot travel, and why."""


def pinned(packages=PACKAGES) -> list[str]:
    """The versions of constraints.txt."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    versions = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return [f"{name}=={versions[name]}" for name in packages]


def download_wheels(target: Path) -> list[Path]:
    """Wheels for the device's Python; those that are there already are not fetched again.

    Raises:
        PrepareError: pip finds none, or no network.
    """
    target.mkdir(parents=True, exist_ok=True)
    wanted = {requirement.replace("-", "_").replace("==", "-") for requirement in pinned()}
    for path in target.glob("*.whl"):
        if not any(path.name.startswith(f"{name}-") for name in wanted):
            path.unlink()  # two versions of a package stop pip
    missing = [
        requirement
        for requirement in pinned()
        if not list(target.glob(requirement.replace("-", "_").replace("==", "-") + "-*.whl"))
    ]
    if missing:
        words = ["-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version", PYTHON]
        words += ["--implementation", "cp", *(word for name in PLATFORMS for word in ("--platform", name))]
        result = subprocess.run([sys.executable, *words, "-d", str(target), *missing], capture_output=True, text=True)
        if result.returncode:
            raise PrepareError(f"pip download failed for {', '.join(missing)}: {result.stderr.strip()[-500:]}")
    return sorted(target.glob("*.whl"))


def copy_archive(data: Path, target: Path) -> Path:
    """The data set's archive, as a file: a link would not travel."""
    candidates = [data, *sorted(data.iterdir())] if data.is_dir() else [data]
    found = next((path for path in candidates if path.name in KNOWN_ARCHIVES), None)
    if found is None:
        raise PrepareError(f"no archive of CIFAR-10 in {data}: give one of {', '.join(KNOWN_ARCHIVES)}")
    target.mkdir(parents=True, exist_ok=True)
    copy = target / found.name
    if not copy.is_file() or copy.stat().st_size != found.stat().st_size:
        shutil.copyfile(found, copy)
    return copy


def travelling(folder: Path) -> int:
    """Bytes that a call sends: what git tracks or does not ignore, and ``folder``.

    Raises:
        PrepareError: git does not list the repository's files.
    """
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        reason = str(getattr(error, "stderr", "") or error).strip()
        raise PrepareError(f"{REPOSITORY} is no git checkout, or git is missing: {reason}") from error
    paths = {REPOSITORY / name for name in listed.split("\0") if name} | set(folder.rglob("*"))
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())


def call(folder: Path, timeout: int, at_once: int) -> dict:
    """The device tool's arguments."""
    name = folder.relative_to(REPOSITORY) if folder.is_relative_to(REPOSITORY) else folder
    install = "python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site"
    command = (
        f"{install} {name}/wheels/*.whl && export PYTHONPATH=/tmp/site PYTHONUNBUFFERED=1 || exit 1; "
        f'python3 scripts/gpu_training run --folder {name} --out "$OUT" --seconds {timeout - 40} --at-once {at_once}'
    )
    if len(command) > COMMAND_CHARACTERS:
        raise PrepareError(f"the command has {len(command)} characters, {COMMAND_CHARACTERS} is the most")
    return {"command": command, "timeout_s": timeout, "carry": [str(name)]}


def prepare(folder: Path, data: Path, timeout: int, at_once: int) -> None:
    """Fills ``folder`` and prints the call of the device tool.

    Raises:
        PrepareError: something is missing, or it is too much to travel.
    """
    wheels = download_wheels(folder / "wheels")
    archive = copy_archive(data, folder / "data")
    size = travelling(folder)
    for path in (*wheels, archive):
        print(f"{path.stat().st_size:>12,} bytes  {path.name}")
    print(f"{size:,} of {TRAVELS_BYTES:,} bytes travel")
    if size > TRAVELS_BYTES:
        raise PrepareError(f"{size - TRAVELS_BYTES:,} bytes are too many: remove states from {folder / 'back'}")
    print(json.dumps(call(folder, timeout, at_once), indent=1))


def collect(folder: Path, returned: Path, runs: Path, results: Path, jobs: list[Job]) -> None:
    """Takes in what a call brought back: finished rows into the repository, what the next call goes on with into
    ``folder``.

    The next call's states are those of runs that are not finished, and of finished ones that jobs begin with. Where
    they are too much to travel, the last ones are left out, and stay in ``runs``.
    """
    back = folder / "back"
    back.mkdir(parents=True, exist_ok=True)
    states = {state_name(job): job for job in jobs}
    for path in sorted(returned.rglob("*")):
        if path.name == RESULTS or path.name in states:
            shutil.copyfile(path, back / path.name)
    with tempfile.TemporaryDirectory() as temporary:
        came = Work(Path(temporary))
        for line in unpack_results(back, came):
            print(line)
        for job in jobs:
            if came.finished(job):
                shutil.copytree(came.run(job), run_folder(job.recipe, job.length, 10, runs), dirs_exist_ok=True)
                print(f"finished: {job.name}")
        if came.results.is_dir():
            shutil.copytree(came.results, results, dirs_exist_ok=True)
        for name, job in states.items():
            if came.finished(job) and not any(job in other.needs and not came.finished(other) for other in jobs):
                (back / name).unlink(missing_ok=True)
    there = [back / name for name in states if (back / name).is_file()]
    for path in there:
        print(f"goes on with {path.name}, {path.stat().st_size:,} bytes")
    while there and (size := travelling(folder)) > TRAVELS_BYTES:
        last = there.pop()
        print(f"{size - TRAVELS_BYTES:,} bytes too many to travel: {last.name} stays in {runs}")
        shutil.move(last, runs / last.name)
