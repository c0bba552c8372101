"""Static timing of a whole design, estimated from its netlist: worst paths across modules, and chains of ready.

Each distinct part is reduced to the model that can be seen from outside (graph.Model), the top is then a small graph
of instances. Hierarchy is kept: logic is not optimised across instances, as a flat synthesis might. Ports of the top
change with the clock and must be there at the clock. There is no placement: every route takes the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .delays import LEVEL_NS
from .graph import Edge, Pin, Terminal, Time, TimingGraph, trace, trace_on
from .netlist import Flat, flatten, read_netlist
from .parts import Design, Part

READY_IN, READY_OUT = re.compile(r"ready_i$"), re.compile(r"ready_o$")


@dataclass(frozen=True)
class CriticalPath:
    """A path through the design: where it begins and ends, the instances on it, and the signals that have names."""

    ns: float
    levels: int
    start: str
    end: str
    instances: tuple[str, ...]
    signals: tuple[str, ...]

    def as_dict(self, period_ns: float) -> dict:
        """Return the fields, with the slack at a clock."""
        return {
            "ns": round(self.ns, 2),
            "slack_ns": round(period_ns - self.ns, 2),
            "levels": self.levels,
            "start": self.start,
            "end": self.end,
            "instances": list(self.instances),
            "signals": list(self.signals),
        }


@dataclass(frozen=True)
class ReadyChain:
    """A combinational way of ready: the consumer where it begins, those that it passes through, and the producer that
    it ends at (neither where it comes from a port of the top, or goes there)."""

    instances: tuple[str, ...]
    passes: int


class PartTiming:
    """The timing graph of a part, its model, and the worst path that lies within it."""

    def __init__(self, flat: Flat, level_ns: float):
        self.graph = TimingGraph(flat, level_ns)
        self.model = self.graph.model()
        self.inside = self.graph.worst_inside()

    def names(self, nets: list[int]) -> list[str]:
        """Return the names of those nets that have one."""
        names = self.graph.flat.names
        return [names[net] for net in nets if net in names]

    def from_clock(self, pin: Pin) -> tuple[str, list[int]]:
        """Return the register where the longest path to an output begins, and the path's nets."""
        net = self._net(pin)
        nets = trace(self.graph.clocked_arrivals(), net)
        return self.graph.starts[nets[0]].name, nets

    def through(self, source: Pin, sink: Pin) -> list[int]:
        """Return the nets of the longest path from an input to an output."""
        return trace(self.graph.arrivals({self._net(source): Time(0.0, 0)}), self._net(sink))

    def to_clock(self, pin: Pin) -> tuple[str, list[int]]:
        """Return the register where the longest path from an input ends, and the path's nets."""
        nets = trace_on(self.graph.departures(), self._net(pin))
        return self.graph.ends[nets[-1]].name, nets

    def _net(self, pin: Pin) -> int:
        net = self.graph.flat.ports[pin[0]][1][pin[1]]
        assert net is not None  # models have no pins that are constant
        return net


class DesignTiming:
    """Timing of flat netlists that make a design.

    Args:
        glue: the top's own logic, with a box for every instance.
        instances: the netlist of every box, by its name; the same object for those that are the same.
        level_ns: a LUT and the route to it.
    """

    def __init__(self, glue: Flat, instances: dict[str, Flat], level_ns: float = LEVEL_NS):
        timed: dict[int, PartTiming] = {}
        for flat in instances.values():
            if id(flat) not in timed:
                timed[id(flat)] = PartTiming(flat, level_ns)
        self.parts = {name: timed[id(flat)] for name, flat in instances.items()}
        self.graph = TimingGraph(glue, level_ns, {box.kind: self.parts[box.name].model for box in glue.boxes})
        for direction, table in (("input", self.graph.starts), ("output", self.graph.ends)):
            for pin, net in self.graph.pins(direction):
                table.setdefault(net, Terminal(net, Time(0.0, 0), f"port {_pin_name(pin)}"))
        self.arrivals = self.graph.clocked_arrivals()

    @classmethod
    def of_design(cls, design: Design, netlists: dict[Part, Path], level_ns: float = LEVEL_NS) -> DesignTiming:
        """Return the timing of a design of which every part has a netlist in the folder that ``netlists`` names."""
        flats = {part: _flat(folder, part) for part, folder in netlists.items()}
        return cls(flats[design.glue], {name: flats[part] for name, part in design.instances.items()}, level_ns)

    @property
    def loops(self) -> list[str]:
        """Names of nets on combinational loops, or after them, which no path is reported through."""
        own = [self.graph.flat.names.get(net, str(net)) for net in self.graph.loops]
        inside = [
            f"{name}.{part.graph.flat.names.get(net, net)}"
            for name, part in self.parts.items()
            for net in part.graph.loops
        ]
        return own + inside

    def worst(self, count: int = 10) -> list[CriticalPath]:
        """Return the longest paths, of those that begin and end in the same registers and instances the worst one."""
        found: dict[tuple, CriticalPath] = {}
        candidates = sorted(self._candidates(), key=lambda pair: pair[0], reverse=True)
        for _, make in candidates[: 400 * count]:
            path = make()
            key = (_base(path.start), _base(path.end), path.instances)
            found.setdefault(key, path)
            if len(found) == count:
                break
        return list(found.values())

    def _candidates(self) -> Iterator[tuple]:
        """Yield (time, function that gives the path) for every end in the top, and for the worst within an instance."""
        for net, end in self.graph.ends.items():
            if net in self.arrivals:
                time = self.arrivals[net][0].after(end.time)
                yield time, lambda time=time, end=end: self._across(time, end)
        for name, part in self.parts.items():
            if part.inside:
                yield part.inside[0], lambda name=name, part=part: _within(name, part)

    def _across(self, time: Time, end: Terminal) -> CriticalPath:
        nets = trace(self.arrivals, end.net)
        start = self.graph.starts[nets[0]]
        instances: list[str] = []
        signals: list[str] = []

        def visit(name: str, found: list[str]) -> None:
            if not instances or instances[-1] != name:
                instances.append(name)
            signals.extend(f"{name}.{signal}" for signal in found)

        begin = start.name
        if start.box:
            name, pin = start.box
            register, inner = self.parts[name].from_clock(pin)
            begin = f"{name}.{register}"
            visit(name, self.parts[name].names(inner))
        for net in nets:
            edge = self.arrivals[net][1]
            if edge is not None and edge.through:
                name, source, sink = edge.through
                visit(name, self.parts[name].names(self.parts[name].through(source, sink)))
        finish = end.name
        if end.box:
            name, pin = end.box
            register, inner = self.parts[name].to_clock(pin)
            finish = f"{name}.{register}"
            visit(name, self.parts[name].names(inner))
        return CriticalPath(time.ns, time.levels, begin, finish, tuple(instances), tuple(signals))

    def longest_ready_chain(self) -> ReadyChain:
        """Return the combinational chain of ready that passes through most instances."""
        count: dict[int, tuple[int, Edge | None]] = {}
        for net in self.graph.order:
            here = count.setdefault(net, (0, None))
            for edge in self.graph.edges.get(net, ()):
                if edge.through and not (READY_IN.search(edge.through[1][0]) and READY_OUT.search(edge.through[2][0])):
                    continue
                steps = here[0] + bool(edge.through)
                if steps > count.get(edge.sink, (0, None))[0]:
                    count[edge.sink] = (steps, edge)
        passed = {net: steps for net, (steps, _) in count.items() if steps}
        if not passed:
            return ReadyChain((), 0)
        net = max(passed, key=lambda found: passed[found])
        passes = passed[net]
        chain = [box.name for box in self.graph.flat.boxes if _has_pin(box, net, READY_IN)][:1]
        while (last := count[net][1]) is not None:
            if last.through:
                chain.append(last.through[0])
            net = last.source
        chain += [box.name for box in self.graph.flat.boxes if _has_pin(box, net, READY_OUT)][:1]
        return ReadyChain(tuple(chain[::-1]), passes)


def _flat(folder: Path, part: Part) -> Flat:
    return flatten(read_netlist(folder), part.top)


def _within(name: str, part: PartTiming) -> CriticalPath:
    assert part.inside is not None
    time, nets, start, end = part.inside
    signals = tuple(f"{name}.{signal}" for signal in part.names(nets))
    return CriticalPath(time.ns, time.levels, f"{name}.{start.name}", f"{name}.{end.name}", (name,), signals)


def _has_pin(box, net: int, pattern: re.Pattern) -> bool:
    return any(net in nets for pin, nets in box.pins.items() if pattern.search(pin))


def _base(name: str) -> str:
    return re.sub(r"\[\d+\]$", "", name)


def _pin_name(pin: Pin) -> str:
    return f"{pin[0]}[{pin[1]}]"
