"""Shows how a training goes: a bar on a terminal, a line every 30 seconds otherwise."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from flow.report.console import plain_console

PLAIN_SECONDS = 30.0  # between two lines where there is no terminal
SMOOTHING = 0.2  # weight of the newest rate in the average that the ETA is made from


class TrainingProgress:
    """A context whose ``report`` takes the dicts that ``Trainer.run`` reports."""

    def __init__(self, steps: int, console: Console | None = None, quiet: bool = False):
        self.console = console or plain_console(quiet=quiet, soft_wrap=False)
        self.steps, self.last_line = steps, -PLAIN_SECONDS
        self.seconds_per_step, self.before = None, None
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[text]}")
        self.bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("train", total=steps, text="")

    def __enter__(self) -> TrainingProgress:
        self.bar.start()
        return self

    def __exit__(self, *error) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.bar.console.print(text, soft_wrap=True, markup=False, emoji=False)

    def report(self, line: dict) -> None:
        """Show a dict of ``Trainer.run``: a test's result as a line, any other as progress."""
        if "top1" in line:
            self.say(
                f"epoch {line['epoch']}: loss {line['loss']:.4f}, top-1 {line['top1']:.2f} %, top-5 "
                f"{line['top5']:.2f} % on {line['test_images']} test images"
            )
            return
        text = (
            f"epoch {line['epoch']:.2f}, {line['size']} pixels, loss {line['loss']:.4f}, "
            f"{line['images_per_s']:.0f} images/s, {self._remaining(line)} left"
        )
        self.bar.update(self.task, completed=line["step"], text=text)
        now = time.monotonic()
        if not self.console.is_terminal and now - self.last_line >= PLAIN_SECONDS:
            self.say(f"step {line['step']} of {self.steps}: {text}")
            self.last_line = now

    def _remaining(self, line: dict) -> str:
        """Return the time left at the recent pace; larger images, which come later, take longer than that."""
        step, seconds = line["step"], line["seconds"]
        if self.before and step > self.before[0]:
            newest = (seconds - self.before[1]) / (step - self.before[0])
            old = self.seconds_per_step
            self.seconds_per_step = newest if old is None else old + SMOOTHING * (newest - old)
        self.before = (step, seconds)
        if self.seconds_per_step is None:
            return "?"
        minutes, rest = divmod(round((self.steps - step) * self.seconds_per_step), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
