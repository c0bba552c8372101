"""Longest paths through one flat netlist, and its timing model, the part of them that is visible from outside.

A path begins at a clocked output or an input port and ends at a clocked input or an output port. Every way to a pin
takes one stated route, but those within a slice (delays.in_slice) none. Times are nanoseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .delays import LEVEL_NS, LUT, arcs, captures, in_slice, launches
from .netlist import FLIP_FLOPS, Cell, Flat

Pin = tuple[str, int]  # port, bit


class Time(NamedTuple):
    """How long a path takes, and how many LUTs it passes."""

    ns: float
    levels: int

    def after(self, other: Time) -> Time:
        """Return the time of ``other`` and then this one."""
        return Time(self.ns + other.ns, self.levels + other.levels)


class Edge(NamedTuple):
    """A way from net to net; ``through`` is the box, with its pins, that it leads through, None for a primitive."""

    source: int
    sink: int
    time: Time
    through: tuple[str, Pin, Pin] | None = None


class Terminal(NamedTuple):
    """Where paths begin or end on a net: ``name`` of the register, memory or port, or a box with its pin."""

    net: int
    time: Time
    name: str
    box: tuple[str, Pin] | None = None


@dataclass
class Model:
    """The delays of a netlist as its surroundings see them, by bits of its ports.

    ``launch``: from the clock to an output; ``capture``: from an input to the clock; ``arcs``: from input to output.
    """

    launch: dict[Pin, Time] = field(default_factory=dict)
    capture: dict[Pin, Time] = field(default_factory=dict)
    arcs: dict[Pin, dict[Pin, Time]] = field(default_factory=dict)


class TimingGraph:
    """The timing graph of a flat netlist.

    Args:
        flat: the netlist.
        level_ns: a LUT and the route to it; the route alone, to any other pin, is that less the LUT.
        models: the models of its boxes, by their kind.
    """

    def __init__(self, flat: Flat, level_ns: float = LEVEL_NS, models: dict[str, Model] | None = None):
        self.flat, self.route = flat, level_ns - LUT
        self.edges: dict[int, list[Edge]] = defaultdict(list)
        self.starts: dict[int, Terminal] = {}
        self.ends: dict[int, Terminal] = {}
        self._add_cells(flat.cells)
        for box in flat.boxes:
            self._add_box(box, (models or {})[box.kind])
        self.order, self.loops = self._topological()

    # building

    def _add_cells(self, cells: Iterable[Cell]) -> None:
        drivers: dict[int, str] = {}
        ways = [(cell, list(arcs(cell)), list(launches(cell))) for cell in cells]
        for cell, found, clocked in ways:
            drivers |= dict.fromkeys((arc.sink for arc in found), cell.kind)
            drivers |= dict.fromkeys((end.net for end in clocked), cell.kind)
        for cell, found, clocked in ways:
            name = self._register_name(cell)
            for end in clocked:
                self._start(Terminal(end.net, Time(end.delay, 0), name))
            for arc in found:
                way = self._way(drivers.get(arc.source, ""), cell.kind, arc.pin)
                time = Time(way.ns + arc.delay, way.levels + arc.level)
                self.edges[arc.source].append(Edge(arc.source, arc.sink, time))
            for end in captures(cell):
                way = self._way(drivers.get(end.net, ""), cell.kind, end.pin)
                self._end(Terminal(end.net, Time(way.ns + end.delay, way.levels), name))

    def _way(self, driver: str, kind: str, pin: str) -> Time:
        if in_slice(driver, kind, pin):
            return Time(0.0, 0)
        if kind == "CARRY4" and pin == "S":  # by way of a LUT that passes it on
            return Time(self.route + LUT, 1)
        return Time(self.route, 0)

    def _register_name(self, cell: Cell) -> str:
        if cell.kind in FLIP_FLOPS and cell.pins["Q"][0] is not None:
            return self.flat.names.get(cell.pins["Q"][0], cell.name)
        return cell.name

    def _add_box(self, box: Cell, model: Model) -> None:
        def net(pin: Pin) -> int | None:
            nets = box.pins.get(pin[0], ())
            return nets[pin[1]] if pin[1] < len(nets) else None

        for pin, time in model.launch.items():
            if (there := net(pin)) is not None:
                self._start(Terminal(there, time, box.name, (box.name, pin)))
        for pin, time in model.capture.items():
            if (there := net(pin)) is not None:
                self._end(Terminal(there, time, box.name, (box.name, pin)))
        for source, sinks in model.arcs.items():
            for sink, time in sinks.items():
                a, y = net(source), net(sink)
                if a is not None and y is not None:
                    self.edges[a].append(Edge(a, y, time, (box.name, source, sink)))

    def _start(self, found: Terminal) -> None:
        known = self.starts.get(found.net)
        if known is None or found.time > known.time:
            self.starts[found.net] = found

    def _end(self, found: Terminal) -> None:
        known = self.ends.get(found.net)
        if known is None or found.time > known.time:
            self.ends[found.net] = found

    def _topological(self) -> tuple[list[int], list[int]]:
        """Return the nets that edges join in topological order, and the nets on combinational loops or after them."""
        waiting: dict[int, int] = defaultdict(int)
        for edges in self.edges.values():
            for edge in edges:
                waiting[edge.sink] += 1
        ready = [net for net in self.edges if not waiting[net]]
        order = []
        while ready:
            net = ready.pop()
            order.append(net)
            for edge in self.edges.get(net, ()):
                waiting[edge.sink] -= 1
                if not waiting[edge.sink]:
                    ready.append(edge.sink)
        return order, sorted(net for net, count in waiting.items() if count)

    # paths

    def arrivals(self, starts: dict[int, Time], within: set[int] | None = None) -> dict[int, tuple[Time, Edge | None]]:
        """Return by net when its latest change comes, and over which edge; only of nets that ``starts`` lead to."""
        found: dict[int, tuple[Time, Edge | None]] = {net: (time, None) for net, time in starts.items()}
        for net in self.order:
            here = found.get(net)
            if here is None:
                continue
            for edge in self.edges.get(net, ()):
                if within is not None and edge.sink not in within:
                    continue
                time = edge.time.after(here[0])
                known = found.get(edge.sink)
                if known is None or time > known[0]:
                    found[edge.sink] = (time, edge)
        return found

    def clocked_arrivals(self) -> dict[int, tuple[Time, Edge | None]]:
        """Return the arrivals of paths that begin at the clock."""
        return self.arrivals({net: start.time for net, start in self.starts.items()})

    def departures(self) -> dict[int, tuple[Time, Edge | None]]:
        """Return by net the longest way on to a clocked input, and its first edge."""
        found: dict[int, tuple[Time, Edge | None]] = {net: (end.time, None) for net, end in self.ends.items()}
        for net in reversed(self.order):
            for edge in self.edges.get(net, ()):
                behind = found.get(edge.sink)
                if behind is not None:
                    time = edge.time.after(behind[0])
                    if net not in found or time > found[net][0]:
                        found[net] = (time, edge)
        return found

    def reaching(self, nets: Iterable[int]) -> set[int]:
        """Return the nets from which a combinational way leads to one of ``nets``."""
        found = set(nets)
        for net in reversed(self.order):
            if any(edge.sink in found for edge in self.edges.get(net, ())):
                found.add(net)
        return found

    def pins(self, direction: str) -> Iterator[tuple[Pin, int]]:
        """Yield the bits of the ports of a direction, with their nets."""
        for port, (way, nets) in self.flat.ports.items():
            if way == direction:
                yield from (((port, index), net) for index, net in enumerate(nets) if net is not None)

    def model(self) -> Model:
        """Return the part of the timing that is visible from outside."""
        outputs, inputs = list(self.pins("output")), list(self.pins("input"))
        clocked, onward = self.clocked_arrivals(), self.departures()
        model = Model(
            {pin: clocked[net][0] for pin, net in outputs if net in clocked},
            {pin: onward[net][0] for pin, net in inputs if net in onward},
        )
        combinational = self.reaching(net for _, net in outputs)
        for pin, net in inputs:
            if net in combinational:
                found = self.arrivals({net: Time(0.0, 0)}, combinational)
                model.arcs[pin] = {out: found[there][0] for out, there in outputs if there in found}
        return model

    def worst_inside(self) -> tuple[Time, list[int], Terminal, Terminal] | None:
        """Return the longest path from register to register: time, nets, begin and end; None where there is none."""
        clocked = self.clocked_arrivals()
        reached = [(clocked[net][0].after(end.time), end) for net, end in self.ends.items() if net in clocked]
        if not reached:
            return None
        time, end = max(reached, key=lambda pair: pair[0])
        nets = trace(clocked, end.net)
        return time, nets, self.starts[nets[0]], end


def trace(found: dict[int, tuple[Time, Edge | None]], net: int) -> list[int]:
    """Return the nets of the path that arrives at ``net``, from its begin."""
    path = [net]
    while (edge := found[path[-1]][1]) is not None:
        path.append(edge.source)
    return path[::-1]


def trace_on(found: dict[int, tuple[Time, Edge | None]], net: int) -> list[int]:
    """Return the nets of the longest way on from ``net`` to a clocked input."""
    path = [net]
    while (edge := found[path[-1]][1]) is not None:
        path.append(edge.sink)
    return path
