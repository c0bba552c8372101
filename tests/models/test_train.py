"""The trainer on a tiny network: it learns, it can be stopped, and it stops when it must."""

import copy
import json
import os
import signal

import numpy as np
import pytest
import torch

from brevitas_models.checkpoint import from_training_state
from brevitas_models.config import NetworkConfig, TrainConfig
from brevitas_models.data import DataError, ImageSet
from brevitas_models.evaluate import accuracy, logits_of
from brevitas_models.quantizers import PopBinVote
from brevitas_models.state import TrainError, command_line
from brevitas_models.teacher import distance, kept_logits
from brevitas_models.train import Trainer

NETWORK = NetworkConfig(width=4)


def config(**fields) -> TrainConfig:
    return TrainConfig(**{"epochs": 2, "batch": 32, "compile": False, "resolutions": ((0.0, 16),), **fields})


def trainer(samples, folder, network=NETWORK, save_seconds=300.0, **fields) -> Trainer:
    return Trainer(
        network, config(**fields), samples.spread(256), samples.spread(64), folder, save_seconds=save_seconds
    )


class Stop(Exception):
    pass


def stop_at(step):
    def report(line):
        if line.get("step") == step:
            raise Stop

    return report


def killed_and_resumed(samples, folder, network, **fields) -> Trainer:
    """A run that was stopped within its sixth step and went on to its end."""
    with pytest.raises(Stop):
        trainer(samples, folder, network, save_seconds=0, **fields).run(stop_at(6), report_every=1)
    resumed = trainer(samples, folder, network, **fields)
    assert resumed.resume() and 0 < resumed.step < 7
    resumed.run(lambda line: None)
    return resumed


def test_it_learns(samples, tmp_path):
    lines = []
    run = trainer(samples, tmp_path, epochs=6, lr=1e-2, seed=2)
    run.run(lines.append, report_every=8)
    losses = [line["loss"] for line in lines if "step" in line]
    assert losses[-1] < losses[0] - 0.1
    assert accuracy(run.model, samples.spread(256))[0] > 15  # chance is 10
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history] == list(range(1, 7))
    assert history == run.history


@pytest.mark.parametrize("width", [4, 16])  # by the modules, by the kernels
def test_resumed_equals_uninterrupted(samples, tmp_path, width):
    network = NetworkConfig(width=width)
    whole = trainer(samples, tmp_path / "whole", network)
    whole.run(lambda line: None)

    stopped = trainer(samples, tmp_path / "parts", network)
    with pytest.raises(Stop):
        stopped.run(stop_at(12), report_every=4)  # killed in the second epoch: the first one's end was saved
    resumed = trainer(samples, tmp_path / "parts", network)
    assert resumed.resume() and resumed.step == 8
    resumed.run(lambda line: None)
    equal_states(whole, resumed)
    assert from_training_state(tmp_path / "parts" / "state.pt")[1].epochs == 2


def equal_states(one: Trainer, other: Trainer):
    for (name, a), b in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    a, b = (run.optimizer.state_dict()["state"] for run in (one, other))
    assert all(torch.equal(a[key][field], b[key][field]) for key in a for field in a[key])


@pytest.fixture
def ctrl_c():
    """Ctrl-C as Python has it; a job that a shell put into the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_saves_the_step_it_is_in(samples, tmp_path, ctrl_c):
    def interrupt(line):
        if line.get("step") == 4:
            os.kill(os.getpid(), signal.SIGINT)

    whole = trainer(samples, tmp_path / "whole")
    whole.run(lambda line: None)
    run = trainer(samples, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        run.run(interrupt, report_every=4)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = trainer(samples, tmp_path / "parts")
    assert resumed.resume() and resumed.step in (4, 5)
    resumed.run(lambda line: None)
    equal_states(whole, resumed)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(samples, tmp_path):
    run = trainer(samples, tmp_path)

    def poison(line):
        if line.get("step") == 12:
            with torch.no_grad():
                run.model.classifier.weight[0, 0] = float("nan")

    with pytest.raises(TrainError, match="lower --lr"):
        run.run(poison, report_every=4)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 8
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_state_that_is_not_finite_is_not_saved(samples, tmp_path):
    run = trainer(samples, tmp_path)
    with torch.no_grad():
        run.model.stem.conv.weight[0] = float("inf")
    with pytest.raises(TrainError, match="stem.conv.weight"):
        run.save()
    assert list(tmp_path.iterdir()) == []


def test_states_of_other_runs_are_refused(samples, tmp_path):
    trainer(samples, tmp_path).save()
    with pytest.raises(TrainError, match="another network or recipe"):
        trainer(samples, tmp_path, seed=2).resume()
    with pytest.raises(TrainError, match="another network or recipe"):
        trainer(samples, tmp_path, network=NetworkConfig(width=8)).resume()
    other = Trainer(NETWORK, config(), samples.spread(128), samples.spread(64), tmp_path)
    with pytest.raises(TrainError, match="other data"):
        other.resume()
    longer = trainer(samples, tmp_path, epochs=config().epochs + 1)
    with pytest.raises(TrainError, match="another schedule, flow train .* --reschedule"):
        longer.resume()
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:5000])
    with pytest.raises(TrainError, match="damaged"):
        trainer(samples, tmp_path).resume()


def test_a_run_goes_on_under_another_schedule(samples, tmp_path):
    begun = trainer(samples, tmp_path)
    with pytest.raises(Stop):
        begun.run(stop_at(2), report_every=1)
    begun.save()
    longer = trainer(samples, tmp_path, epochs=config().epochs + 1, lr=1e-4)
    assert longer.resume(reschedule=True)
    assert (longer.step, longer.steps) == (begun.step, begun.steps + begun.steps_per_epoch)
    assert [text.split(" epochs of ")[1] for text in longer.earlier] == [command_line(NETWORK, config())]
    longer.save()
    again = trainer(samples, tmp_path, epochs=config().epochs + 1, lr=1e-4)
    assert again.resume() and again.earlier == longer.earlier
    begun.step = begun.steps
    begun.save()
    with pytest.raises(TrainError, match="beyond"):
        trainer(samples, tmp_path, lr=1e-4).resume(reschedule=True)


def test_a_failed_save_keeps_the_old_state(samples, tmp_path, monkeypatch):
    run = trainer(samples, tmp_path)
    run.save()
    before = (tmp_path / "state.pt").read_bytes()

    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError):
        run.save()
    assert (tmp_path / "state.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_start_from_another_strategy(samples, tmp_path):
    kept = trainer(samples, tmp_path / "none", network=NetworkConfig(width=4, strategy="none"))
    votes = trainer(samples, tmp_path / "qat")
    votes.start_from(kept.model, "none.popbin")
    assert torch.equal(votes.model.blocks[5].conv.weight, kept.model.blocks[5].conv.weight)
    assert "--init none.popbin" in command_line(votes.network, votes.config, votes.init)
    with pytest.raises(TrainError, match="--width"):
        votes.start_from(trainer(samples, tmp_path / "w8", network=NetworkConfig(width=8)).model, "wide.popbin")


@pytest.mark.parametrize(
    "fields", [{"shortcut": "duplicate"}, {"shortcut": "binary"}, {"voter": "maj3"}, {"voter": "sample(2)"}], ids=str
)
def test_start_from_another_voter_or_shortcut(samples, tmp_path, fields):
    """What both have is taken, and a network of another model is refused."""
    first = trainer(samples, tmp_path / "first").model
    other = trainer(samples, tmp_path / "other", network=NetworkConfig(width=4, **fields))
    own = {name: tensor.clone() for name, tensor in other.model.state_dict().items()}
    other.start_from(first, "first.popbin")
    ratio = 2 if "sample(2)" in fields.values() else 1
    assert torch.equal(other.model.blocks[5].conv.weight, first.blocks[5].conv.weight[:, ::ratio])
    assert torch.equal(other.model.classifier.weight, first.classifier.weight)
    strange = [
        name
        for name in own
        if name not in first.state_dict() and not torch.equal(own[name], other.model.state_dict()[name])
    ]
    assert strange == []
    with pytest.raises(TrainError, match="is another network"):
        trainer(samples, tmp_path / "react", network=NetworkConfig(model="reactnet18", width=4)).start_from(
            first, "first.popbin"
        )


LATE = {"votes_from": 0.4}  # of 16 steps: from step 7 on


@pytest.mark.parametrize(
    "fields", [{}, {"voter": "maj3"}, {"threshold": "learned"}, {"model": "reactnet18", "width": 16}], ids=str
)
def test_votes_that_begin_late(samples, tmp_path, fields):
    """Until then it is the run of strategy none, bit for bit, and can be taken over from that; so after a kill."""
    network = NetworkConfig(**{"width": 4, **fields})
    plain = network.model_copy(update={"strategy": "none", "voter": "exact", "threshold": "majority"})
    losses = {}
    for name, each in (("none", plain), ("whole", network), ("branch", network)):
        run = trainer(samples, tmp_path / name, each, **LATE)
        if name == "branch":
            assert run.branch_from(tmp_path / "none" / "trunk.pt") and run.step == 7
        lines = []
        run.run(lines.append, report_every=1)
        losses[name] = {line["step"]: line["loss"] for line in lines if "step" in line}
        if name == "whole":
            whole = run
    before, after = range(1, 8), range(8, 17)
    assert [losses["none"][step] for step in before] == [losses["whole"][step] for step in before]
    assert losses["none"][8] != losses["whole"][8]
    assert losses["branch"] == {step: losses["whole"][step] for step in after}
    equal_states(whole, run)

    equal_states(whole, killed_and_resumed(samples, tmp_path / "killed", network, **LATE))


def test_branches_start_small(samples, tmp_path):
    """Those of residual blocks, not their shortcuts; and not where weights are taken over."""
    network = NetworkConfig(model="reactnet18", width=4)
    large = trainer(samples, tmp_path / "large", network, branch_scale=1.0).model
    small = trainer(samples, tmp_path / "small", network, branch_scale=0.5)
    for index, (block, other) in enumerate(zip(small.model.blocks, large.blocks)):
        assert block.norm.weight.eq(0.5).all() and other.norm.weight.eq(1.0).all()
        if index in (4, 8, 12):
            assert block.shortcut.conv.norm.weight.eq(1.0).all()
    small.start_from(large, "large")
    assert all(block.norm.weight.eq(1.0).all() for block in small.model.blocks)
    bnn = NetworkConfig(model="bnn_cifar10", strategy="none", width=8)
    assert trainer(samples, tmp_path / "bnn", bnn, resolutions=((0.0, 32),)).model.blocks[0].norm.weight.eq(1.0).all()


@pytest.mark.parametrize("width", [4, 16])  # by the modules, by the kernels
def test_a_window_that_narrows(samples, tmp_path, width):
    """Every step has the window of its place in the run; a kill does not matter; others than rms have none."""
    network = NetworkConfig(model="reactnet18", width=width, division="rms")
    fields = {"window": (3.0, 0.75)}
    whole, seen = trainer(samples, tmp_path / "whole", network, **fields), []
    votes = [module for module in whole.model.modules() if isinstance(module, PopBinVote)]
    whole.run(
        lambda line: seen.append([float(vote.window) for vote in votes]) if "step" in line else None, report_every=1
    )
    expected = 3.0 * 0.25 ** (np.arange(16) / 16)
    np.testing.assert_allclose(np.array(seen), np.repeat(expected[:, None], 16, 1), rtol=1e-6)

    equal_states(whole, killed_and_resumed(samples, tmp_path / "killed", network, **fields))

    same = trainer(samples, tmp_path / "same", network)
    same.run(lambda line: None)
    assert not all(torch.equal(a, b) for a, b in zip(same.model.parameters(), whole.model.parameters()))


def test_only_the_same_run_is_taken_over(samples, tmp_path):
    trunk = trainer(samples, tmp_path / "none", NETWORK.model_copy(update={"strategy": "none"}), **LATE)
    trunk.run(lambda line: None)
    cases = [
        (NETWORK, {}, True),
        (NETWORK, {"votes_from": 0.5}, False),
        (NETWORK, {"votes_from": 0}, False),
        (NETWORK, {"seed": 2}, False),
        (NETWORK, {"lr": 1e-3}, False),
        (NetworkConfig(width=8), {}, False),
        (NetworkConfig(width=4, padding="zero"), {}, False),
        (NetworkConfig(width=4, voter="sample(2)"), {}, False),
    ]
    for index, (network, fields, fits) in enumerate(cases):
        run = trainer(samples, tmp_path / str(index), network, **{**LATE, **fields})
        assert run.branch_from(trunk.trunk_file) == fits, (network, fields)
        assert run.step == (7 if fits else 0)
    assert not trainer(samples, tmp_path / "other", **LATE).branch_from(tmp_path / "nothing.pt")


def test_dense_layers_take_whole_images_only(samples, tmp_path):
    network, config = (
        NetworkConfig(model="bnn_cifar10", strategy="none", width=4),
        TrainConfig(resolutions=((0.0, 16), (0.5, 32))),
    )
    with pytest.raises(TrainError, match="resolutions of 16"):
        Trainer(network, config, samples, samples, tmp_path)


def test_too_few_images_for_a_batch(samples, tmp_path):
    with pytest.raises(TrainError, match="lower --batch"):
        trainer(samples, tmp_path, batch=512)


def test_schedule():
    plan = config(resolutions=((0.0, 16), (0.4, 24), (0.7, 32)))
    assert [plan.resolution(progress) for progress in (0, 0.39, 0.4, 0.7, 1)] == [16, 16, 24, 32, 32]
    rates = [plan.rate(progress) for progress in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(plan.lr, rel=0.01) and rates[-1] == pytest.approx(0, abs=1e-12) and rates[0] > 0
    assert [config(window=(4, 1)).window_at(progress) for progress in (0, 0.5, 1)] == [4, 2, 1]
    for wrong in ([(0.1, 32)], [(0.0, 32), (0.5, 31)], [(0.0, 16), (0.7, 24), (0.4, 32)], []):
        with pytest.raises(ValueError, match="resolutions are"):
            config(resolutions=wrong)


def test_every_batch_follows_from_the_seed(samples, tmp_path):
    runs = [trainer(samples, tmp_path / str(i)) for i in range(2)]
    index = torch.arange(16)
    batches = [run.data.batch(index, torch.Generator().manual_seed(3)) for run in runs]
    assert torch.equal(batches[0][0], batches[1][0])
    assert torch.equal(batches[0][1], torch.from_numpy(samples.spread(256).labels[:16]))


def test_out_of_memory_says_what_fits(samples, tmp_path, monkeypatch):
    run = trainer(samples, tmp_path)
    forward = run.model.forward

    def small_memory(pixels):
        if len(pixels) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(pixels)

    monkeypatch.setattr(run.model, "forward", small_memory)
    for images, message in ((20, "--batch 16 fits"), (1, "not even one of 2 fits")):
        most = images
        with pytest.raises(
            TrainError, match=f"a batch of 32 images of 16 pixels does not fit into the memory of cpu: {message}"
        ):
            run.run(lambda line: None)
    assert not run.state_file.exists()


def test_smoothed_labels_have_another_loss(samples, tmp_path):
    losses = []
    for smoothing in (0.0, 0.3):
        lines = []
        trainer(samples, tmp_path / str(smoothing), label_smoothing=smoothing).run(lines.append, report_every=1)
        losses.append(lines[0]["loss"])
    assert losses[1] != losses[0]


@pytest.fixture(scope="module")
def teacher(samples, tmp_path_factory):
    twin, schedule = (
        NetworkConfig(model="twin18", strategy="none", width=4),
        {"epochs": 12, "lr": 1e-2, "resolutions": ((0.0, 32),)},
    )
    run = trainer(samples, tmp_path_factory.mktemp("twin"), twin, **schedule)
    run.run(lambda line: None)
    return run


def test_a_float_network_learns(samples, teacher):
    assert teacher.history[-1]["loss"] < teacher.history[0]["loss"] - 0.1
    assert accuracy(teacher.model, samples.spread(256))[0] > 30  # chance is 10; 40 to 41 with three seeds
    packed, metadata = from_training_state(teacher.state_file)
    assert metadata.network.model == "twin18"
    assert np.array_equal(logits_of(packed, samples.images[:8]), logits_of(teacher.model, samples.images[:8]))


def test_answers_of_a_teacher_are_found_once(samples, teacher, tmp_path, monkeypatch):
    """A run that goes on, or another one of the same teacher, takes them from the cache; other weights have others."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images, network, asked = samples.images[:6], copy.deepcopy(teacher.model).eval(), []
    network.register_forward_hook(lambda *_: asked.append(1))
    found = kept_logits(network, images)
    np.testing.assert_array_equal(found, logits_of(teacher.model, images))
    again = copy.deepcopy(teacher.model).eval()
    again.register_forward_hook(lambda *_: asked.append(2))
    np.testing.assert_array_equal(kept_logits(again, images), found)
    assert asked == [1]
    with torch.no_grad():
        next(again.parameters()).mul_(1.5)
    assert (kept_logits(again, images) != found).any() and (kept_logits(again, images[:3]) != found[:3]).any()
    assert asked == [1, 2, 2]


def test_learning_from_a_teacher(samples, tmp_path, teacher):
    """All of the loss from the teacher, and labels that say nothing: only its answers can be learned."""
    few = samples.spread(128)
    blank = ImageSet(few.images, np.zeros_like(few.labels), few.source)
    settings = config(epochs=12, lr=1e-2, distillation=1.0)
    learned_from = teacher.model.eval(), "twin.popbin"
    run = Trainer(NETWORK, settings, blank, samples.spread(64), tmp_path / "whole", teacher=learned_from)
    answers = logits_of(teacher.model, few.images).argmax(1)
    agreed = [np.mean(logits_of(run.model, few.images).argmax(1) == answers)]
    run.run(lambda line: None)
    agreed.append(np.mean(logits_of(run.model, few.images).argmax(1) == answers))
    assert agreed[1] > agreed[0] + 0.1 and agreed[1] > np.bincount(answers).max() / 128
    assert "--distillation 1 --temperature 2 --teacher twin.popbin" in from_training_state(run.state_file)[1].command
    with pytest.raises(TrainError, match="begun with teacher twin.popbin"):
        Trainer(NETWORK, settings, blank, blank, tmp_path / "whole", teacher=(teacher.model, "other.popbin")).resume()
    for fields in ({"config": config()}, {"teacher": None}):
        with pytest.raises(TrainError, match="give --teacher and --distillation, or neither"):
            Trainer(
                **{
                    "network": NETWORK,
                    "config": settings,
                    "train": blank,
                    "test": blank,
                    "folder": tmp_path / "x",
                    "teacher": learned_from,
                    **fields,
                }
            )


def test_the_distance_of_answers():
    """By its definition, in float64; and no distance from itself."""
    ours, theirs = torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(3)).double()
    p, q = (torch.softmax(x / 3, 1) for x in (theirs, ours))
    assert float(distance(ours, theirs, 3.0)) == pytest.approx(9 * float((p * (p / q).log()).sum(1).mean()))
    assert float(distance(ours, ours + 7, 3.0)) == pytest.approx(0)


def test_accuracy_is_of_a_finished_run(samples, tmp_path):
    run = trainer(samples, tmp_path)
    with pytest.raises(TrainError, match="step 0 of 16: its final accuracy is not measured yet"):
        run.measured()
    run.run(lambda line: None)
    measured = run.measured()
    assert (round(measured.top1, 2), round(measured.top5, 2)) == tuple(
        round(x, 2) for x in accuracy(run.model, samples.spread(64))
    )
    assert measured.images == 64


def test_a_time_to_stop_at(samples, tmp_path):
    """A run stops after the first step that ends too late, saved; and goes on to the same end."""
    whole = trainer(samples, tmp_path / "whole")
    assert whole.run(lambda line: None)
    stopped, lines = trainer(samples, tmp_path / "parts"), []
    assert not stopped.run(lines.append, until=0.0)
    assert [line["step"] for line in lines] == [1] and torch.load(stopped.state_file, weights_only=True)["step"] == 1
    resumed = trainer(samples, tmp_path / "parts")
    assert resumed.resume() and resumed.run(lambda line: None)
    equal_states(whole, resumed)


def test_states_without_the_newer_fields_are_read(samples, tmp_path):
    """A run that was begun before there were averages, validation splits and so on goes on: its config lacks them."""
    begun = trainer(samples, tmp_path)
    with pytest.raises(Stop):
        begun.run(stop_at(2), report_every=1)
    begun.save()
    state = torch.load(begun.state_file, weights_only=True)
    for name in ("ema", "erase", "validation", "teacher_on"):
        del state["config"][name]
    torch.save(state, begun.state_file)
    resumed = trainer(samples, tmp_path)
    assert resumed.resume() and resumed.step == 2 and resumed.run(lambda line: None)
    assert from_training_state(resumed.state_file)[1].finished


def test_an_average_of_the_weights(samples, tmp_path):
    """By its definition, in float64; it is what is measured and packed; a kill does not matter."""
    fields = {"ema": 0.7}
    run, seen = trainer(samples, tmp_path / "whole", **fields), []
    expected = {name: value.double() for name, value in run.model.state_dict().items() if value.is_floating_point()}

    def follow(line):
        if "step" not in line:
            return
        kept = min(0.7, (1 + line["step"]) / (10 + line["step"]))
        for name, value in run.model.state_dict().items():
            if name in expected:
                expected[name] = kept * expected[name] + (1 - kept) * value.double()
        seen.append(line["step"])

    run.run(follow, report_every=1)
    assert seen == list(range(1, 17))
    average = run.average.network.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(average[name].double(), value, rtol=1e-4, atol=1e-6)
    packed, metadata = from_training_state(run.state_file)
    assert np.array_equal(logits_of(packed, samples.images[:8]), logits_of(run.average.network, samples.images[:8]))
    assert not np.array_equal(logits_of(packed, samples.images[:8]), logits_of(run.model, samples.images[:8]))
    assert run.history[-1]["top1"] == accuracy(packed, samples.spread(64))[0]
    assert "--ema 0.7" in metadata.command

    resumed = killed_and_resumed(samples, tmp_path / "killed", NETWORK, **fields)
    equal_states(run, resumed)
    ours, theirs = run.average.network.state_dict(), resumed.average.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)

    plain = trainer(samples, tmp_path / "plain")
    plain.run(lambda line: None)
    equal_states(run, plain)  # the average changes nothing of the run
    started = trainer(samples, tmp_path / "started", ema=0.9)
    started.start_from(packed, "averaged")
    assert torch.equal(started.average.network.blocks[5].conv.weight, packed.blocks[5].conv.weight)


def test_images_kept_apart(samples, tmp_path):
    """They are not trained on; they are measured after every epoch, the test images at the end."""
    lines, fields = [], {"validation": 60, "epochs": 3}
    run = trainer(samples, tmp_path, **fields)
    assert len(run.data.labels) == 196 and run.steps_per_epoch == 6 and len(run.validation) == 60
    assert np.array_equal(np.bincount(run.validation.labels), [6] * 10)
    run.run(lines.append)
    history = [line for line in lines if "top1" in line]
    assert [line.get("split") for line in history] == ["validation", "validation", None]
    assert [line["test_images"] for line in history] == [60, 60, 64]
    top1 = accuracy(run.model, run.validation)[0]
    assert run.measured().images == 64 and run.measured_apart().top1 == pytest.approx(top1)
    assert run.measured_apart().data.endswith("60 training images kept apart")
    assert "--validation 60" in from_training_state(run.state_file)[1].command
    resumed = trainer(samples, tmp_path, **fields)
    assert resumed.resume() and resumed.measured_apart() == run.measured_apart()
    with pytest.raises(TrainError, match="another network or recipe"):
        trainer(samples, tmp_path, epochs=3).resume()
    assert trainer(samples, tmp_path / "none").measured_apart() is None
    with pytest.raises(DataError, match="61 of 256 images cannot be kept apart: give a multiple of 10"):
        trainer(samples, tmp_path / "odd", validation=61)


def test_a_split_is_of_all_classes_and_all_images(samples):
    rest, apart = samples.split(100)
    assert np.array_equal(np.bincount(apart.labels), [10] * 10) and len(rest) == len(samples) - 100
    images = {image.tobytes() for part in (rest, apart) for image in part.images}
    assert images == {image.tobytes() for image in samples.images}
    assert np.array_equal(samples.split(100)[1].images, apart.images)


def test_a_teacher_that_sees_the_batch(samples, tmp_path, teacher):
    """Its answers are to whole images as they are augmented, whatever size the network learns at; so after a stop."""
    asked = []

    class Watched(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.twin = teacher.model

        def forward(self, pixels):
            asked.append(pixels.clone())
            return self.twin(pixels)

    few = samples.spread(64)
    fields = config(epochs=1, distillation=0.5, teacher_on="batch", shift=4)
    runs = []
    for name, each in (("batch", fields), ("images", fields.model_copy(update={"teacher_on": "images"}))):
        asked.clear()
        run = Trainer(NETWORK, each, few, few.spread(8), tmp_path / name, teacher=(Watched(), "twin"))
        run.run(lambda line: None)
        runs.append(run)
        if name == "batch":
            assert [tuple(pixels.shape) for pixels in asked] == [(32, 3, 32, 32)] * 2
            still = torch.from_numpy(few.images).permute(0, 3, 1, 2).float()
            assert not any(torch.equal(pixels, image) for pixels in asked[0] for image in still[:4])
    assert "--teacher-on batch" in from_training_state(runs[0].state_file)[1].command
    assert not all(torch.equal(a, b) for a, b in zip(runs[0].model.parameters(), runs[1].model.parameters()))
    parts = [
        Trainer(NETWORK, fields, few, few.spread(8), tmp_path / "parts", teacher=(Watched(), "twin")) for _ in "ab"
    ]
    assert not parts[0].run(lambda line: None, until=0.0)
    assert parts[1].resume() and parts[1].run(lambda line: None)
    equal_states(runs[0], parts[1])
