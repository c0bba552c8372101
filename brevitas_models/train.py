"""The trainer: data on the device, one-cycle AdamW, progressive resolution, resume after a kill."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from . import kernels
from .augment import MIDDLE, Augment, resized
from .average import WeightAverage
from .blocks import BinaryNetwork
from .clipping import clip_adaptively
from .config import NetworkConfig, TrainConfig
from .data import ImageSet
from .evaluate import accuracy
from .metrics import Accuracy
from .networks import build_network, load_weights, weights_for
from .state import NotFinite, TrainError, command_line, device_name, read_state
from .teacher import Teacher, distance
from .voters import parse_voter
from .world import ALONE, World

if TYPE_CHECKING:
    from .checkpoint import Metadata

GPU_REPORT_EVERY = 100  # steps: every report waits for the GPU
SCHEDULE = ("epochs", "lr", "warmup", "resolutions", "votes_from", "window")  # what may change in the middle of a run


def is_out_of_memory(error: RuntimeError) -> bool:
    """Is this torch's way to say that a device, or the machine, is out of memory?"""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@contextmanager
def deferred_interrupt():
    """Yields a function that tells whether Ctrl-C was pressed; a second Ctrl-C interrupts at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(number, frame):
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class Trainer:
    """Trains one network into a folder that it can be resumed from.

    ``folder/state.pt`` is replaced atomically about every ``save_seconds`` and at every epoch's end; the order and the
    augmentation of every batch follow from (seed, step), so a resumed run sees the same data as an uninterrupted one.
    ``folder/history.jsonl`` gets a line an epoch; ``folder/trunk.pt`` is the state in which votes begin, where they
    begin late (``config.votes_from``): another run can go on from it. Ctrl-C ends the step, saves, and raises
    KeyboardInterrupt (of several processes: stops at once, with what was saved last).

    ``teacher``: a network and its name, whose answers the network learns beside the labels; its part of the loss is
    ``config.distillation``. They are to the training images as they are before augmentation, all found before the first
    step, or (``config.teacher_on``) to the whole images of every batch.

    With ``config.ema`` the network that is measured, and later packed, is the average of the weights. With
    ``config.validation`` so many training images are kept apart and measured after every epoch, and the test images
    only after the last one.

    On a GPU a step waits for nothing: order, images and random numbers are there, and the state is saved every
    ``save_seconds``, not after every epoch, which takes a second or two.

    Several processes (``world``) share every batch; each normalises with the statistics of its own part.
    """

    def __init__(
        self,
        network: NetworkConfig,
        config: TrainConfig,
        train: ImageSet,
        test: ImageSet,
        folder: Path,
        device: str = "cpu",
        save_seconds: float = 300.0,
        world: World = ALONE,
        teacher: tuple[torch.nn.Module, str] | None = None,
    ):
        self.network, self.config, self.folder = network, config, Path(folder)
        self.device = torch.device(device)
        self.test, self.source = test, train.source
        self.save_seconds, self.world = save_seconds, world
        if kernels.usable(self.device, network.width):
            kernels.keep_memory()
        if self.on_gpu:
            torch.backends.cudnn.benchmark = True  # few shapes, many steps
        torch.manual_seed(config.seed)
        self.model = build_network(network).to(self.device, memory_format=torch.channels_last)
        self.model.scale_branches(config.branch_scale)
        if config.bf16 and isinstance(self.model, BinaryNetwork):
            self.model.use_bfloat16()
        self.average = WeightAverage(self.model, config.ema) if config.ema else None
        # of all but the last layer, as Brock et al. have it
        self.clipped = [p for name, p in self.model.named_parameters() if not name.startswith("classifier.")]
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.lr, weight_decay=0.0, fused=True)
        train, self.validation = train.split(config.validation) if config.validation else (train, None)
        self.data = Augment(train, self.device, config.shift, config.erase)
        self.generator = torch.Generator(self.device)
        self.steps_per_epoch = len(train) // config.batch
        self.steps = self.steps_per_epoch * config.epochs
        self.voting_step = math.ceil(config.votes_from * self.steps)
        self.step, self.seconds, self.history = 0, 0.0, []
        self.init, self.earlier = None, []
        self.train_images, self.teacher = train.images, Teacher(*teacher, config) if teacher else None
        self.teacher_name = teacher[1] if teacher else None
        if (config.distillation > 0) != (teacher is not None):
            raise TrainError(
                "a teacher and its part of the loss go together: give --teacher and --distillation, or neither"
            )
        if network.activation_scale == "mean":
            raise TrainError("activation_scale mean is made of a network that was trained with map: use flow ptq")
        if config.batch % world.size:
            raise TrainError(
                f"a batch of {config.batch} images cannot be shared by {world.size} processes: give a multiple of "
                f"{world.size}"
            )
        if not self.steps:
            raise TrainError(f"{len(train)} images are less than one batch of {config.batch}: lower --batch")
        smaller = [size for _, size in config.resolutions if size != 32]
        if smaller and network.model == "bnn_cifar10":
            raise TrainError(
                f"bnn_cifar10 has dense layers for maps of 4x4 pixels: no --resolutions of {smaller[0]}, only 0:32"
            )
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def compiles(self) -> bool:
        """Is the network given to torch.compile? Not where the kernels for CPUs are taken, which are faster."""
        binary = isinstance(self.model, BinaryNetwork) and self.model.has_kernels
        by_kernels = binary and kernels.usable(self.device, self.network.width)
        return self.config.compile and (self.config.bf16 or not by_kernels)

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def measured_model(self) -> torch.nn.Module:
        """The average of the weights where there is one, or the weights as they are."""
        return self.average.network if self.average else self.model

    @property
    def state_file(self) -> Path:
        return self.folder / "state.pt"

    @property
    def trunk_file(self) -> Path:
        return self.folder / "trunk.pt"

    def resume(self, reschedule: bool = False) -> bool:
        """Continues from ``folder/state.pt`` if it is there; True if so.

        Args:
            reschedule: a run that was begun with another schedule goes on with this one from the step where it is.

        Raises:
            TrainError: the run is of another network, recipe or data set.
        """
        if not self.state_file.exists():
            return False
        state = read_state(self.state_file, self.device)
        begun = TrainConfig(**{**state["config"], "compile": self.config.compile})  # which changes no result
        fixed = {name: value for name, value in self.config if name not in SCHEDULE}
        if NetworkConfig(**state["network"]) != self.network or begun.model_dump(include=set(fixed)) != fixed:
            raise TrainError(f"{self.state_file} belongs to another network or recipe: use another --output")
        if (state["source"], state.get("steps", self.steps)) != (self.source, self.steps_per_epoch * begun.epochs):
            raise TrainError(f"{self.state_file} was trained on other data ({state['source']}): use another --output")
        if state.get("teacher") != self.teacher_name:
            raise TrainError(
                f"{self.state_file} was begun with teacher {state.get('teacher')}: give that, or another --output"
            )
        self.init, self.earlier = state.get("init"), list(state.get("earlier", []))
        if begun != self.config:
            self._reschedule(begun, state["step"], reschedule)
        load_weights(self.model, state["model"])
        if self.average:
            self.average.restart(self.model, state.get("average"))
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self._write_history()
        return True

    def _reschedule(self, begun: TrainConfig, step: int, allowed: bool) -> None:
        command = command_line(self.network, begun, self.init, self.teacher_name)
        if not allowed:
            raise TrainError(
                f"{self.state_file} was begun with another schedule, {command}: give that, --reschedule to go on with "
                f"this one from step {step}, or another --output"
            )
        if step >= self.steps:
            raise TrainError(
                f"{self.state_file} is at step {step}, beyond the {self.steps} of {self.config.epochs} epochs: "
                "ask for more"
            )
        self.earlier.append(f"{step / self.steps_per_epoch:.2f} epochs of {command}")

    def branch_from(self, trunk: Path) -> bool:
        """Goes on from the ``trunk.pt`` of a run that did the same up to the step where votes begin; True if it is such
        a one.

        That is the run of another strategy or voter for the same network, with the same data and schedule: as popcounts
        are kept until then, its steps are this run's own, bit for bit.
        """
        if not (self.voting_step and trunk.is_file()):
            return False
        state = read_state(trunk, self.device)
        other = NetworkConfig(**state["network"])
        if (
            (kept(other), TrainConfig(**state["config"])) != (kept(self.network), self.config)
            or (state["source"], state.get("steps", self.steps), state["step"])
            != (self.source, self.steps, self.voting_step)
            or state.get("init")
            or state.get("earlier")
            or state.get("teacher") != self.teacher_name
        ):
            return False
        load_weights(self.model, state["model"], strict=False)
        if self.average:
            self.average.restart(self.model, state.get("average"))
        theirs = [name for name, _ in build_network(other).named_parameters()]
        ours = {name: index for index, (name, _) in enumerate(self.model.named_parameters())}
        groups = self.optimizer.state_dict()["param_groups"]
        moments = {
            ours[theirs[index]]: value for index, value in state["optimizer"]["state"].items() if theirs[index] in ours
        }
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self._write_history()
        return True

    def start_from(self, network: torch.nn.Module, name: str, metadata: Metadata | None = None) -> None:
        """Takes the weights of another network of the same model and width; ``name`` says which and ``metadata`` how it
        was trained, for the record.

        Strategies and voters differ only in the division numbers, which stay at their start when ``network`` has none;
        so do the weights of a kind of shortcut that ``network`` has not.
        """
        try:
            missing, unexpected = load_weights(self.model, weights_for(self.network, network), strict=False)
        except RuntimeError as error:
            raise TrainError(f"{name} has other shapes than this network: give the same --width") from error
        strangers = [
            key
            for key in (*missing, *unexpected)
            if not key.endswith(("log_alpha", "offset.threshold", "offset.mean")) and ".shortcut." not in key
        ]
        if strangers:
            raise TrainError(f"{name} is another network ({strangers[0]} does not match)")
        if self.average:
            self.average.restart(self.model)
        self.init = name
        if metadata:
            self.earlier = [*metadata.earlier, f"{metadata.epochs:g} epochs of {metadata.command}"]

    def save(self, path: Path | None = None) -> None:
        """Replaces ``state_file``, or ``path``; it is whole or the old one at any time.

        Only the first of several processes does.

        Raises:
            NotFinite: a parameter is not a finite number, so this state is not worth keeping.
            OSError: the disk is full, say.
        """
        if not self.world.first:
            return
        for name, parameter in self.model.named_parameters():
            if not parameter.isfinite().all():
                raise NotFinite(
                    f"{name} is not finite at step {self.step}: lower --lr; the last good state is in {self.folder}"
                )
        state = {
            "network": self.network.model_dump(),
            "config": self.config.model_dump(),
            "model": self.model.state_dict(),
            **({"average": self.average.network.state_dict()} if self.average else {}),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "steps": self.steps,
            "seconds": self.seconds,
            "history": self.history,
            "source": self.source,
            "init": self.init,
            "teacher": self.teacher_name,
            "earlier": self.earlier,
            "device": device_name(self.device),
        }
        content = io.BytesIO()  # torch.save on a full disk would raise something other than OSError
        torch.save(state, content)
        path = path or self.state_file
        partial = path.with_suffix(".part")
        try:
            partial.write_bytes(content.getbuffer())
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _loss(self, forward, size: int) -> torch.Tensor:
        config = self.config
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if self._order_epoch != epoch:
            order = torch.Generator().manual_seed(
                config.seed * 1_000_003 + epoch
            )  # on the CPU: the same on all devices
            self._order = torch.randperm(len(self.data.labels), generator=order).to(self.device)
            self._order_epoch = epoch
        index = self._order[position * config.batch : (position + 1) * config.batch]
        self.generator.manual_seed(config.seed * 7_368_787 + self.step)
        images, labels = self.data.batch(index, self.generator, self.world.part(len(index)))
        pixels = resized(images, size).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            logits = forward(pixels).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
        if not config.distillation:
            return loss
        answers = self.teacher.answers(index[self.world.part(len(index))], images)
        return (1 - config.distillation) * loss + config.distillation * distance(logits, answers, config.temperature)

    def _autocast(self):
        """bfloat16 for float networks; binary ones have their own rule (BinaryNetwork.use_bfloat16)."""
        low = self.config.bf16 and not isinstance(self.model, BinaryNetwork)
        return torch.autocast(self.device.type, torch.bfloat16) if low else nullcontext()

    def run(
        self,
        report: Callable[[dict], None],
        test_images: int = 2_000,
        report_every: int | None = None,
        until: float = math.inf,
    ) -> bool:
        """Trains to the end, or to the first step that ends after ``time.monotonic()`` has passed ``until``; returns
        whether the end is reached. The state is saved either way.

        ``report`` gets a dict of progress every ``report_every`` steps: 20, on a GPU GPU_REPORT_EVERY.

        Raises:
            NotFinite: the loss is not a number; the last good state stays in the folder.
        """
        report_every = report_every or (GPU_REPORT_EVERY if self.on_gpu else 20)
        self.forward = torch.compile(self.model, dynamic=False) if self.compiles else self.model
        self.forward = self.world.together(self.forward, some_unused=self.voting_step > 0)
        if self.teacher is not None and self.step < self.steps:
            self.teacher.prepare(self.train_images, self.device)
        self._order_epoch, running, saved = -1, 0.0, time.monotonic()
        last, last_step = time.monotonic(), self.step
        with deferred_interrupt() if self.world.size == 1 else nullcontext(lambda: False) as interrupted:
            while self.step < self.steps:
                if self.step == self.voting_step > 0:
                    self.save(self.trunk_file)
                size = self.config.resolution(self.step / self.steps)
                running += self._train_step(size)
                ends_epoch = self.step % self.steps_per_epoch == 0
                late = time.monotonic() > until
                if self.step % report_every == 0 or ends_epoch or late or interrupted():
                    now, count = time.monotonic(), self.step - last_step
                    self.seconds += now - last
                    mean_loss = float(running) / count
                    if not math.isfinite(mean_loss):
                        raise NotFinite(
                            f"the loss is {mean_loss} at step {self.step}: lower --lr; the last good state is in "
                            f"{self.folder}"
                        )
                    rate = count * self.config.batch / max(now - last, 1e-9)
                    report(
                        {
                            "step": self.step,
                            "steps": self.steps,
                            "epoch": self.step / self.steps_per_epoch,
                            "size": size,
                            "loss": mean_loss,
                            "images_per_s": rate,
                            "seconds": self.seconds,
                        }
                    )
                    running, last, last_step = 0.0, now, self.step
                stops = interrupted()
                due = time.monotonic() - saved > self.save_seconds and self.step == last_step
                if ends_epoch:
                    line = self._end_epoch(size, mean_loss, test_images)
                if stops or late or due or self.step == self.steps or (ends_epoch and not self.on_gpu):
                    self.save()
                    saved = time.monotonic()
                if ends_epoch and line:
                    self._write_history()
                    report(line)
                last = time.monotonic() if ends_epoch or saved > last else last
                if stops:
                    raise KeyboardInterrupt
                if late:
                    break
        return self.step == self.steps

    def measured(self) -> Accuracy:
        """Accuracy on the whole test set at the end of the run."""
        if self.step < self.steps:
            raise TrainError(f"the run is at step {self.step} of {self.steps}: its final accuracy is not measured yet")
        line = self.history[-1]
        return Accuracy(top1=line["top1"], top5=line["top5"], images=line["test_images"], data=self.test.source)

    def measured_apart(self) -> Accuracy | None:
        """Accuracy on the training images that were kept apart, at the end of the run; None if there are none."""
        apart = self.history[-1].get("validation") if self.history else None
        if not apart:
            return None
        source = f"{self.test.source}, {apart['test_images']:,} training images kept apart"
        return Accuracy(top1=apart["top1"], top5=apart["top5"], images=apart["test_images"], data=source)

    def _train_step(self, size: int) -> torch.Tensor:
        """One optimizer step; returns its loss. Goes on without torch.compile where that fails."""
        try:
            return self._optimize(self.forward, size)
        except (TrainError, KeyboardInterrupt):
            raise
        except Exception as error:
            if self.forward is self.model or self.world.size > 1:
                raise
            warnings.warn(f"torch.compile failed, so the run goes on without: {error}", stacklevel=2)
            self.forward = self.model
            return self._optimize(self.forward, size)

    def _optimize(self, forward, size: int) -> torch.Tensor:
        if not self.model.training:
            self.model.train()
        if self.voting_step and isinstance(self.model, BinaryNetwork):
            self.model.keep_popcounts(self.step < self.voting_step)
        if self.network.division == "rms":
            self.model.set_window(self.config.window_at(self.step / self.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.step / self.steps)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            loss = self._loss(forward, size)
            loss.backward()
            if self.config.clipping:
                clip_adaptively(self.clipped, self.config.clipping)
            self.optimizer.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            fits = self._batch_that_fits(size)
            hint = f"--batch {fits} fits" if fits else "not even one of 2 fits"
            raise TrainError(
                f"a batch of {self.config.batch} images of {size} pixels does not fit into the memory of "
                f"{self.device}: {hint}"
            ) from None
        if isinstance(self.model, BinaryNetwork):
            self.model.clip_latent_weights()
        self.step += 1
        if self.average:
            self.average.update(self.model, self.step)
        return loss.detach()

    def _batch_that_fits(self, size: int) -> int | None:
        """The largest batch, of the halves, quarters, ... of the one that did not, that a step can be done with."""
        count = self.config.batch // 2
        while count >= 2:
            self.optimizer.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            try:
                pixels = torch.full((count, 3, size, size), float(MIDDLE), device=self.device)
                self.model(pixels.contiguous(memory_format=torch.channels_last)).sum().backward()
                return count
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            count //= 2
        return None

    def _end_epoch(self, size: int, loss: float, test_images: int) -> dict | None:
        """Measures, on images kept apart if there are some, at the end on the whole test set too; returns the line of
        the history.
        """
        if not self.world.first:
            return None
        line = {"epoch": self.step // self.steps_per_epoch, "size": size, "loss": round(loss, 4)}
        apart = {}
        if self.validation:
            images = self.validation
            top1, top5 = accuracy(self.measured_model, images)
            apart = {"split": "validation", "top1": top1, "top5": top5, "test_images": len(images)}
        if self.step == self.steps or not apart:
            images = self.test if self.step == self.steps else self.test.spread(test_images)
            top1, top5 = accuracy(self.measured_model, images)
            line |= {"top1": top1, "top5": top5, "test_images": len(images)} | ({"validation": apart} if apart else {})
        else:
            line |= apart
        line["seconds"] = round(self.seconds, 1)
        self.history.append(line)
        return line

    def _write_history(self) -> None:
        """A line an epoch; written anew, as a kill may have come between the state and the line."""
        if not self.world.first:
            return
        partial = self.folder / "history.part"
        partial.write_text("".join(json.dumps(line) + "\n" for line in self.history))
        os.replace(partial, self.folder / "history.jsonl")


def kept(network: NetworkConfig) -> NetworkConfig:
    """What ``network`` is as long as popcounts are kept: strategy none, without all that only votes have."""
    votes = ["division", "train_alpha", "threshold"] + ["voter"] * (parse_voter(network.voter).sample == 1)
    return network.model_copy(
        update={"strategy": "none", **{name: NetworkConfig.model_fields[name].default for name in votes}}
    )
