"""Voters: their text forms, and their sums against an explicit vote of every group."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from brevitas_models.config import NetworkConfig
from brevitas_models.sums import group_vote, in_order, sums_of
from brevitas_models.voters import parse_voter


@pytest.mark.parametrize(
    "text, fields",
    [
        ("exact", {"group": 0, "sample": 1}),
        ("maj3", {"group": 3, "order": "row", "threshold": 0}),
        ("hierarchical(9)", {"group": 9, "order": "channel", "group_threshold": 0}),
        ("hierarchical(64,-+)", {"group": 64, "order": "tap", "group_threshold": 1, "threshold": 0}),
        ("hierarchical( 64, +-)", {"group": 64, "group_threshold": 0, "threshold": 1}),
        ("sample(2)", {"sample": 2, "group": 0}),
    ],
)
def test_text_forms(text, fields):
    voter = parse_voter(text)
    assert {name: getattr(voter, name) for name in fields} == fields


@pytest.mark.parametrize(
    "text", ["", "best", "hierarchical", "hierarchical(1)", "maj3(3)", "sample(2,-+)", "hierarchical(9,*)", "exact()"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="voter"):
        parse_voter(text)


def explicit(bits, weight, stride, voter):
    """Votes by loops over pixels and groups."""
    outputs, _, kernel, _ = weight.shape
    rows = in_order(weight, voter.order)
    height, width = ((size - kernel) // stride + 1 for size in bits.shape[2:])
    votes = torch.empty(len(bits), outputs, height, width)
    for n, y, x in itertools.product(range(len(bits)), range(height), range(width)):
        window = in_order(bits[n, :, y * stride : y * stride + kernel, x * stride : x * stride + kernel], voter.order)
        for o in range(outputs):
            products = window * rows[o]
            groups = [products[s : s + voter.group].sum() for s in range(0, len(products), voter.group)]
            total = sum(1 if group >= voter.group_threshold else -1 for group in groups)
            votes[n, o, y, x] = 1.0 if total >= voter.threshold else -1.0
    return votes


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "text", ["maj3", "hierarchical(9,+-)", "hierarchical(4,-+)", "hierarchical(16,--)", "hierarchical(28)"]
)
def test_sums_vote_as_the_groups_do(text, stride):
    torch.manual_seed(stride)
    voter = parse_voter(text)
    bits = torch.randint(0, 2, (2, 8, 7, 6)).float() * 2 - 1
    weight = torch.randint(0, 2, (5, 8, 3, 3)).float() * 2 - 1
    expected = explicit(bits, weight, stride, voter)
    sums = sums_of(voter)(bits, weight, stride)
    torch.testing.assert_close(torch.where(sums >= voter.threshold, 1.0, -1.0), expected, rtol=0, atol=0)
    node = group_vote(bits, weight, stride, voter.group, voter.order, voter.group_threshold, voter.threshold)
    torch.testing.assert_close(node, expected, rtol=0, atol=0)


def test_majority_of_three_passes_gradients():
    bits = torch.randn(1, 4, 5, 5).sign().requires_grad_()
    weight = torch.randn(2, 4, 3, 3).sign().requires_grad_()
    sums_of(parse_voter("maj3"))(bits, weight, 1).sum().backward()
    assert bits.grad.abs().sum() > 0 and weight.grad.abs().sum() > 0


def test_exact_sums_are_the_convolution():
    bits, weight = torch.randn(1, 4, 5, 5).sign(), torch.randn(2, 4, 3, 3).sign()
    torch.testing.assert_close(sums_of(parse_voter("exact"))(bits, weight, 1), F.conv2d(bits, weight))


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"voter": "maj3", "padding": "zero"}, "cannot be padded with zeros"),
        ({"voter": "maj3", "strategy": "none"}, "keeps the popcount"),
        ({"voter": "sample(8)", "width": 12}, "needs a width"),
        ({"model": "bnn_cifar10"}, "strategy none"),
    ],
)
def test_combinations_that_do_not_go_together(fields, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**fields)
