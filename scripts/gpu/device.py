"""What runs on the device: jobs in their order, some at once, until the time is up."""

from __future__ import annotations

import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import torch

from brevitas_models.data import load_cifar
from brevitas_models.state import NotFinite
from brevitas_models.sums import whole_sums
from flow.cli.recipes import run_recipe

from .jobs import Job, Work
from .parcel import Parcel, unpack_results, unpack_states

PROGRAM = Path(__file__).parents[1] / "gpu_training"
PARCEL_SECONDS, SAY_SECONDS, SAVE_SECONDS = 60.0, 30.0, 45.0
NOT_FINITE = 3  # exit code of a job whose loss is no number


@dataclass
class Session:
    """One call: which jobs, for how long, and where.

    ``seconds`` from the start of the process; jobs stop ``reserve`` before, and are killed ``grace`` after it. A job is
    not begun with less than ``least`` seconds left: compiling takes that long.
    """

    folder: Path
    out: Path
    work: Work
    jobs: list[Job]
    seconds: float
    at_once: int = 2
    device: str = "cuda"
    compile: bool = True
    images: int | None = None
    reserve: float = 25.0
    grace: float = 10.0
    least: float = 90.0
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        return self.started + self.seconds - time.monotonic()

    def run(self) -> bool:
        """Trains what can be trained; returns whether all jobs are finished."""
        self.work.folder.mkdir(parents=True, exist_ok=True)
        self.say(unpack_results(self.folder / "back", self.work) + unpack_states(self.folder / "back", self.work))
        parcel, running, tried, packed, said = Parcel(self.out), {}, set(), time.monotonic(), time.monotonic()
        self.say(parcel.write(self.work, self.jobs))
        while True:
            while len(running) < self.at_once and self.left > self.least and (job := self.next_job(tried)):
                tried.add(job)
                running[job] = self.start(job)
            if not running:
                break
            time.sleep(0.2)
            ended = [job for job, process in running.items() if process.poll() is not None]
            for job in ended:
                self.note(job, running.pop(job).returncode)
            if self.left < -self.grace:
                for job, process in running.items():
                    process.kill()
                    process.wait()
                    self.say([f"{job.name} did not stop in time: killed; its last saved state is kept"])
                running.clear()
            if ended or time.monotonic() - packed > PARCEL_SECONDS:
                self.say(parcel.write(self.work, self.jobs))
                packed = time.monotonic()
            if time.monotonic() - said > SAY_SECONDS:
                self.say([f"{job.name}: {self.last_line(job)}" for job in running])
                said = time.monotonic()
        self.say(parcel.write(self.work, self.jobs))
        self.say(self.summary())
        return all(self.work.finished(job) for job in self.jobs)

    def next_job(self, tried: set[Job]) -> Job | None:
        """The first that is neither finished nor was tried, and whose start and teacher are there."""
        for job in self.jobs:
            ready = all(self.work.finished(needed) for needed in job.needs)
            if job not in tried and ready and not self.work.finished(job):
                return job
        return None

    def start(self, job: Job) -> subprocess.Popen:
        """A process that trains a job; it writes a log."""
        until = self.started + self.seconds - self.reserve
        words = [sys.executable, *(["-S"] if sys.flags.no_site else []), str(PROGRAM), "job", "--recipe", job.recipe]
        words += ["--length", job.length, "--folder", str(self.folder), "--work", str(self.work.folder)]
        words += ["--device", self.device, "--until", f"{until:.3f}"] + ["--no-compile"] * (not self.compile)
        words += ["--images", str(self.images)] if self.images else []
        self.work.log(job).parent.mkdir(parents=True, exist_ok=True)
        self.say([f"begins {job.name}, {self.left:.0f} s left"])
        with self.work.log(job).open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)

    def note(self, job: Job, code: int) -> None:
        """Says how a job ended, and keeps what the next call has to know."""
        if self.work.finished(job):
            self.say([f"finished {job.name}: {self.last_line(job)}"])
        elif code == 0:
            self.say([f"stopped {job.name} in time: {self.last_line(job)}"])
        else:
            self.work.note_failure(job, self.last_line(job), halve=code == NOT_FINITE)
            self.say([f"failed {job.name}, exit code {code}: {self.last_line(job)}"])

    def last_line(self, job: Job) -> str:
        log = self.work.log(job)
        lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing said yet")

    def summary(self) -> list[str]:
        states = {True: "finished", False: "to do"}
        return [f"{states[self.work.finished(job)]}: {job.name}" for job in self.jobs]

    def say(self, lines: list[str]) -> None:
        for line in lines:
            print(f"[{time.monotonic() - self.started:5.0f} s] {line}", flush=True)


def train_job(
    job: Job, folder: Path, work: Work, device: str, until: float, images: int | None = None, compile: bool = True
) -> int:
    """Trains one row in this process, or goes on with it; returns the exit code."""
    try:
        if torch.device(device).type == "cuda":
            print(check_sums(torch.device(device)), flush=True)
        data = folder / "data"
        train, test = load_cifar(data, "train"), load_cifar(data, "test")
        run_recipe(
            job.recipe,
            job.length,
            (train.spread(images) if images else train, test),
            work.runs,
            work.results,
            device,
            save_seconds=SAVE_SECONDS,
            until=until,
            halvings=work.failure(job)["halvings"],
            compile=compile,
        )
    except NotFinite as error:
        print(error, flush=True)
        return NOT_FINITE
    except Exception as error:  # whatever it is, the other jobs go on
        traceback.print_exc()
        print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)
        return 1
    return 0


@torch.no_grad()
def check_sums(device: torch.device) -> str:
    """Compares binary convolutions on the device with float64 on the CPU; turns TF32 off where sums are not exact.

    Raises:
        ArithmeticError: float32 has wrong sums, or bfloat16 wrong signs.
    """
    wrong, signs = _wrong_sums(device)
    said = "popcounts exact"
    if wrong and torch.backends.cudnn.allow_tf32:
        torch.backends.cudnn.allow_tf32 = False
        wrong, _ = _wrong_sums(device)
        said = "popcounts exact without TF32 only: it is off"
    if wrong or signs:
        raise ArithmeticError(f"{wrong} popcounts in float32 and {signs} votes in bfloat16 are wrong on {device}")
    return f"{said}, votes in bfloat16 exact"


def _wrong_sums(device: torch.device) -> tuple[int, int]:
    """How many sums of the network's shapes differ in float32, and how many signs in bfloat16."""
    wrong, signs = 0, 0
    for channels, size in ((64, 32), (128, 16), (256, 8), (512, 4)):
        generator = torch.Generator().manual_seed(channels)
        bits, weight = (
            torch.randint(0, 2, shape, generator=generator) * 2.0 - 1
            for shape in ((8, channels, size + 2, size + 2), (channels, channels, 3, 3))
        )
        expected = torch.nn.functional.conv2d(bits.double(), weight.double())
        layout = {"device": device, "memory_format": torch.channels_last}
        found = [
            whole_sums(bits.to(**layout), weight.to(**layout), 1, dtype) for dtype in (torch.float32, torch.bfloat16)
        ]
        wrong += int((found[0].cpu() != expected).sum())
        signs += int(((found[1].cpu() >= 0) != (expected >= 0)).sum())
    return wrong, signs
