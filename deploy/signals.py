"""Signals that end a process, as exceptions: what it began is put right before it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGHUP)  # SIGKILL cannot be caught


@contextmanager
def ending_signals_raise() -> Iterator[None]:
    """Let the first of the ENDING signals raise SystemExit(128 + its number) inside, and ignore those after it.

    Signals that are handled or ignored already stay so. In threads other than the main one, to which Python gives no
    signals, nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    taken = [number for number in ENDING if main and signal.getsignal(number) == signal.SIG_DFL]

    def set_all(handler) -> None:
        for number in taken:
            signal.signal(number, handler)

    def end(number: int, _) -> None:
        set_all(signal.SIG_IGN)
        raise SystemExit(128 + number)

    set_all(end)
    try:
        yield
    finally:
        set_all(signal.SIG_DFL)


@contextmanager
def ending_signals_wait() -> Iterator[None]:
    """Hold back the ENDING signals and Ctrl-C until the block is done: for what must not be left half done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, *ENDING))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
