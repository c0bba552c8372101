"""Each quantizer against its formula in numpy."""

import numpy as np
import pytest
import torch
from brevitas.nn import QuantIdentity
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from brevitas_models.quantizers import (
    DIVISIONS,
    ApproxSign,
    BinaryWeight,
    FixedPoint,
    MajorityVote,
    PopBinVote,
    PowerOfTwoWeight,
    TruncatedActivation,
    bipolar,
)

finite = hnp.arrays(np.float32, hnp.array_shapes(max_dims=2), elements=st.floats(-1e4, 1e4, width=32))
SUMS = torch.tensor([-30.0, 10, 10, -10, 0, 20, 10, 0])  # their mean square is 212.5
SPANS = {
    "rms": 1.3 * 212.5**0.5,
    "c+alpha": 17,
    "c*k2+alpha": 145,
    "c*alpha": 16,
    "c*k2*alpha": 144,
    "minmax": 144,
}  # 16 channels, 3x3, alpha = 1


def divisor(vote: PopBinVote, s: torch.Tensor = SUMS) -> float:
    with torch.no_grad():
        return float(vote.divisor(s))


def test_ties_and_negative_zero_vote_plus_one():
    assert bipolar(torch.tensor([0.0, -0.0, 2.0, -2.0, 1e-38, -1e-38])).tolist() == [1, 1, 1, -1, 1, -1]
    for training in (True, False):
        vote = PopBinVote(16, 3, "c*alpha").train(training)
        assert vote(torch.tensor([0.0, -0.0, -1.0, 1.0]))[0].tolist() == [1, 1, -1, 1]


@pytest.mark.parametrize("division", DIVISIONS)
def test_division_numbers(division):
    assert divisor(PopBinVote(16, 3, division)) == pytest.approx(SPANS[division])


def test_the_window_of_rms_can_be_changed():
    vote = PopBinVote(16, 3, "rms")
    vote.window.fill_(3.0)
    assert divisor(vote) == pytest.approx(3.0 * 212.5**0.5) and not vote.state_dict()


@pytest.mark.parametrize("division", [*DIVISIONS, "one"])
def test_gradient_of_a_vote_is_that_of_approx_sign_of_s_over_d(division):
    vote = PopBinVote(16, 3, division).double()
    s = torch.arange(-160.0, 161.0, dtype=torch.float64, requires_grad=True)
    weight = torch.linspace(-1, 1, len(s), dtype=torch.float64)
    (vote(s)[0] * weight).sum().backward()
    d = divisor(vote, s)
    u = s.detach().numpy() / d
    expected = weight.numpy() * np.where(np.abs(u) < 1, 2 - 2 * np.abs(u), 0) / d
    np.testing.assert_allclose(s.grad.numpy(), expected, atol=1e-12)


def surrogate(u: np.ndarray) -> np.ndarray:
    """The piecewise quadratic whose derivative is ApproxSign's gradient."""
    u = np.clip(u, -1, 1)
    return 2 * u - np.sign(u) * u * u


@pytest.mark.parametrize("division", [name for name in DIVISIONS if "alpha" in name])
def test_gradient_of_alpha_is_the_slope_of_the_surrogate(division):
    vote = PopBinVote(4, 3, division).double()
    with torch.no_grad():
        vote.log_alpha.fill_(0.4)
    rng = np.random.default_rng(0)
    s, weight = rng.integers(-18, 19, 500) * 2.0, rng.normal(size=500)
    (vote(torch.from_numpy(s))[0] * torch.from_numpy(weight)).sum().backward()

    def loss(log_alpha):
        with torch.no_grad():
            vote.log_alpha.fill_(log_alpha)
        return (surrogate(s / divisor(vote)) * weight).sum()

    slope = (loss(0.4 + 1e-5) - loss(0.4 - 1e-5)) / 2e-5
    assert slope == pytest.approx(float(vote.log_alpha.grad), rel=1e-5)


@pytest.mark.parametrize("log_alpha", [-5.0, -50.0, -500.0])
def test_an_alpha_that_runs_to_zero_ends_as_simple_qat(log_alpha):
    vote, plain = PopBinVote(16, 3, "c*alpha").train(), PopBinVote(16, 3, "one").train()
    with torch.no_grad():
        vote.log_alpha.fill_(log_alpha)
    gradients = []
    for quantizer in (vote, plain):
        s = torch.arange(-4.0, 5.0, requires_grad=True)
        votes = quantizer(s)[0]
        (votes * torch.arange(1.0, 10.0)).sum().backward()
        gradients.append((votes.detach(), s.grad))
    for a, b in zip(*gradients):
        assert torch.equal(a, b) and a.isfinite().all()
    assert vote.log_alpha.grad.isfinite()


def test_frozen_alpha_has_no_gradient_and_an_unknown_division_is_refused():
    assert not PopBinVote(4, 3, "c*alpha", train_alpha=False).log_alpha.requires_grad
    with pytest.raises(ValueError, match="c\\*alpha"):
        PopBinVote(4, 3, "c**alpha")


def test_division_does_not_change_a_vote():
    s = torch.arange(-144.0, 145.0)
    votes = [PopBinVote(16, 3, division)(s)[0] for division in (*DIVISIONS, "one")]
    assert all(torch.equal(vote, bipolar(s)) for vote in votes)


def test_binary_weight_gradient_is_cut_outside_of_one():
    w = torch.tensor([-1.5, -1.0, -0.0, 0.5, 1.0, 1.01], requires_grad=True)
    value = BinaryWeight()(w)[0]
    value.sum().backward()
    assert value.tolist() == [-1, -1, 1, 1, 1, 1]
    assert w.grad.tolist() == [0, 1, 1, 1, 1, 0]


@given(finite, st.integers(2, 10), st.integers(0, 8), st.booleans())
def test_fixed_point_equals_numpy(x, bits, fraction, floor):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    grid = np.clip(x.astype(np.float64) * 2.0**fraction, low, high)
    expected = (np.floor if floor else np.round)(grid) * 2.0**-fraction
    value, scale, zero_point, bit_width = FixedPoint(bits, fraction, floor)(torch.from_numpy(x))
    np.testing.assert_array_equal(value.numpy(), expected)
    assert (float(scale), float(zero_point), float(bit_width)) == (2.0**-fraction, 0, bits)


def test_saturation_has_no_gradient():
    x = torch.tensor([-9.0, -8.0, 0.3, 7.9, 8.0], requires_grad=True)
    FixedPoint(8, 4)(x)[0].sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_truncation_is_an_arithmetic_right_shift():
    accumulators = np.arange(-300, 300)
    shift = 3
    layer = QuantIdentity(act_quant=TruncatedActivation, bits=10, fraction=4, bit_width=10)
    value = layer(torch.from_numpy(accumulators * 2.0 ** -(4 + shift)).float())
    np.testing.assert_array_equal(value.numpy() * 16, accumulators >> shift)


@given(hnp.arrays(np.float32, (7,), elements=st.floats(-100, 100, width=32)), st.integers(3, 8))
def test_power_of_two_weights(w, bits):
    value, scale, _, _ = PowerOfTwoWeight(bits)(torch.from_numpy(w))
    high, scale = 2 ** (bits - 1) - 1, float(scale)
    assert np.log2(scale) == round(np.log2(scale))
    np.testing.assert_array_equal(value.numpy(), np.clip(np.round(w.astype(np.float64) / scale), -high, high) * scale)
    peak = float(np.abs(w).max())
    if peak > 2.0**-19:  # the finest grid that holds the peak
        assert peak <= high * scale * (1 + 1e-6) and peak > high * scale / 2 * (1 - 1e-6)


def test_brevitas_layer_uses_the_vote():
    layer = QuantIdentity(act_quant=MajorityVote, channels=8, kernel=3, division="c*alpha", train_alpha=True)
    s = torch.arange(-72.0, 73.0, 2.0)
    assert torch.equal(torch.as_tensor(layer(s)), bipolar(s))
    assert [name for name, _ in layer.named_parameters()] == [
        "act_quant.fused_activation_quant_proxy.tensor_quant.log_alpha"
    ]


def test_approx_sign_gradient_at_its_corners():
    u = torch.tensor([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    ApproxSign.apply(u).sum().backward()
    assert u.grad.tolist() == [0, 0, 1, 2, 1, 0, 0]
