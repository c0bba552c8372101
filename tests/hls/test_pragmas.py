"""What Vitis HLS needs of every header and g++ does not check."""

import re

import pytest

import flow.ops
from flow.paths import hls_folder

HEADERS = sorted(hls_folder().glob("*.hpp"))
NODES = [header for header in HEADERS if re.search(r"^(template .*)?void \w+\(hls::stream", header.read_text(), re.M)]
HELPERS = [header for header in HEADERS if header not in NODES]
FORBIDDEN = r"#include <(vector|algorithm|map|queue|string|iostream|memory|array)>|\bnew\b(?= \w+[\[({])|\bmalloc\b|\bfree\("


def names(headers):
    return [header.stem for header in headers]


def code(header):
    return re.sub(r"//.*", "", header.read_text())


def loops(text):
    """(for statement, the lines directly inside it) of every for loop."""
    lines = text.splitlines()
    return [(line.strip(), lines[i + 1:i + 3]) for i, line in enumerate(lines) if line.strip().startswith("for (")]


def test_every_node_has_a_header():
    """But for the Fifo, which is the depth of a stream."""
    assert names(NODES) == sorted(node.__module__.rsplit(".", 1)[-1] for node in flow.ops.NODES if node is not flow.ops.Fifo)


@pytest.mark.parametrize("header", HEADERS, ids=names(HEADERS))
def test_is_synthesisable_cpp(header):
    found = re.search(FORBIDDEN, code(header))
    assert not found, f"{header.name}: {found.group()}"


@pytest.mark.parametrize("header", HEADERS, ids=names(HEADERS))
def test_every_loop_is_pipelined_unrolled_or_flattened(header):
    """A loop is pipelined at II=1, unrolled, or holds nothing but the next loop, which Vitis flattens into it."""
    for loop, body in loops(code(header)):
        first = next(line.strip() for line in body if line.strip())
        assert first in ("#pragma HLS PIPELINE II=1", "#pragma HLS UNROLL") or first.startswith("for ("), \
            f"{header.name}: {loop}"


@pytest.mark.parametrize("header", NODES, ids=names(NODES))
def test_main_loop_is_pipelined(header):
    assert "#pragma HLS PIPELINE II=1" in header.read_text()


@pytest.mark.parametrize("header", HEADERS, ids=names(HEADERS))
def test_partitioned_arrays_exist(header):
    """A pragma that names no variable is ignored with a warning at best."""
    text = code(header)
    for variable in re.findall(r"#pragma HLS \w+ variable=(\w+)", text):
        assert re.search(rf"(\b|&){variable}\)?\[", text), f"{header.name}: {variable}"


@pytest.mark.parametrize("header", HELPERS, ids=names(HELPERS))
def test_helpers_are_inlined(header):
    """A function call in a pipelined loop that is not inlined costs its handshake, and arrays that it takes stay whole."""
    lines = code(header).splitlines()
    for opening, first in zip(lines, lines[1:]):
        if re.search(r"\)( const)? \{$", opening) and not re.search(r"\b(for \(|if \(|constexpr )", opening):
            assert first == "#pragma HLS INLINE", f"{header.name}: {opening.strip()}"
