"""A verilated module driven pin by pin from Python, for modules whose ports are not only streams.

Slow: about 100 k pins a second.
"""

import ctypes

from flow.sim.build import Design, build_library

_WRAPPER = """\
#include <cstring>
#include "V{top}.h"
#include "harness.hpp"
#define EXPORT extern "C" __attribute__((visibility("default")))

// harness.cpp is linked only for its error hooks
std::unique_ptr<harness::Model> harness::make_model(int) {{ return nullptr; }}

struct Pins {{
    VerilatedContext context;
    V{top} top{{&context}};
}};
static void* pin(V{top}& top, int index) {{
    switch (index) {{ {cases} }}
    return nullptr;
}}
EXPORT Pins* pins_new() {{ return new Pins; }}
EXPORT void pins_delete(Pins* pins) {{ delete pins; }}
EXPORT void pins_get(Pins* pins, int index, void* to, int bytes) {{ std::memcpy(to, pin(pins->top, index), bytes); }}
EXPORT void pins_set(Pins* pins, int index, const void* from, int bytes) {{
    std::memcpy(pin(pins->top, index), from, bytes);
}}
EXPORT void pins_eval(Pins* pins) {{ pins->top.eval(); }}
"""


def _bytes(width: int) -> int:
    """Of Verilator's CData, SData, IData, QData and VlWide."""
    return next((size for size in (1, 2, 4, 8) if width <= 8 * size), 4 * -(-width // 32))


class Pins:
    """`pins["name"]` reads a port, `pins["name"] = value` drives one, `clock()` makes a rising edge of clk_i."""

    def __init__(self, top: str, parameters: dict[str, int | str], flags: tuple[str, ...] = ()):
        found = {}

        def wrapper(ports):
            cases = (f"case {index}: return &top.{name};" for index, name in enumerate(sorted(ports)))
            listing = "".join(f"{name} {ports[name].width}\\n" for name in sorted(ports))
            return (
                _WRAPPER.format(top=top, cases=" ".join(cases))
                + f'EXPORT const char* pins_names() {{ return "{listing}"; }}\n'
            )

        self._library = ctypes.CDLL(str(build_library(Design(top, parameters), wrapper, flags, key=_WRAPPER)))
        self._library.pins_new.restype = ctypes.c_void_p
        self._library.pins_names.restype = ctypes.c_char_p
        for index, line in enumerate(self._library.pins_names().decode().splitlines()):
            name, width = line.split()
            found[name] = (index, _bytes(int(width)))
        self._ports = found
        self._pins = ctypes.c_void_p(self._library.pins_new())
        for name in found:
            if name.endswith("_i"):
                self[name] = 0

    def __getitem__(self, name: str) -> int:
        index, size = self._ports[name]
        data = ctypes.create_string_buffer(size)
        self._library.pins_get(self._pins, index, data, size)
        return int.from_bytes(data.raw, "little")

    def __setitem__(self, name: str, value: int) -> None:
        index, size = self._ports[name]
        self._library.pins_set(self._pins, index, int(value).to_bytes(size, "little"), size)

    def eval(self) -> None:
        self._library.pins_eval(self._pins)

    def clock(self) -> None:
        for level in (1, 0):
            self["clk_i"] = level
            self.eval()

    def __del__(self):
        if hasattr(self, "_pins"):
            self._library.pins_delete(self._pins)
