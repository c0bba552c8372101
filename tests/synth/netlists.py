"""Hand-made netlists in the form that flow.synth.synthesis keeps."""

from __future__ import annotations


def cell(kind, parameters=None, **connections):
    """A cell; a pin of one bit may be given without its list."""
    pins = {pin: bits if isinstance(bits, list) else [bits] for pin, bits in connections.items()}
    return {"type": kind, "parameters": parameters or {}, "connections": pins}


def module(ports, cells, nets=None, box=False):
    """A module; ``ports`` is {name: (direction, bits)}, ``nets`` {name: bits} beside the ports' own."""
    wired = {name: (way, bits if isinstance(bits, list) else [bits]) for name, (way, bits) in ports.items()}
    named = {name: bits if isinstance(bits, list) else [bits] for name, bits in (nets or {}).items()}
    return {
        "module": "",
        "box": box,
        "ports": {name: {"direction": way, "bits": bits} for name, (way, bits) in wired.items()},
        "cells": cells,
        "netnames": {**{name: bits for name, (_, bits) in wired.items()}, **named},
    }


def netlist(**modules):
    return {"modules": modules}


def flip_flop(d, q, enable="1", reset="0"):
    return cell("FDRE", C=2, D=d, Q=q, CE=enable, R=reset)
