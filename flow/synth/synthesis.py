"""Synthesis of parts by Yosys for the fabric of 7-series devices: one JSON netlist each, cached by content.

The command is ``synth_xilinx -family xc7 -abc9 -flatten``, out of context (no pads, no global buffers); modules with
the attribute keep_hierarchy stay. It is halted before memories are mapped, to note which there are and how they are
wanted, and to expand distributed ROMs (rom.py).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from brevitas_models.cache import cache_folder, cached, digest
from flow.errors import FlowError

from . import rom
from .parts import INSTANCE, Part
from .yosys import Yosys, written_json

SYNTH = "synth_xilinx -family xc7 -abc9 -flatten -noiopad -noclkbuf"
VERSION = "2"  # of what `compact` keeps
UNMAPPED, MAPPED, MEMORIES = "unmapped.json", "netlist.json", "memories.json"
FRONT = """
{reads}
{synth} -top {top} -run begin:map_memory
select -set roms a:rom_style=distributed t:$mem_v2 %i
memory_nordff @roms
select -clear
delete =A:whitebox
opt_clean
write_json {unmapped}
"""
BACK = """
read_verilog -lib -specify +/xilinx/cells_sim.v
read_verilog -lib +/xilinx/cells_xtra.v
read_json {unmapped}
hierarchy -top {top}
{synth} -top {top} -run map_memory:check
delete =A:whitebox
write_json {mapped}
"""


def synthesise(
    parts: Iterable[Part],
    yosys: Yosys,
    jobs: int | None = None,
    log: Callable[[str], None] = lambda line: None,
    labels: Mapping[Part, str] | None = None,
) -> dict[Part, Path]:
    """Return the folder of every part's netlist; those that are not cached are made, ``jobs`` at a time.

    ``labels``: what the log calls a part; its title by default.

    Raises:
        FlowError: Yosys does not take a part; names it.
    """
    wanted = list(dict.fromkeys(parts))
    names = labels or {part: part.title for part in wanted}
    found = {part: cache_folder() / _key(part, yosys) for part in wanted}
    missing = [part for part in wanted if not found[part].exists()]
    log(f"{len(wanted)} distinct parts, {len(wanted) - len(missing)} of them synthesised before")
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        futures = {pool.submit(netlist_folder, part, yosys): part for part in missing}
        try:
            for count, future in enumerate(as_completed(futures), 1):
                future.result()
                log(f"synthesised {count} of {len(missing)}: {names[futures[future]]}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def netlist_folder(part: Part, yosys: Yosys) -> Path:
    """Return the folder with the part's ``netlist.json`` and ``memories.json``."""
    return cached(_key(part, yosys), partial(_build, part, yosys))


def _key(part: Part, yosys: Yosys) -> str:
    return f"synth-{digest(FRONT, SYNTH, BACK, rom.VERSION, VERSION, yosys.version, part.key)}"


def _build(part: Part, yosys: Yosys, folder: Path) -> None:
    names = {"synth": SYNTH, "top": part.top, "unmapped": UNMAPPED, "mapped": MAPPED}
    scratch = folder / "scratch"
    scratch.mkdir()
    try:
        yosys.run(FRONT.format(reads=part.write(scratch), **names), scratch)
        boxes = {name.removesuffix(".sv") for name, _ in part.boxes}
        design = without_library(written_json(scratch / UNMAPPED), boxes)
        memories = requested_memories(design)  # before distributed ROMs are gone
        rom.expand_roms(design)
        (scratch / UNMAPPED).write_text(json.dumps(design))
        yosys.run(BACK.format(**names), scratch)
        netlist = compact(without_library(written_json(scratch / MAPPED), boxes))
    except FlowError as error:
        raise FlowError(f"{part.title}: {error}") from error
    finally:
        shutil.rmtree(scratch)
    (folder / MAPPED).write_text(json.dumps(netlist, separators=(",", ":")))
    (folder / MEMORIES).write_text(json.dumps(memories))


def requested_memories(design: dict) -> dict[str, list[dict]]:
    """Return by module the memories before mapping: name, words, bits of a word, writable, and the style asked for."""
    found = {}
    for name, module in design["modules"].items():
        rows = []
        for memory, cell in module["cells"].items():
            if cell["type"] == "$mem_v2":
                number = lambda key, cell=cell: int(cell["parameters"][key], 2)
                attributes = cell["attributes"]
                style = attributes.get("rom_style") or attributes.get("ram_style") or "auto"
                rows.append(
                    {
                        "name": memory.removeprefix(INSTANCE),
                        "words": number("SIZE"),
                        "bits": number("WIDTH"),
                        "writable": number("WR_PORTS") > 0,
                        "style": style.strip(),
                    }
                )
        if rows:
            found[name] = rows
    return found


def without_library(design: dict, boxes: set[str]) -> dict:
    """Return a JSON design without the cell library's modules: boxes that are none of ``boxes``."""
    modules = {
        name: module
        for name, module in design["modules"].items()
        if not {"blackbox", "whitebox"} & module["attributes"].keys()
        or module["attributes"].get("hdlname", name) in boxes
    }
    return {**design, "modules": modules}


def compact(netlist: dict) -> dict:
    """Return the netlist without sources, and without the name of the wrapper's instance."""
    modules = {}
    for name, module in netlist["modules"].items():
        box = "blackbox" in module["attributes"]
        cells = {
            cell.removeprefix(INSTANCE): {
                "type": content["type"],
                "parameters": content["parameters"],
                "connections": content["connections"],
            }
            for cell, content in ({} if box else module["cells"]).items()
            if content["type"] not in ("$scopeinfo", "$specify2", "$specify3", "$specrule")
        }
        nets = {
            net.removeprefix(INSTANCE): content["bits"]
            for net, content in module["netnames"].items()
            if not content.get("hide_name")
        }
        ports = {port: {k: d[k] for k in ("direction", "bits")} for port, d in module["ports"].items()}
        modules[name] = {
            "module": module["attributes"].get("hdlname", name),
            "box": box,
            "ports": ports,
            "cells": cells,
            "netnames": nets,
        }
    return {"modules": modules}
