"""brevitas_models/kernels against the modules that they stand in for: values and gradients."""

import copy

import pytest
import torch
import torch.nn.functional as F

from brevitas_models import kernels
from brevitas_models.blocks import BinaryBlock
from brevitas_models.config import DIVISIONS, NetworkConfig
from brevitas_models.kernels.conv3x3 import conv3x3
from brevitas_models.kernels.maj3 import maj3_sums
from brevitas_models.kernels.moments import var_mean
from brevitas_models.networks import build_network
from brevitas_models.quantizers import FixedPoint
from brevitas_models.sums import GroupedSums, Maj3Sums

pytestmark = pytest.mark.skipif(kernels.library() is None, reason="no C++ compiler: apt-get install g++")


def last(x):
    return x.contiguous(memory_format=torch.channels_last)


def signs(*shape):
    return last(torch.randint(0, 2, shape) * 2.0 - 1.0)


def gradients(function, *inputs):
    """Result and gradients of all inputs, for a gradient that is the same in every call."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    result = function(*inputs)
    result.backward(torch.randn(result.shape, generator=torch.Generator().manual_seed(3)))
    return result.detach(), *(x.grad for x in inputs)


def assert_close(found, wanted, tolerance=1e-4):
    assert found.shape == wanted.shape
    error = (found - wanted).abs().max()
    assert error <= tolerance * wanted.abs().max() + 1e-7, f"{error} of {wanted.abs().max()}"


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(7)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pad", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize(
    ("n", "c", "o", "h", "w"),
    [
        (1, 16, 16, 1, 1),
        (5, 80, 32, 2, 3),
        (7, 16, 144, 1, 2),
        (40, 512, 16, 3, 3),
        (2, 32, 48, 6, 9),
        (3, 16, 32, 4, 8),
        (9, 512, 16, 3, 5),
    ],
)
def test_convolution(n, c, o, h, w, pad, stride):
    x, weight = signs(n, c, h, w), signs(o, c, 3, 3)
    found = gradients(lambda x, weight: conv3x3(x, weight, pad, stride), x, weight)
    wanted = gradients(lambda x, weight: F.conv2d(F.pad(x, (1,) * 4, value=pad), weight, stride=stride), x, weight)
    assert torch.equal(found[0], wanted[0])
    for a, b in zip(found[1:], wanted[1:]):
        assert_close(a, b)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pad", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("n", "c", "o", "h", "w"), [(1, 16, 16, 1, 1), (5, 80, 32, 2, 3), (2, 32, 48, 6, 9), (3, 16, 32, 12, 8)]
)
def test_majorities_of_three(n, c, o, h, w, pad, stride):
    x, weight = signs(n, c, h, w), signs(o, c, 3, 3)
    found = gradients(lambda x, weight: maj3_sums(x, weight, pad, stride), x, weight)
    wanted = gradients(lambda x, weight: Maj3Sums()(F.pad(x, (1,) * 4, value=pad), weight, stride), x, weight)
    assert torch.equal(found[0], wanted[0])
    for a, b in zip(found[1:], wanted[1:]):
        assert_close(a, b)


@pytest.mark.parametrize("weights", [torch.ones, signs])
def test_convolution_of_the_largest_sums_is_exact(weights):
    weight = weights(32, 1024, 3, 3)
    for x in (torch.ones(1, 1024, 12, 12), weight[:1].repeat(1, 1, 4, 4), -weight[1:2].repeat(1, 1, 4, 4)):
        assert torch.equal(
            conv3x3(last(x), weight, 1.0), F.conv2d(F.pad(x, (1,) * 4, value=1.0).double(), weight.double()).float()
        )


@pytest.mark.parametrize("size", [(16, 16), (16, 80), (112, 48)], ids=str)
def test_convolution_in_blocks(size):
    """More tiles than a block has (48, or as many as channels); blocks that are not whole, or end in an image."""
    inputs, outputs = size
    x, weight = signs(13, inputs, 10, 10), signs(outputs, inputs, 3, 3)
    found = gradients(lambda *a: conv3x3(*a, -1.0), x, weight)
    wanted = gradients(lambda x, w: F.conv2d(F.pad(x, (1,) * 4, value=-1.0), w), x, weight)
    assert torch.equal(found[0], wanted[0])
    for a, b in zip(found[1:], wanted[1:]):
        assert_close(a, b, 1e-5)


def test_moments():
    x = last(torch.randn(9, 48, 7, 5) * 3 + 40)
    found, wanted = (
        gradients(lambda x, f=f: torch.cat(f(x)), x)
        for f in (var_mean, lambda x: torch.var_mean(x, (0, 2, 3), unbiased=False))
    )
    for a, b in zip(found, wanted):
        assert_close(a, b, 1e-5)


BLOCKS = [
    *(dict(strategy="qat", division=division) for division in DIVISIONS),
    *(dict(strategy=strategy, activated=False) for strategy in ("none", "simple-qat", "qat")),
    dict(strategy="none"),
    dict(strategy="qat", stride=2),
    dict(strategy="none", stride=2, shortcut="binary"),
    dict(strategy="qat", stride=2, shortcut="duplicate"),
    dict(strategy="qat", padding="zero"),
    dict(strategy="none", padding="plus_one"),
    dict(strategy="qat", residual_bits=10, residual_fraction=5),
    dict(strategy="qat", threshold="learned"),
    dict(strategy="qat", threshold="mean"),
    dict(strategy="simple-qat", threshold="learned", voter="sample(2)", stride=2),
    dict(strategy="qat", slopes="any"),
    dict(strategy="qat", voter="maj3"),
    dict(strategy="qat", voter="maj3", padding="plus_one", stride=2),
    dict(strategy="qat", voter="sample(2)"),
    dict(strategy="qat", voter="hierarchical(8,-+)"),
    dict(strategy="qat", voter="hierarchical(28,+-)", stride=2),
    dict(strategy="qat", voter="hierarchical(3)", padding="plus_one"),
    dict(strategy="simple-qat", voter="hierarchical(9,+-)"),
]


def block(width=32, stride=1, activated=True, **fields):
    config = NetworkConfig(model="reactnet18", width=16, **fields)
    made = BinaryBlock(width, width * stride, stride, config, activated).train()
    ranges = {"bias": (-0.5, 0.5), "weight": (-1.5, 1.5), "exponent": (-0.5, 7.5), "threshold": (-0.3, 0.3)}
    with torch.no_grad():  # far from where training starts, so that everything is used and much saturates
        for name, parameter in made.named_parameters():
            parameter.uniform_(*ranges.get(name.split(".")[-1], (-1.0, 1.0)))
    return made


def trained(made, x, monkeypatch, by_kernels):
    """Output, statistics and all gradients of a block or network after one pass."""
    made = copy.deepcopy(made)
    calls = []
    with monkeypatch.context() as patch:
        if by_kernels:
            call = kernels.call
            for module in ("block_tail", "conv3x3", "shifted_sign", "fixed_point", "group_sums", "moments"):
                patch.setattr(
                    f"brevitas_models.kernels.{module}.call", lambda name, *a: (calls.append(name), call(name, *a))
                )
        else:
            patch.setattr(kernels, "usable", lambda *_: False)
        y, *grad_x = gradients(made, x)
    assert ("tail_backward_sums" in calls) == by_kernels
    grouped = any(isinstance(module, GroupedSums) for module in made.modules())
    assert ("group_sums_back" in calls) == (by_kernels and grouped)
    plain = any(isinstance(module, BinaryBlock) and module.stride == 1 for module in made.modules())
    assert ("conv_backward" in calls) == (by_kernels and plain and not grouped)
    found = {
        "output": y,
        "input": grad_x[0],
        **{name: p.grad for name, p in made.named_parameters()},
        **dict(made.named_buffers()),
    }
    return {
        name: value for name, value in found.items() if value is not None and not name.endswith("num_batches_tracked")
    }


@pytest.mark.parametrize("fields", BLOCKS, ids=lambda fields: "-".join(map(str, fields.values())))
def test_block(fields, monkeypatch):
    made = block(**fields)
    half = -made.grid.low
    x = last(torch.randint(int(-half), int(half), (5, 32, 10, 10)) / made.grid.steps)
    found, wanted = (trained(made, x, monkeypatch, by_kernels) for by_kernels in (True, False))
    assert found.keys() == wanted.keys()
    assert torch.equal(found["output"], wanted["output"])
    for name, value in wanted.items():
        assert_close(found[name], value)


@pytest.mark.parametrize("model", ["bireal18", "reactnet18"])
def test_network(model, monkeypatch):
    """From the same start: the forward pass is the same; gradients pass through 16 blocks."""
    made = build_network(NetworkConfig(model=model, width=16)).to(memory_format=torch.channels_last).train()
    pixels = last(torch.randint(0, 256, (4, 3, 16, 16)).float())
    found, wanted = (trained(made, pixels, monkeypatch, by_kernels) for by_kernels in (True, False))
    assert found.keys() == wanted.keys()
    assert_close(found["output"], wanted["output"], 1e-6)
    for name, value in wanted.items():
        assert_close(found[name], value, 2e-3)


@pytest.mark.parametrize("truncate", [False, True])
@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 5, 4)])
def test_fixed_point(shape, truncate, monkeypatch):
    x = torch.randn(shape) * 8
    x.view(-1)[:3] = torch.tensor([7.9375, -8.0, 0.03125])  # the largest and the least on the grid, a half
    quant = FixedPoint(8, 4, truncate).train()
    found = gradients(lambda x: quant(x)[0], x)
    monkeypatch.setattr(kernels, "usable", lambda *_: False)
    for a, b in zip(found, gradients(lambda x: quant(x)[0], x)):
        assert torch.equal(a, b)


def test_fixed_point_of_strided_memory():
    x = torch.randn(4, 6, 8, 8)[:, ::2]
    quant = FixedPoint(8, 4).train()
    assert torch.equal(quant(x)[0], quant(x.contiguous())[0])


def test_narrow_networks_take_the_modules():
    assert not kernels.usable(torch.device("cpu"), 24) and kernels.usable(torch.device("cpu"), 16, 32)


def test_without_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for compiler in ("/nowhere/c++", "false"):
        kernels.library.cache_clear()
        monkeypatch.setenv("CXX", compiler)
        try:
            assert not kernels.usable(torch.device("cpu"), 16)
        finally:
            kernels.library.cache_clear()


def test_a_cache_that_others_can_write(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow").chmod(0o777)
    kernels.library.cache_clear()
    try:
        assert kernels.library() is None
    finally:
        kernels.library.cache_clear()


def test_names_of_the_kernels():
    """What Python calls is there."""
    used = {
        word.split('"')[1]
        for path in kernels.FOLDER.glob("*.py")
        for word in path.read_text().split("call(")[1:]
        if word[0] == '"'
    }
    assert len(used) > 10
    for name in used:
        assert getattr(kernels.library(), name)
