"""The networks: evaluation, deployment and one step of training."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from brevitas_models.blocks import BinaryBlock
from brevitas_models.config import MODELS, STRATEGIES, VOTING, NetworkConfig
from brevitas_models.convolutions import FoldedConv2d
from brevitas_models.networks import build_network, deployed, load_weights

from .networks import lived_in


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_deployed_equals_evaluation(strategy, pixels):
    network = lived_in(strategy)
    with torch.no_grad():
        logits = network(pixels)
        assert torch.equal(deployed(network)(pixels), logits)
    assert len(logits.unique()) > 100


def test_evaluation_does_not_depend_on_the_batch(pixels):
    network = lived_in()
    with torch.no_grad():
        whole = network(pixels[:8])
        alone = torch.cat([network(image[None].contiguous(memory_format=torch.channels_last)) for image in pixels[:8]])
    assert torch.equal(whole, alone)


def test_folding_is_convolution_then_batchnorm_up_to_the_weight_grid():
    torch.manual_seed(0)
    layer = FoldedConv2d(3, 16, 3, 7).train()
    x = torch.randint(-128, 128, (8, 3, 32, 32)) / 128.0
    with torch.no_grad():
        raw = F.conv2d(x, layer.conv.weight, padding=1)
        expected, got = F.batch_norm(raw, None, None, training=True), layer(x)
        step = float(layer.folded(raw.mean((0, 2, 3)), raw.var((0, 2, 3), unbiased=False))[0].abs().max()) / 64
    assert (got - expected).abs().max() < 27 * step  # each of 27 weights is off by half a step of the grid at most
    assert (got - expected).abs().mean() < 2 * step


def test_folding_keeps_running_statistics_as_batchnorm_does():
    layer, norm = FoldedConv2d(3, 4, 3, 7).train(), torch.nn.BatchNorm2d(4)
    for seed in range(3):
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        layer(x)
        norm(F.conv2d(x, layer.conv.weight, padding=1))
    torch.testing.assert_close(layer.norm.running_mean, norm.running_mean)
    torch.testing.assert_close(layer.norm.running_var, norm.running_var)


def test_folded_convolution_is_integer(pixels):
    network = lived_in()
    stem = network.stem
    with torch.no_grad():
        x = network.image_quant(pixels)
        weight = stem.folded(stem.norm.running_mean, stem.norm.running_var)[0]
        grid = (
            float(stem.conv.weight_quant(stem.folded(stem.norm.running_mean, stem.norm.running_var)[2]).scale) * 2.0**-7
        )
        accumulators = stem(x) / grid
    assert torch.equal(accumulators, accumulators.round())
    assert weight.abs().max() / (grid * 2**7) <= 127


@pytest.mark.parametrize(
    "fields",
    [
        *({"model": m, "strategy": s} for m in MODELS for s in STRATEGIES if m in VOTING or s == "none"),
        *({"model": "reactnet18", "strategy": s, "norm": n} for s in ("none", "qat") for n in ("none", "bn-free")),
        {"model": "xnornet18", "strategy": "none", "activation_scale": "map"},
        {"model": "bwn18", "strategy": "none", "activation_bits": 4, "shortcut": "binary"},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_one_step_reaches_every_parameter(fields, pixels):
    torch.manual_seed(0)
    network = build_network(NetworkConfig(**fields, width=4 if fields["model"] == "reactnet_a" else 8)).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    labels = torch.arange(64) % 10
    first = F.cross_entropy(network(pixels), labels)
    first.backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []
    optimizer.step()
    network.clip_latent_weights()
    assert torch.isfinite(network(pixels)).all()


def test_binary_blocks_see_minus_one_as_padding():
    block = lived_in().blocks[0]
    x = torch.randint(-128, 128, (1, 8, 5, 5)) / 16.0
    with torch.no_grad():
        bits = np.pad(np.where(x[0].numpy() >= 0, 1, -1), ((0, 0), (1, 1), (1, 1)), constant_values=-1)
        weight = np.where(block.conv.weight.numpy() >= 0, 1, -1)
        windows = np.lib.stride_tricks.sliding_window_view(bits, (3, 3), axis=(1, 2))  # C, H, W, 3, 3
        sums = np.einsum("chwij,ocij->ohw", windows, weight)
        vote = torch.from_numpy(np.where(sums >= 0, 1.0, -1.0)).float()[None]
        scale, bias = block.norm.constants(block.gamma())
        branch = (vote * scale.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)) * 16
        expected = (x * 16 + branch.clamp(-128, 127).round()).clamp(-128, 127) / 16
        assert torch.equal(torch.as_tensor(block(x)), expected)


def test_loading_weights_keeps_the_parameters():
    network = build_network(NetworkConfig(width=4))
    before = list(map(id, network.parameters()))
    load_weights(network, lived_in(width=4, seed=3).state_dict())
    assert list(map(id, network.parameters())) == before


def test_width_is_checked():
    with pytest.raises(ValueError, match="multiple of 4"):
        NetworkConfig(width=6)


@pytest.mark.parametrize("strategy", ["none", "qat"])
def test_bfloat16_does_not_change_what_a_block_decides(strategy):
    """Sums far above 256, where bfloat16 has steps of 2 and more: kept popcounts stay exact, votes keep their side."""
    block = BinaryBlock(128, 16, 1, NetworkConfig(model="bireal18", strategy=strategy, width=4)).train()
    torch.nn.init.uniform_(block.conv.weight, -0.02, 0.1)
    x = torch.randint(-1, 5, (2, 128, 6, 6)) / 16.0
    exact = block._sums(block.sign(x))
    plain = block.vote(exact)
    block.votes_dtype = torch.bfloat16
    sums = block._sums(block.sign(x))
    assert torch.equal(sums, exact) == (strategy == "none") and exact.abs().max() > 512
    assert torch.equal(block.vote(sums), plain)
