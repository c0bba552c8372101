"""Calls that are made from the commands and options that there are: each with values that its type does not take."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import typer

from deploy.__main__ import parser
from flow.cli import COMMANDS, application
from tests.abuse.harness import Call
from tests.abuse.template import IMAGES

# words that end in an error soon if the value is one that the option takes
BASES = {
    "build": ["--checkpoint", "none.popbin"],
    "train": ["--data", "none"],
    "inspect": ["none.onnx"],
    "synth": ["none"],
    "timing": ["none"],
    "diff": ["none"],
    "ptq": ["none.popbin", "--output", "new"],
    "pack": ["none"],
    "table": ["--results", "none"],
    "eval": ["--data", "none"],
    "doctor": [],
}
DEPLOY_BASES = {
    "run": [IMAGES, "--package", "none"],
    "validate": ["--package", "none"],
    "latency": ["--package", "none"],
    "throughput": ["--package", "none"],
    "cpu": ["--package", "none"],
}
WRONG_TYPE = {"integer": ("x", "1.5", ""), "float": ("x", "", "nan", "inf", "-inf")}
OUT_OF_RANGE = {"integer": ("-1", "0", "99999999999999999999"), "float": ("-1", "1e300", "1e-300")}
STRANGE = {"text": ("", "no-such", "a\nb", "é", "-"), "path": ("", "none/none", "/dev/null", "x" * 300)}
FIRST = ("file", "build", "folder", "checkpoint", "run", "images_file")  # arguments that the bases begin with
ENDS_WELL = {"doctor"}  # whatever data it is given: it lists


def kind(annotation) -> str:
    """Return the kind of values of a parameter's type, such as int | None."""
    types = [part for part in get_args(annotation) or (annotation,) if part is not type(None)]
    return {int: "integer", float: "float", bool: "flag", Path: "path"}.get(types[0], "text")


def flow_options() -> Iterator[tuple[str, str, str]]:
    """Yield (command, option, kind) of all that ``flow`` has; an argument's name has no dashes."""
    made = typer.main.get_command(application()).commands
    for command, (module, function) in COMMANDS.items():
        types = get_type_hints(getattr(import_module(module), function))
        for parameter in made[command].params:
            if parameter.name in types:
                option = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name
                yield command, option, kind(types[parameter.name])


def deploy_options() -> Iterator[tuple[str, str, str]]:
    """Yield (command, option, kind) of all that ``python -m deploy`` has."""
    choices = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)).choices
    for command, below in choices.items():
        for action in below._actions:
            if action.dest != "help":
                name = action.option_strings[0] if action.option_strings else action.dest
                yield command, name, {int: "integer", float: "float", None: "text"}.get(action.type, "path")


def values(of: str) -> Iterator[tuple[str, bool]]:
    """Yield bad values of a kind, and whether the message must name the option."""
    yield from ((value, True) for value in WRONG_TYPE.get(of, ()))
    yield from ((value, False) for value in (*OUT_OF_RANGE.get(of, ()), *STRANGE.get(of, ())))


def calls() -> Iterator[Call]:
    """Yield a call for each command, option and bad value."""
    for program, options, bases in (("flow", flow_options(), BASES), ("deploy", deploy_options(), DEPLOY_BASES)):
        for command, option, of in options:
            base = bases[command]
            if of == "flag":
                yield Call(f"{program} {command}", f"{option}=x", [program, command, *base, f"{option}=x"], option[2:])
            for value, named in values(of):
                if option.startswith("-"):
                    words = [*base, f"{option}={value}"]
                elif value.startswith("-"):
                    continue  # would be taken as an option
                else:
                    words = [value, *base[1:]] if option in FIRST else [*base, value]
                text = option.lstrip("-") if named and option.startswith("-") else ""
                codes = (0, 1, 2) if command in ENDS_WELL else (1, 2)
                yield Call(
                    f"{program} {command}", f"{option}={value[:20]!r}", [program, command, *words], text, codes=codes
                )
