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
