"""What must stand in HLS C++ for Vitis HLS to reach II=1, by its text alone.

g++ ignores pragmas, and no Vitis HLS was at hand.
Each function returns complaints, none for code as it must be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

PIPELINE, UNROLL, INLINE, DATAFLOW = (
    f"#pragma HLS {name}" for name in ("PIPELINE II=1", "UNROLL", "INLINE", "DATAFLOW")
)
INDICES = r"((?: *\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\])+)"  # of an array access, with one level of arrays inside


@dataclass
class Block:
    """Braces, what stands before them, and what is in them: statements, preprocessor lines and blocks."""

    header: str
    items: list[str | Block] = field(default_factory=list)

    @property
    def is_loop(self) -> bool:
        return self.header.startswith(("for (", "while ("))

    @property
    def is_function(self) -> bool:
        return bool(re.search(r"\)( const)?$", self.header)) and not re.match(
            r"(for|if|else|while|switch)\b", self.header
        )

    @property
    def first(self) -> str | Block:
        return self.items[0] if self.items else ""

    def blocks(self) -> Iterator[Block]:
        """Those inside, at any depth."""
        for item in self.items:
            if isinstance(item, Block):
                yield item
                yield from item.blocks()

    def text(self) -> str:
        return " ".join(item if isinstance(item, str) else f"{item.header} {{ {item.text()} }}" for item in self.items)


def parse(text: str) -> Block:
    """A file as a block."""
    stack, words, depth = [Block("")], "", 0
    for line in re.sub(r"//.*", "", text).splitlines():
        if line.lstrip().startswith("#"):
            stack[-1].items.append(line.strip())
            continue
        for character in line + "\n":
            depth += {"(": 1, ")": -1}.get(character, 0)
            if character == "{" and not depth:
                stack.append(Block(_plain(words)))
                stack[-2].items.append(stack[-1])
            elif character in ";}" and not depth:
                if _plain(words):
                    stack[-1].items.append(_plain(words))
                if character == "}":
                    stack.pop()
            else:
                words += character
                continue
            words = ""
    return stack[0]


def _plain(words: str) -> str:
    return " ".join(words.split())


def unpipelined_loops(text: str) -> list[str]:
    """A loop has braces and is pipelined at II=1, or unrolled, or holds only such a pipelined loop or nest of loops."""
    code = parse(text)
    statements = [item for block in (code, *code.blocks()) for item in block.items if isinstance(item, str)]
    loops = [block for block in code.blocks() if block.is_loop]
    found = [loop.header for loop in loops if loop.first != UNROLL and not _is_pipelined(loop)]
    return found + [statement for statement in statements if statement.startswith(("for (", "while ("))]


def _is_pipelined(loop: Block) -> bool:
    if loop.first == PIPELINE:
        return True
    return len(loop.items) == 1 and isinstance(loop.first, Block) and loop.first.is_loop and _is_pipelined(loop.first)


def unpartitioned_arrays(text: str) -> list[str]:
    """Arrays that a cycle reads or writes at several places in a dimension are partitioned or reshaped there.

    Of a pipelined loop: arrays from outside of it with the variable of an unrolled loop in their index, or given as a
    whole to a function. Of an inlined function: its constant tables, which the caller's unrolled loop reads. A look-up
    at a value, as table[x[i]], takes a port of the table for each, which the top binds it to (rom_np).
    """
    found = []
    for function in (block for block in parse(text).blocks() if block.is_function):
        partitions = _partitions(function)
        wanted = _tables_of_inlined(function) if INLINE in function.items else _arrays_of_loops(function)
        for name, dimension, bound in wanted:
            kind = partitions.get((name, dimension))
            if kind not in ("complete", f"cyclic factor={bound}"):
                found.append(f"{function.header.split('(')[0]}: {name} dim={dimension} is {kind}")
    return found


def _partitions(function: Block) -> dict[tuple[str, int], str]:
    pragma = r"#pragma HLS ARRAY_(?:PARTITION|RESHAPE) variable=(\w+) (complete|cyclic factor=\w+) dim=(\d)$"
    matches = [re.match(pragma, item) for item in function.items if isinstance(item, str)]
    return {(match[1], int(match[3])): match[2] for match in matches if match}


def _arrays(function: Block) -> dict[str, int]:
    """Dimensions of the array parameters and of the arrays declared directly in a function, by name."""
    found = {name: indices.count("[") for name, indices in re.findall(rf"\(&(\w+)\){INDICES}", function.header)}
    for item in function.items:
        if isinstance(item, str) and re.match(r"[\w:<>+*, ]+ \w+\[", item):
            found |= {name: indices.count("[") for name, indices in re.findall(rf"(\w+){INDICES}(?=,|$)", item)}
    return found


def _arrays_of_loops(function: Block) -> Iterator[tuple[str, int, str]]:
    """(array, dimension, places a cycle) that the pipelined loops of a function want."""
    arrays = _arrays(function)
    for loop in (block for block in function.blocks() if block.is_loop and block.first == PIPELINE):
        for name, indices in re.findall(rf"[(,] ?(\w+){INDICES}?(?= ?[,)])", loop.text()):
            if indices.count("[") < arrays.get(name, 0):
                yield name, indices.count("[") + 1, "all"
        for unrolled in (block for block in loop.blocks() if block.is_loop and block.first == UNROLL):
            variable, bound = re.match(r"for \(unsigned (\w+) = 0; \w+ < ([^;]+);", unrolled.header).groups()
            body = unrolled.text()
            changing = {variable, *re.findall(rf"const unsigned (\w+) = [^;]*?\b{variable}\b", body)}
            for name, indices in re.findall(rf"\b(\w+){INDICES}", body):
                for dimension, index in enumerate(_indices(indices), 1):
                    if name in arrays and "[" not in index and changing & set(re.findall(r"\w+", index)):
                        yield name, dimension, bound


def _tables_of_inlined(function: Block) -> Iterator[tuple[str, int, str]]:
    """The same of the tables of an inlined function, which a caller's loop over its Pe reads."""
    tables = set(re.findall(r"const \w+ \(&(\w+)\)\[", function.header))
    for item in function.items:
        if isinstance(item, str) and not item.startswith("#"):
            yield from ((name, 2, "Pe") for name, _ in re.findall(rf"\b(\w+){INDICES}", item) if name in tables)


def _indices(text: str) -> list[str]:
    """ "[a][b[c]]" to ["a", "b[c]"]."""
    found, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character == "[":
            start = position + 1 if depth == 0 else start
            depth += 1
        elif character == "]":
            depth -= 1
            if depth == 0:
                found.append(text[start:position])
    return found


def unbound_arrays(text: str) -> list[str]:
    """Arrays of a function that is not inlined have a memory (BIND_STORAGE), or are registers: partitioned in every
    dimension. Without either Vitis HLS takes block RAM as it sees fit."""
    found = []
    for function in (block for block in parse(text).blocks() if block.is_function and INLINE not in block.items):
        pragmas = [item for item in function.items if isinstance(item, str) and item.startswith("#")]
        lines = [item for item in function.items if isinstance(item, str)]
        for item in (line for line in lines if re.match(r"[\w:<>+*, ]+ \w+\[", line)):
            for name, indices in re.findall(rf"(\w+){INDICES}(?=,|$)", item):
                bound = any(
                    re.match(rf"#pragma HLS BIND_STORAGE variable={name} type=\w+ impl=\w+$", p) for p in pragmas
                )
                whole = all(
                    f"#pragma HLS ARRAY_PARTITION variable={name} complete dim={dimension}" in pragmas
                    for dimension in range(1, indices.count("[") + 1)
                )
                if not bound and not whole:
                    found.append(f"{function.header.split('(')[0]}: {name} has no memory")
    return found


def undeclared_recurrences(text: str) -> list[str]:
    """Memories to which a function writes what it computed from them, without a DEPENDENCE that says how many cycles
    later: else Vitis HLS takes the next one, in which the sum is not there yet."""
    declared = re.findall(r"^#pragma HLS DEPENDENCE variable=(\w+) inter RAW distance=\w+ true$", text, re.MULTILINE)
    statements = re.split(r"[;{}]", re.sub(r"^#.*$|//.*", "", text, flags=re.MULTILINE))
    found = []
    for memory in re.findall(r"#pragma HLS BIND_STORAGE variable=(\w+)", text):
        computed = {memory}
        for statement in statements * 2:  # what a loop computes at its end, it may store at its beginning
            assigned = re.search(r"(\w+)(?:\[.*?\])* ([-+|&]?)= (.*)", statement, re.DOTALL)
            if not assigned:
                continue
            if computed & set(re.findall(r"\w+", assigned[3])):
                if assigned[1] == memory and memory not in found + declared:
                    found.append(memory)
                computed.add(assigned[1])
            elif not assigned[2]:
                computed -= {assigned[1]} - {memory}
    return found


def slow_recurrences(text: str) -> list[str]:
    """Memories of sums that are needed some cycles later, which may be one, and have no register for that: a memory
    gives a word a cycle after it was asked for."""
    declared = re.findall(r"^#pragma HLS DEPENDENCE variable=(\w+) inter RAW distance=(\w+) true$", text, re.MULTILINE)
    return [name for name, distance in declared if not re.search(rf"\b{distance} == 1 \? \w+\[\w+\] : {name}\[", text)]


def divisions(text: str) -> list[str]:
    """What pipelined loops divide by anything but a power of two: a divider, or a pipeline as deep as one.

    Constants (capital letters) and variables of unrolled loops divide at compile time.
    """
    found = []
    for loop in (block for block in parse(text).blocks() if block.is_loop and block.first == PIPELINE):
        unrolled = [block.header for block in loop.blocks() if block.is_loop and block.first == UNROLL]
        fixed = {name for header in unrolled for name in re.findall(r"for \(unsigned (\w+) =", header)}
        for left, operator, right in re.findall(r"([\w\])]+) ([%/])=? ([\w(]+)", f"{loop.header} {loop.text()}"):
            power = right.isdigit() and int(right) & int(right) - 1 == 0
            if not power and left not in fixed and not left[0].isupper():
                found.append(f"{left} {operator} {right}")
    return found


def wide_counters(text: str) -> list[str]:
    """Native integers that a function declares and then changes: each is a register of all its bits."""
    found = []
    for function in (block for block in parse(text).blocks() if block.is_function and INLINE not in block.items):
        for item in (item for item in function.items if isinstance(item, str)):
            if re.match(r"(unsigned|int|u?int\d+_t|size_t|long)\b[^\[]*=", item):
                found.append(item)
    return found


def uncanonical_calls(text: str) -> list[str]:
    """In the dataflow region are declarations and calls only, whose arguments are names (of arrays, with their use)."""
    top = next(block for block in parse(text).blocks() if block.header.startswith("void accelerator("))
    (region,) = (item for item in top.items if isinstance(item, Block) and item.is_loop)
    found, callees = [], []
    for item in region.items:
        if not isinstance(item, str):
            found.append(item.header)
        elif not item.startswith("#"):
            for part in re.split(
                r"(?<=\)) (?=FLOW_|hls::)", re.sub(r"FLOW_STREAM\(\w+, -?\d+, \d+\)", "", item).strip()
            ):
                call = re.fullmatch(r"FLOW_PROCESS\(([\w:]+)(?:<[\w, ]*>)?\((.*)\)\)", part)
                declared = re.fullmatch(
                    r'hls::stream<[\w:<>, ]+> \w+\("[^"]+"\)|FLOW_PING_PONG\(\w+, \[\d+\], [\w<>]+\)', part
                )
                if not declared and not call:
                    found.append(part)
                if call:
                    callees.append(call[1])
                    arguments = re.split(", ", call[2])
                    found += [name for name in arguments if not re.fullmatch(r"\w+|FLOW_(FILL|USE)\(\w+\)", name)]
    return found + [f"{name} is called twice" for name in set(callees) if callees.count(name) > 1]


def wrong_depths(text: str) -> list[str]:
    """C simulation has the depth of every stream that the pragma says, and 2 without one."""
    pragmas = dict(re.findall(r"^#pragma HLS STREAM variable=(\w+) depth=(\d+)$", text, re.MULTILINE))
    stated = dict(re.findall(r"FLOW_STREAM\((\w+), -?\d+, (\d+)\)", text))
    streams = re.findall(r"hls::stream<[^;]*> (\w+)\(\"", text)
    return [name for name in streams if stated.get(name) != pragmas.get(name, "2")] + sorted(set(stated) - set(streams))


def undirected_top(text: str) -> list[str]:
    """A top function: its frame loop is a dataflow region, each argument has the interface of its type."""
    top = next(block for block in parse(text).blocks() if block.header.startswith("void accelerator("))
    pragmas = re.findall(r"#pragma HLS INTERFACE mode=(\w+) port=(\w+)( bundle=\w+)?", "\n".join(map(str, top.items)))
    modes: dict[str, set[str]] = {}
    for mode, port, _ in pragmas:
        modes.setdefault(port, set()).add(mode)
    found = []
    for argument in [*re.search(r"\((.*)\)$", top.header)[1].split(","), "int return"]:
        name = re.search(r"\w+$", argument)[0]
        wanted = {"axis"} if "hls::stream" in argument else {"m_axi", "s_axilite"} if "*" in argument else {"s_axilite"}
        if modes.get(name, set()) != wanted:
            found.append(f"{name}: INTERFACE of {modes.get(name)}, not {wanted}")
    masters = [bundle for mode, _, bundle in pragmas if mode == "m_axi"]
    found += ["two pointers in one bundle"] * (len(set(masters)) < len(masters))
    loops = [item for item in top.items if isinstance(item, Block) and item.is_loop]
    return found + ["the frame loop is no dataflow region"] * ([loop.first for loop in loops] != [DATAFLOW])


def unknown_variables(text: str) -> list[str]:
    """Variables of pragmas that are no array and no stream of the text: Vitis HLS only warns."""
    code = re.sub(r"^#.*$|//.*", "", text, flags=re.MULTILINE)
    variables = re.findall(r"#pragma HLS \w+ variable=(\w+)", text)
    pattern = r"(\b|&){name}\)?\[|> {name}\(\"|FLOW_PING_PONG\({name},"
    return [name for name in variables if not re.search(pattern.replace("{name}", name), code)]
