"""What a node is in RTL and in HLS: the instance of a module, and the call of a header's function."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .errors import NodeError
from .stream import signed_bits


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
    """A constant C++ array [word, element]: the suffix after the node's name in its own, its element type, its values,
    what its indices mean, the memory that keeps it ("distributed" or "block"), and the words that a cycle reads; an
    array [value] is logic.

    The elements of a word lie side by side in one memory, and are read together.

    Raises:
        NodeError: a value does not fit the element type.
    """

    suffix: str
    ctype: str
    values: np.ndarray
    layout: str
    memory: str = "distributed"
    ports: int = 1

    def __post_init__(self):
        limits = np.iinfo(self.ctype.removesuffix("_t"))
        low, high = int(self.values.min()), int(self.values.max())
        if low < limits.min or high > limits.max:
            raise NodeError(f"{self.suffix} {low}..{high} do not fit {self.ctype}: the HLS headers take no more bits")

    @property
    def words(self) -> int:
        """Words of its memory; 1 of one that is logic."""
        return len(self.values) if self.values.ndim == 2 else 1

    @property
    def bits(self) -> int:
        """Bits of a word."""
        return self.values[0].size * np.iinfo(self.ctype.removesuffix("_t")).bits


def integer_type(values: np.ndarray, most: int = 64) -> str:
    """Return the smallest C++ type that holds all ``values``, of ``most`` bits even where it does not: what is compared
    with them or multiplied by them has as many bits."""
    return next(f"int{size}_t" for size in (8, 16, 32, 64) if signed_bits(values) <= size or size == most)


@dataclass(frozen=True)
class Array:
    """A memory that a process is given: its name, its words of so many bits, and what keeps it ("distributed" or
    "block")."""

    name: str
    words: int
    bits: int
    memory: str = "distributed"


@dataclass(frozen=True)
class Link:
    """A stream between two processes of a node: its name, the bits of a beat, and the beats that it holds."""

    name: str
    bits: int
    depth: int = 2


@dataclass(frozen=True)
class Process:
    """A function of a header that runs beside others: what follows the node's name in its own, the header, the function
    with its template parameters by name, and the names of its arguments: ports of the node, "ddr", arrays, links and
    tables."""

    suffix: str
    header: str
    function: str
    parameters: dict[str, int | str]
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """What a node is in HLS: the function of its header, with its template parameters by name (numbers, or an
    activation's type) in the header's order, its tables, and the arrays that it is given. ``header`` is the stem of the
    header where it is not the function's name.

    A node of several ``processes`` has ``links`` between them, and arrays that they ``share``: the first that names one
    fills it while the other uses the one of the frame before.
    """

    function: str
    parameters: dict[str, int | str]
    tables: tuple[Table, ...] = ()
    arrays: tuple[Array, ...] = ()
    processes: tuple[Process, ...] = ()
    shared: tuple[Array, ...] = ()
    links: tuple[Link, ...] = ()
    header: str = ""

    @property
    def headers(self) -> set[str]:
        """The headers of its functions and those of the types among the parameters."""
        types = (
            value.removeprefix("flow::").split("<")[0] for value in self.parameters.values() if isinstance(value, str)
        )
        own = self.header or self.function
        return {f"{name}.hpp" for name in (own, *types, *(process.header for process in self.processes))}

    def all_processes(self, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> tuple[Process, ...]:
        """Return its processes; a node of one has all ports, arrays and tables as arguments."""
        if self.processes:
            return self.processes
        own = (array.name for array in self.arrays)
        arguments = (*inputs, *outputs, *own, *(table.suffix for table in self.tables))
        return (Process("", self.header or self.function, self.function, self.parameters, arguments),)
