"""What memory there is, asked before much of it is taken."""

from __future__ import annotations

import resource
from pathlib import Path

from flow.errors import FlowError

GIB = 2**30


def available_bytes() -> int:
    """Return the bytes that this process can still have: the least of the machine's free memory and its own limit."""
    found = [1 << 62]
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024 * int(line.split()[1]))
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            found.append(limit - resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0]))
    except (OSError, ValueError, IndexError):
        pass  # not told here: the allocation itself will say
    return min(found)


def require_memory(needed: int, what: str, way: str) -> None:
    """Raise FlowError if ``what`` needs more bytes than there are; ``way`` is the way out."""
    available = available_bytes()
    if needed > available:
        raise FlowError(f"{what} needs about {needed / GIB:.1f} GiB, and {max(available, 0) / GIB:.1f} are free: {way}")
