"""The ports of the accelerator's top: one list for the module, its manifest and the scripts that package it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

ADDRESS_BITS = 12  # of s_axi
BUSES = {"s_axi": "slave", "s_axis": "slave", "m_axis": "master", "m_axi": "master"}
PARAMETERS = {  # of an interface, for Vivado
    "clk_i": "ASSOCIATED_RESET rst_ni",
    "rst_ni": "POLARITY ACTIVE_LOW",
    "s_axi": "PROTOCOL AXI4LITE",
    "m_axi": "PROTOCOL AXI4, READ_WRITE_MODE READ_ONLY, MAX_BURST_LENGTH 16, NUM_READ_OUTSTANDING 8, "
    "SUPPORTS_NARROW_BURST 0",
}

_SIGNALS = {  # name, direction, bits (0: a plain wire)
    "s_axi": """awaddr input 12; awprot input 3; awvalid input 0; awready output 0; wdata input 32; wstrb input 4;
        wvalid input 0; wready output 0; bresp output 2; bvalid output 0; bready input 0; araddr input 12; arprot input
        3; arvalid input 0; arready output 0; rdata output 32; rresp output 2; rvalid output 0; rready input 0""",
    "s_axis": "tdata input 64; tvalid input 0; tready output 0; tlast input 0",
    "m_axi": """arid output 1; araddr output 32; arlen output 8; arsize output 3; arburst output 2; arprot output 3;
        arcache output 4; arvalid output 0; arready input 0; rid input 1; rdata input 64; rresp input 2; rlast input 0;
        rvalid input 0; rready output 0""",
    "m_axis": "tdata output 32; tvalid output 0; tready input 0; tlast output 0",
}


@dataclass(frozen=True)
class Port:
    """A port of the top.

    interface: type and name. signal: the port's name in the interface. bits: its width, 0 for a plain wire.
    parameter: Vivado's settings of the interface, at its first port.
    """

    direction: str
    bits: int
    name: str
    interface: str
    signal: str
    parameter: str | None = None

    def as_dict(self) -> dict:
        """Return its fields, as the manifest holds them."""
        return asdict(self)


def top_ports(*, ddr: bool) -> list[Port]:
    """Return the ports of the top, in order; ``ddr``: it reads weights over m_axi."""
    ports = [
        Port("input", 0, "clk_i", "signal:clock:1.0 clk_i", "CLK", PARAMETERS["clk_i"]),
        Port("input", 0, "rst_ni", "signal:reset:1.0 rst_ni", "RST", PARAMETERS["rst_ni"]),
    ]
    for bus, signals in _SIGNALS.items():
        if bus == "m_axi" and not ddr:
            continue
        kind = "axis" if bus.endswith("axis") else "aximm"
        for index, text in enumerate(signals.split(";")):
            name, direction, bits = text.split()
            parameter = PARAMETERS.get(bus) if index == 0 else None
            ports.append(
                Port(direction, int(bits), f"{bus}_{name}", f"interface:{kind}:1.0 {bus}", name.upper(), parameter)
            )
    return ports
