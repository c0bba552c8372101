"""What is particular to the networks of other sources: their blocks, scales, and training without BatchNorm."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from brevitas_models.blocks import BinaryBlock
from brevitas_models.bwn import BwnBlock, rectified
from brevitas_models.checkpoint import Metadata, load_checkpoint, save_checkpoint
from brevitas_models.clipping import clip_adaptively
from brevitas_models.config import NetworkConfig
from brevitas_models.convolutions import BinaryScaledConv
from brevitas_models.errors import ModelError
from brevitas_models.export import export
from brevitas_models.networks import build_network, converted, deployed
from brevitas_models.quantizers import STANDARD, channel_magnitudes, standardise
from brevitas_models.train import TrainConfig, Trainer
from brevitas_models.xnor import XnorConv
from brevitas_models.zoo import checkpoint_name
from flow.cli.ptq import ptq

XNOR = {"model": "xnornet18", "strategy": "none", "width": 4}
FREE = {"model": "reactnet18", "strategy": "none", "width": 4, "norm": "bn-free"}


def grid_values(*shape):
    return torch.randint(-128, 128, shape, generator=torch.Generator().manual_seed(0)) / 16.0


def test_reactnet_a_doubles_channels_as_two_convolutions_side_by_side():
    """The paper's form of a 1x1 stage that doubles: two convolutions, each with BatchNorm and the shortcut, joined."""
    torch.manual_seed(0)
    config = NetworkConfig(model="reactnet_a", strategy="none", width=4)
    pair = build_network(config).blocks[1]
    assert isinstance(pair, BinaryBlock) and pair.conv.weight.shape == (8, 4, 1, 1)
    nn.init.uniform_(pair.norm.running_var, 0.5, 2.0)
    pair.eval()
    x = grid_values(2, 4, 3, 3)
    bits = torch.where(pair.shift(x) >= 0, 1.0, -1.0)
    scale, bias = (constant.view(1, -1, 1, 1) for constant in pair.norm.constants(pair.gamma()))
    halves = []
    for half in (slice(0, 4), slice(4, 8)):
        sums = F.conv2d(bits, pair.conv.weight[half].sign())
        branch = pair.branch_quant(sums * scale[:, half] + bias[:, half])
        halves.append(pair.join_quant(x + branch))
    with torch.no_grad():
        assert torch.equal(pair(x), pair.activation(torch.cat(halves, dim=1)))


def test_reactnet_a_has_the_plan_of_its_paper():
    blocks = build_network(NetworkConfig(model="reactnet_a", width=4)).blocks
    kernels = [block.conv.kernel_size[0] for block in blocks]
    assert kernels == [3, 1] * 13
    assert [b.conv.out_channels // 4 for b in blocks][1::2] == [2, 4, 4, 8, 8, *[16] * 6, 32, 32]
    assert [index // 2 + 1 for index, block in enumerate(blocks) if block.stride == 2] == [4, 6, 12]


def test_xnor_scales_are_those_of_the_paper():
    """alpha = mean|w| of an output channel; K = the mean magnitude of the inputs, averaged over each window."""
    torch.manual_seed(0)
    layer = XnorConv(4, 6, 2, NetworkConfig(**XNOR, activation_scale="map")).eval()
    x = torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        entering = layer.norm(x, layer.one)
        bits = F.pad(torch.where(entering >= 0, 1.0, -1.0), (1, 1, 1, 1), value=-1.0)
        weight = layer.conv.weight / 36**0.5
        alpha = weight.abs().sum(dim=(1, 2, 3)) / 36
        k = F.conv2d(entering.abs().mean(1, keepdim=True), torch.full((1, 1, 3, 3), 1 / 9), stride=2, padding=1)
        expected = F.conv2d(bits, weight.sign(), stride=2) * alpha.view(1, -1, 1, 1) * k
        torch.testing.assert_close(layer(x), expected)


def test_a_map_of_scales_becomes_its_mean(pixels, tmp_path):
    torch.manual_seed(0)
    network = build_network(NetworkConfig(**XNOR, activation_scale="map")).train()
    for _ in range(60):
        network(pixels[:16])
    seen = []
    first = network.blocks[0].first
    first.scale_map = lambda x, found=first.scale_map: seen.append(found(x)) or seen[-1]
    network(pixels[:16])
    assert 0.5 < float(first.mean_scale) < 1.1  # of values of variance 1: 0.8, less at the border
    torch.testing.assert_close(first.mean_scale, seen[0].mean(), rtol=0.02, atol=0)
    del first.scale_map
    with pytest.raises(ModelError, match="product of two streams.*flow ptq"):
        export(network.eval(), tmp_path / "map.onnx")
    constant = converted(network, activation_scale="mean")
    with torch.no_grad():
        logits = constant(pixels[:8])
        assert torch.equal(deployed(constant)(pixels[:8]), logits) and not torch.equal(network(pixels[:8]), logits)
    assert constant.blocks[0].first.gain()[0] == first.gain()[0] * first.mean_scale
    with pytest.raises(ModelError, match="train that network"):
        converted(build_network(NetworkConfig(**XNOR)), activation_scale="mean")


def test_flow_ptq_takes_the_mean(samples, tmp_path, monkeypatch):
    network = build_network(NetworkConfig(**XNOR, activation_scale="map"))
    save_checkpoint(tmp_path / "map.popbin", network, metadata_of(network))
    monkeypatch.setattr("brevitas_models.data.load_cifar", lambda data, split: samples)
    ptq(tmp_path / "map.popbin", tmp_path / "mean", None, 0, tmp_path, 16)
    loaded, metadata = load_checkpoint(tmp_path / "mean" / "checkpoint.popbin", activation_scale="mean")
    assert metadata.accuracy.images == 16 and metadata.earlier == ["before"]
    assert checkpoint_name(loaded.config) == "xnornet18-none-w4-kmean"


def test_the_mean_of_a_map_is_not_trained(samples, tmp_path):
    config = NetworkConfig(**XNOR, activation_scale="mean")
    with pytest.raises(ModelError, match="made of a network that was trained with map: use flow ptq"):
        Trainer(config, TrainConfig(batch=16), samples, samples, tmp_path)


def metadata_of(network):
    fields = {"epochs": 1, "epochs_planned": 1, "seed": 0, "seconds": 0}
    return Metadata(network=network.config, data="none", command="before", **fields)


@pytest.mark.parametrize("fields", [XNOR, FREE], ids=["xnornet18", "bn-free"])
def test_checkpoints_keep_a_scale_a_channel(fields, pixels, tmp_path):
    torch.manual_seed(0)
    network = build_network(NetworkConfig(**fields))
    network.clip_latent_weights()
    network.train()(pixels)
    save_checkpoint(tmp_path / "a.popbin", network.eval(), metadata_of(network))
    loaded, metadata = load_checkpoint(tmp_path / "a.popbin")
    with torch.no_grad():
        assert torch.equal(loaded(pixels[:8]), network(pixels[:8]))
    save_checkpoint(tmp_path / "b.popbin", loaded, metadata)
    assert (tmp_path / "a.popbin").read_bytes() == (tmp_path / "b.popbin").read_bytes()
    scales = [value for name, value in loaded.named_parameters() if name == "blocks.0.conv.weight"]
    assert not scales or len(scales[0].abs().unique()) == 4  # of 4 channels


def test_standardised_weights():
    weight = nn.Parameter(torch.randn(5, 3, 3, 3).to(memory_format=torch.channels_last) * 3 + 1)
    with torch.no_grad():
        weight[0] = 0.5  # constant weights have no deviation to bring to STANDARD
    standardise(weight)
    assert torch.equal(weight[0], torch.zeros(3, 3, 3))
    torch.testing.assert_close(weight[1:].flatten(1).mean(1), torch.zeros(4), rtol=0, atol=1e-6)
    torch.testing.assert_close(weight[1:].flatten(1).std(1), torch.full((4,), STANDARD))


def test_weights_stay_standardised_in_training(samples, tmp_path):
    config = TrainConfig(epochs=1, batch=128, clipping=0.02, compile=False)
    trainer = Trainer(NetworkConfig(**FREE), config, samples, samples, tmp_path)
    before = trainer.model.blocks[3].conv.weight.detach().clone()
    trainer.run(lambda line: None)
    weight = trainer.model.blocks[3].conv.weight.detach()
    torch.testing.assert_close(weight.flatten(1).std(1), torch.full((len(weight),), STANDARD))
    assert weight.mean().abs() < 1e-6 and not torch.equal(weight, before)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in trainer.model.blocks[0].modules())


@pytest.mark.parametrize("strategy", ["none", "qat"])
@pytest.mark.parametrize("norm", ["none", "bn-free"])
def test_branches_without_batchnorm_have_the_size_of_their_scale(strategy, norm):
    """Whatever comes in, as signs have the variance 1; so the residual stream grows block by block, not by a factor."""
    torch.manual_seed(0)
    block = BinaryBlock(32, 64, 1, NetworkConfig(**{**FREE, "strategy": strategy, "norm": norm}))
    block.scale_branch(0.5)
    branches = []
    block.branch_quant.register_forward_hook(lambda module, entering, _: branches.append(entering[0]))
    with torch.no_grad():
        block(8 * torch.randn(4, 32, 8, 8))
    assert 0.35 < float(branches[0].std()) < 0.6


def test_adaptive_clipping_is_that_of_its_paper():
    """G_i becomes factor * |W_i| / |G_i| * G_i where |G_i| / |W_i| > factor, for each output i; least |W_i| 1e-3."""
    torch.manual_seed(0)
    weight, bias, unused = (
        nn.Parameter(torch.randn(3, 2, 3, 3)),
        nn.Parameter(torch.zeros(4)),
        nn.Parameter(torch.ones(2)),
    )
    weight.grad, bias.grad = torch.randn(3, 2, 3, 3) * torch.tensor([1e-3, 1.0, 10.0]).view(3, 1, 1, 1), torch.ones(4)
    before = weight.grad.clone()
    clip_adaptively([weight, bias, unused], 0.02)
    assert torch.equal(weight.grad[0], before[0])
    for i in (1, 2):
        wanted = 0.02 * weight[i].norm() / before[i].norm() * before[i]
        torch.testing.assert_close(weight.grad[i], wanted.detach())
    torch.testing.assert_close(bias.grad.norm(), torch.tensor(0.02 * 1e-3))


@pytest.mark.parametrize("bits", [None, 4])
def test_bwn_takes_what_relu_leaves(bits):
    config = NetworkConfig(model="bwn18", strategy="none", width=4, activation_bits=bits)
    block = BwnBlock(4, 4, 1, config).eval()
    entering = []
    block.second.register_forward_hook(lambda module, inputs, _: entering.append(inputs[0]))
    with torch.no_grad():
        out = block(rectified(config)(grid_values(2, 4, 6, 6)))
        values = torch.as_tensor(entering[0]) * (16 if bits is None else 2)
    assert torch.equal(values, values.round()) and values.min() == 0 and values.max() <= (127 if bits is None else 15)
    assert (torch.as_tensor(out) >= 0).all()


def test_bwn_absorbs_the_scale_of_a_channel():
    """BWN's weights are mean|w| * sign(w): after BatchNorm the same as signs alone, up to the rounding of its gains."""
    torch.manual_seed(0)
    layer, x = BinaryScaledConv(4, 5, 4, kernel=3).train(), grid_values(8, 4, 6, 6)
    with torch.no_grad():
        nn.init.uniform_(layer.norm.weight, 0.5, 1.5)
        weight = channel_magnitudes(layer.conv.weight).view(-1, 1, 1, 1) * layer.conv.weight.sign()
        sums = F.conv2d(x, weight, padding=1)
        expected = F.batch_norm(sums, None, None, layer.norm.weight, layer.norm.bias, training=True, eps=1e-12)
        difference = (layer(x) - expected).abs().amax(dim=(0, 2, 3))
    assert (difference < expected.abs().amax(dim=(0, 2, 3)) / 64).all() and difference.max() > 0  # 8-bit gains


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"model": "bwn18"}, "bwn18 does not vote on popcounts"),
        ({**XNOR, "norm": "none"}, "norm none is of bireal18, reactnet18, reactnet_a, not of xnornet18"),
        ({"model": "reactnet_a", "shortcut": "binary"}, "reactnet_a repeats channels in its shortcuts"),
        ({"model": "reactnet_a", "voter": "maj3"}, "no votes of three"),
        ({"activation_scale": "map"}, "activation_scale is of xnornet18, not of bireal18"),
        ({"activation_bits": 4}, "activation_bits is of bwn18 .* not 4 of bireal18"),
        ({"model": "bwn18", "strategy": "none", "activation_bits": 8}, "less than the 8 bits of its residual stream"),
    ],
)
def test_choices_that_do_not_go_together(fields, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**fields)
