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
        return self.header.startswith("for (")

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
    return found + [statement for statement in statements if statement.startswith("for (")]


def _is_pipelined(loop: Block) -> bool:
    if loop.first == PIPELINE:
        return True
    return len(loop.items) == 1 and isinstance(loop.first, Block) and loop.first.is_loop and _is_pipelined(loop.first)


def unpartitioned_arrays(text: str) -> list[str]:
    """Arrays that a cycle reads or writes at several places in a dimension are partitioned there.

    Of a pipelined loop: arrays from outside of it with the variable of an unrolled loop in their index, or given as a
    whole to a function. Of an inlined function: its constant tables, which the caller's unrolled loop reads.
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
    pragma = r"#pragma HLS ARRAY_PARTITION variable=(\w+) (complete|cyclic factor=\w+) dim=(\d)$"
    matches = [re.match(pragma, item) for item in function.items if isinstance(item, str)]
    return {(match[1], int(match[3])): match[2] for match in matches if match}


def _arrays(function: Block) -> dict[str, int]:
    """Dimensions of the array parameters and of the arrays declared directly in a function, by name."""
    found = {name: indices.count("[") for name, indices in re.findall(rf"\(&(\w+)\){INDICES}", function.header)}
    for item in function.items:
        if isinstance(item, str) and re.match(r"[\w:<>+, ]+ \w+\[", item):
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
                    if name in arrays and changing & set(re.findall(r"\w+", index)):
                        yield name, dimension, bound


def _tables_of_inlined(function: Block) -> Iterator[tuple[str, int, str]]:
    """The same of the tables of an inlined function, which a caller's loop over its Pe reads."""
    tables = set(re.findall(r"const \w+ \(&(\w+)\)\[", function.header))
    for item in function.items:
        if isinstance(item, str) and not item.startswith("#"):
            yield from ((name, 1, "Pe") for name, _ in re.findall(rf"\b(\w+){INDICES}", item) if name in tables)


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
    return [name for name in variables if not re.search(rf"(\b|&){name}\)?\[|> {name}\(\"", code)]
