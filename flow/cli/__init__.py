"""The command line. Commands import what they need when they run, so that help and mistakes are answered at once."""

from __future__ import annotations

import errno
import io
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

import typer

from brevitas_models.errors import ModelError
from flow.errors import FlowError

COMMANDS = {  # command: (module, function)
    "build": ("flow.cli.build", "build"),
    "train": ("flow.cli.train", "train"),
    "inspect": ("flow.cli.inspect", "inspect"),
    "synth": ("flow.cli.synth", "synth"),
    "timing": ("flow.cli.timing", "timing"),
    "diff": ("flow.cli.diff", "diff"),
    "ptq": ("flow.cli.ptq", "ptq"),
    "pack": ("flow.cli.pack", "pack"),
    "table": ("flow.cli.table", "table"),
    "eval": ("flow.cli.evaluate", "evaluate"),
    "doctor": ("flow.cli.doctor", "doctor"),
}
INTERRUPTED, TERMINATED = 130, 143  # as shells report SIGINT and SIGTERM


def application() -> typer.Typer:
    """Return the typer application with every command that exists."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="An open flow for 1-bit neural networks on FPGAs.",
    )

    @app.callback()
    def common(debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error.")) -> None:
        pass  # main takes --debug wherever it stands

    for command, (module, function) in COMMANDS.items():
        if find_spec(module):
            app.command(command)(getattr(import_module(module), function))
    return app


def refuse_infinite(command) -> None:
    """Make all options of ``command`` (as typer makes it), and of those below it, refuse NaN and infinity."""
    for parameter in command.params:
        parameter.callback = _finite(parameter.callback)
    for below in getattr(command, "commands", {}).values():
        refuse_infinite(below)


def _finite(callback: Callable | None) -> Callable:
    def checked(context, parameter, value):
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise typer.BadParameter(f"{number} is no finite number", ctx=context, param=parameter)
        return callback(context, parameter, value) if callback else value

    return checked


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit: 0, 1 after a message, 2 for a wrong call, 130 after Ctrl-C."""
    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGTERM, _terminated)
    _open_streams()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [word for word in arguments if word != "--debug"]
    try:
        command = typer.main.get_command(application())
        refuse_infinite(command)
        code = command(arguments, prog_name="flow", standalone_mode=False) or 0
        if code == INTERRUPTED:  # typer swallows KeyboardInterrupt
            raise KeyboardInterrupt
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:  # head has seen enough; typer exits so, too
        _drop_unprinted()
        sys.exit(1)
    except (Exception, KeyboardInterrupt) as error:
        text, code = explain(error)
        if debug or text is None:
            raise
        complain(text)
        _drop_unprinted()
        sys.exit(code)


def _open_streams() -> None:
    """Give the command streams that take any name of a file; a closed one takes everything and keeps nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
        if isinstance(getattr(sys, name), io.TextIOWrapper):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _drop_unprinted() -> None:
    """Forget what cannot be printed, of which Python would complain once more at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminated(number: int, frame) -> None:
    """End as after an exception, so that what is half-made is removed; a second signal changes nothing."""
    signal.signal(number, signal.SIG_IGN)
    complain("terminated; what was finished is kept")
    sys.exit(TERMINATED)


def explain(error: BaseException) -> tuple[str | None, int]:
    """Return (message, exit code) of an error that a user may meet; the message of any other is None."""
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return "interrupted; what was finished is kept", INTERRUPTED
    if isinstance(error, (FlowError, ModelError)):
        return str(error), 1
    if hasattr(error, "format_message"):  # typer's own: a wrong option, a missing argument
        return _explain_option(error), getattr(error, "exit_code", 2)
    if isinstance(error, OSError):
        return _explain_os(error), 1
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # the second is torch's, a RuntimeError
        return "there is not enough memory for this: free some, or take less at once (width, batch, images, --jobs)", 1
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):  # pydantic's
        return "; ".join(_explain_field(field) for field in error.errors()), 1
    return None, 1


def complain(text: str) -> None:
    """Print a message on stderr, "error:" in red on a terminal."""
    from rich.text import Text

    from flow.report.console import plain_console

    plain_console(stderr=True).print(Text.assemble(("error:", "bold red"), f" {text}"))


def _explain_os(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    cut = error.errno is None and re.search(r"\d+ requested and \d+ written", str(error))  # numpy's
    if cut or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}: free some space and call again; what was finished is kept"
    return f"{error.strerror or error}{where}"


def _explain_option(error) -> str:
    """Return the message of a wrong option with its value, which typer leaves out where pydantic found it wrong."""
    cause = error.__cause__
    if hasattr(cause, "errors") and hasattr(error, "message"):
        field = cause.errors()[0]
        value, said = field["input"], field["msg"].removeprefix("Input ")
        error.message = f"{value} {said}" if _is_finite(value) else f"{value} is no finite number"
    return error.format_message()


def _is_finite(value) -> bool:
    """Return whether a value, or the text of one, is no NaN and not infinite."""
    try:
        return math.isfinite(float(value))
    except (ValueError, TypeError, OverflowError):
        return True


def _explain_field(field: dict) -> str:
    name = ".".join(map(str, field["loc"])) or field["type"]
    return f"{name} is {field['input']!r}: {field['msg'][:1].lower()}{field['msg'][1:]}"
