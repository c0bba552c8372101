"""What a node is in RTL and in HLS: the instance of a module, and the call of a header's function."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .errors import NodeError


@dataclass(frozen=True)
class Memory:
    """A $readmemh file: the parameter that names it, the suffix after the node's name in its own, its words and their
    width in bits."""

    parameter: str
    suffix: str
    words: list[int]
    width: int


@dataclass(frozen=True)
class Cell:
    """The module of a node with its parameters and memories.

    ``extend``: bits by which every input element is sign-extended in front of the module.
    """

    module: str
    parameters: dict[str, int | str] = field(default_factory=dict)
    memories: tuple[Memory, ...] = ()
    extend: int = 0


@dataclass(frozen=True)
class Table:
    """A constant C++ array: the suffix after the node's name in its own, its element type, its values, and what its
    indices mean.

    Raises:
        NodeError: a value does not fit the element type.
    """

    suffix: str
    ctype: str
    values: np.ndarray
    layout: str

    def __post_init__(self):
        limits = np.iinfo(self.ctype.removesuffix("_t"))
        low, high = int(self.values.min()), int(self.values.max())
        if low < limits.min or high > limits.max:
            raise NodeError(f"{self.suffix} {low}..{high} do not fit {self.ctype}: the HLS headers take no more bits")


@dataclass(frozen=True)
class Call:
    """The call of a header's function: its template parameters by name (numbers, or an activation's type) in the
    header's order, its tables, and the memory of the first table ("distributed" or "block")."""

    function: str
    parameters: dict[str, int | str]
    tables: tuple[Table, ...] = ()
    memory: str | None = None

    @property
    def headers(self) -> set[str]:
        """The function's header and those of the types among the parameters."""
        types = (
            value.removeprefix("flow::").split("<")[0] for value in self.parameters.values() if isinstance(value, str)
        )
        return {f"{name}.hpp" for name in (self.function, *types)}
