"""Voters: the circuits that give the majority of a binary convolution's products.

A voter is written as text, the same in a recipe, on the command line and in a checkpoint:

    exact               the sign of the sum of all n products
    hierarchical(G)     every G neighbours vote, then the votes do; G = 9 takes the nine taps of one channel
    hierarchical(G,-+)  the same with a rule for ties: of a group, of the whole; + is +1 (and the default)
    maj3                groups of three, the taps of a kernel row
    sample(R)           the exact vote of every R-th input channel
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMS = "exact, hierarchical(G), hierarchical(G,TIES), maj3, sample(R)"


@dataclass(frozen=True)
class Voter:
    """A voter for ``kernel`` x ``kernel`` windows.

    ``group``: products that vote together, 0 for all of them. ``order``: how the elements of a window stand when they
    are cut into groups: "tap" (channels of a tap), "row" (taps of a kernel row), "channel" (taps of a channel).
    ``group_threshold``, ``threshold``: the least sum that votes +1 on the two levels, 0 or (ties vote -1) 1.
    ``sample``: one channel of so many is looked at.
    """

    text: str
    group: int = 0
    order: str = "tap"
    group_threshold: int = 0
    threshold: int = 0
    sample: int = 1

    @property
    def exact(self) -> bool:
        """Every product counts the same, so padding may be zero."""
        return not self.group

    def groups(self, n: int) -> int:
        """Votes of the second level."""
        return -(-n // self.group) if self.group else n

    def spread(self, channels: int, kernel: int) -> float:
        """What stands for c in the division numbers: c itself for an exact vote; for groups, M votes are as loud as
        6 M / 9 products (maj3 starts at c / 2).
        """
        n = channels // self.sample * kernel**2
        return n / kernel**2 if self.exact else self.groups(n) / 6


def parse_voter(text: str, kernel: int = 3) -> Voter:
    """The voter that ``text`` describes.

    Raises:
        ValueError: it describes none.
    """
    found = re.fullmatch(r"(exact|maj3|hierarchical|sample)(?:\((\d+)(?:,([+-])([+-]))?\))?", text.replace(" ", ""))
    if not found:
        raise ValueError(f"voter {text!r} is unknown: use one of {FORMS}")
    kind, number, group_tie, tie = found.groups()
    if (number is None) != (kind in ("exact", "maj3")) or (group_tie and kind != "hierarchical"):
        raise ValueError(f"voter {text!r} is not of a known form: use one of {FORMS}")
    if kind == "exact":
        return Voter(text)
    if kind == "maj3":
        return Voter(text, group=3, order="row")
    size = int(number)
    if size < 2:
        raise ValueError(f"voter {text!r}: {size} is too few, take 2 or more")
    if kind == "sample":
        return Voter(text, sample=size)
    order = "channel" if size == kernel**2 else "row" if size == kernel else "tap"
    return Voter(text, size, order, int(group_tie == "-"), int(tie == "-"))
