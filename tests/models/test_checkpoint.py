"""Checkpoints: exact, small, and every kind of damage noticed."""

import json

import numpy as np
import pytest
import torch

from brevitas_models import checkpoint
from brevitas_models.card import model_card
from brevitas_models.checkpoint import (
    Accuracy,
    CheckpointError,
    Metadata,
    from_training_state,
    load_checkpoint,
    save_checkpoint,
)
from brevitas_models.config import STRATEGIES, NetworkConfig
from brevitas_models.errors import ModelError
from brevitas_models.zoo import FOLDER, available, bundled, checkpoint_name

from .networks import lived_in


def metadata(network) -> Metadata:
    return Metadata(
        network=network.config,
        data="CIFAR-10 (JPEG)",
        command="flow train",
        epochs=3,
        epochs_planned=10,
        seed=1,
        seconds=4321.0,
        accuracy=Accuracy(top1=71.25, top5=97.5, images=10_000, data="CIFAR-10 (JPEG)"),
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(network, path) at width 4"""
    network, path = lived_in(width=4), tmp_path_factory.mktemp("checkpoint") / "small.popbin"
    save_checkpoint(path, network, metadata(network))
    return network, path


@pytest.mark.parametrize(("strategy", "width", "images"), [*((name, 16, 64) for name in STRATEGIES), ("qat", 64, 4)])
def test_logits_do_not_change(strategy, width, images, pixels, tmp_path):
    network, path = lived_in(strategy, width), tmp_path / "x.popbin"
    stored = save_checkpoint(path, network, metadata(network))
    loaded, read = load_checkpoint(path)
    assert read == stored and not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(pixels[:images]), network(pixels[:images]))
    for kept, block in zip(loaded.blocks, network.blocks):
        assert torch.equal(kept.gamma(), block.gamma())
        for a, b in zip(kept.norm.constants(kept.gamma()), block.norm.constants(block.gamma())):
            assert torch.equal(a, b)
    assert path.stat().st_size < (6_000_000 if width == 64 else 400_000)


def test_saving_again_gives_the_same_file(small, tmp_path):
    _, path = small
    loaded, read = load_checkpoint(path)
    save_checkpoint(tmp_path / "again.popbin", loaded, read)
    assert (tmp_path / "again.popbin").read_bytes() == path.read_bytes()


def test_bit_flips_anywhere_are_noticed(small, tmp_path):
    blob = small[1].read_bytes()
    rng = np.random.default_rng(0)
    places = {0, 7, 8, 39, 40, len(blob) - 1, *rng.integers(0, len(blob), 200).tolist()}
    for place in places:
        damaged = bytearray(blob)
        damaged[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "damaged.popbin").write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path / "damaged.popbin")


@pytest.mark.parametrize("keep", [0, 5, 20, 40, 1000, -1])
def test_truncation_is_noticed(small, tmp_path, keep):
    (tmp_path / "short.popbin").write_bytes(small[1].read_bytes()[:keep])
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "short.popbin")


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "none.popbin")
    with pytest.raises(CheckpointError, match="but a folder, pipe or device"):
        load_checkpoint(tmp_path)
    np.savez(tmp_path / "foreign.npz", a=1)
    with pytest.raises(CheckpointError, match="no .popbin checkpoint"):
        load_checkpoint(tmp_path / "foreign.npz")


def rewritten(path, target, change) -> None:
    """A well-formed file whose header and arrays went through ``change``; its checksum is right."""
    header, arrays = checkpoint._read(path)
    change(header, arrays)
    blob = json.dumps(header).encode()
    with open(target.with_suffix(".npz"), "wb") as file:
        np.savez_compressed(file, header=np.frombuffer(blob, np.uint8), **arrays)
    content = target.with_suffix(".npz").read_bytes()
    target.write_bytes(checkpoint.MAGIC + checkpoint.hashlib.sha256(content).digest() + content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, arrays: header.update(format=2), "format 1"),
        (lambda header, arrays: header.update(seed="many"), "no network"),
        (lambda header, arrays: header["network"].update(model="resnet"), "no network"),
        (lambda header, arrays: arrays["stem.norm.bias"].__setitem__(0, 7.0), "another checksum"),
        (lambda header, arrays: header["network"].update(width=8), "does not hold the arrays"),
        (lambda header, arrays: header["network"].update(strategy="none"), "does not hold the arrays"),
    ],
)
def test_wrong_content_is_refused(small, tmp_path, change, message):
    rewritten(small[1], tmp_path / "wrong.popbin", change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "wrong.popbin")


def test_another_network_is_refused(small):
    load_checkpoint(small[1], model="bireal18", strategy="qat", width=4)
    with pytest.raises(CheckpointError, match="its width is 4, not 64"):
        load_checkpoint(small[1], width=64)


def test_values_that_are_not_finite_are_not_stored(tmp_path):
    network = lived_in(width=4)
    with torch.no_grad():
        network.blocks[3].conv.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(CheckpointError, match="blocks.3.conv.weight is not finite"):
        save_checkpoint(tmp_path / "nan.popbin", network, metadata(network))
    assert list(tmp_path.iterdir()) == []


def test_training_state_that_is_none(tmp_path):
    with pytest.raises(CheckpointError, match="no training state"):
        from_training_state(tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes(b"noise")
    with pytest.raises(CheckpointError, match="damaged"):
        from_training_state(tmp_path / "state.pt")
    torch.save({"model": 1}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="no training state of flow"):
        from_training_state(tmp_path / "state.pt")


def test_training_state_with_another_bit(tmp_path):
    torch.save({"model": torch.zeros(1000)}, tmp_path / "state.pt")
    content = bytearray((tmp_path / "state.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "state.pt").write_bytes(content)
    torch.load(tmp_path / "state.pt", weights_only=True)  # does not see it
    with pytest.raises(CheckpointError, match="damaged .*has another checksum"):
        from_training_state(tmp_path / "state.pt")


def test_model_card_tells_all(small):
    read = load_checkpoint(small[1])[1]
    card = model_card(read)
    for text in (
        "CIFAR-10 (JPEG)",
        "`flow train`",
        "3 of 10: **an unfinished run**",
        "1 h 12 min",
        "top-1 71.25 %",
        "10,000",
        read.weights_sha256,
    ):
        assert text in card
    assert "unfinished" not in model_card(read.model_copy(update={"epochs": 10}))
    other = read.model_copy(
        update={
            "network": read.network.model_copy(update={"voter": "maj3"}),
            "earlier": ["2 epochs of flow train --lr 1"],
        }
    )
    assert (
        "voter" not in card
        and ", voter maj3 |" in model_card(other)
        and ", after 2 epochs of flow train --lr 1 |" in model_card(other)
    )


@pytest.mark.parametrize("name", available())
def test_bundled_checkpoints_load_and_have_their_card(name):
    _, metadata = load_checkpoint(FOLDER / f"{name}.popbin")
    assert checkpoint_name(metadata.network) == name
    path = bundled(metadata.network)
    assert path.stat().st_size <= 6_000_000
    assert path.with_suffix(".md").read_text() == model_card(metadata)


@pytest.mark.parametrize(
    "fields, name",
    [
        ({}, "bireal18-qat"),
        ({"model": "reactnet18", "strategy": "none", "width": 16}, "reactnet18-none-w16"),
        ({"voter": "hierarchical(64,-+)", "shortcut": "binary"}, "bireal18-qat-hierarchical64mp-binary"),
        ({"model": "bnn_cifar10", "strategy": "none", "width": 128, "padding": "zero"}, "bnn_cifar10-none-zero"),
        ({"model": "reactnet18", "norm": "bn-free"}, "reactnet18-qat-normbnfree"),
        ({"model": "reactnet_a", "width": 32}, "reactnet_a-qat"),
        ({"model": "bwn18", "strategy": "none", "activation_bits": 4}, "bwn18-none-a4"),
        ({"model": "xnornet18", "strategy": "none", "activation_scale": "map"}, "xnornet18-none-kmap"),
    ],
)
def test_names(fields, name):
    assert checkpoint_name(NetworkConfig(**fields)) == name


def test_a_checkpoint_that_is_not_bundled():
    with pytest.raises(ModelError, match="no bundled checkpoint bireal18-qat-w4 "):
        bundled(NetworkConfig(width=4))
