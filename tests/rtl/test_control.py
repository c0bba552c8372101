"""rtl/control.sv through its AXI4-Lite slave, against counters kept in Python."""

import random

import pytest

from tests.rtl.pins import Pins

PORTS, BEATS, CLOCK_KHZ, BUILD_ID = 3, [4, 1, 7, 3, 10], 123_456, 0x0123456789ABCDEF_FEDCBA9876543210
LAYERS = len(BEATS)
CTRL, STATUS, FRAMES_IN, FRAMES_OUT, CYCLES, INTERVAL, LATENCY, PER_PACKET = 0, 4, 8, 0xC, 0x10, 0x18, 0x1C, 0x20
ENABLE, SOFT_RESET, CLEAR = 1, 2, 4


class Bus:
    """AXI4-Lite master with random gaps. Checks that valid and payload hold; `each_cycle` runs before every edge."""

    def __init__(self, seed=0, p=1.0):
        packed = f"{32 * LAYERS}'h{sum(beats << 32 * layer for layer, beats in enumerate(BEATS)):x}"
        parameters = {
            "Ports": PORTS,
            "Layers": LAYERS,
            "BeatsPerFrame": packed,
            "ClockKhz": CLOCK_KHZ,
            "BuildId": f"128'h{BUILD_ID:x}",
        }
        self.pins = Pins("control", parameters)
        self.random = random.Random(seed)
        self.p = p
        self.each_cycle = []
        self.cycle = 0
        for name in ("awvalid", "wvalid", "arvalid", "bready", "rready", "awprot", "arprot"):
            self.pins[f"s_axi_{name}"] = 0
        self.clock(3)
        self.pins["rst_ni"] = 1
        self.clock(2 * LAYERS)  # the counters are being cleared

    def clock(self, cycles=1):
        for _ in range(cycles):
            self.pins.eval()
            for watch in self.each_cycle:
                watch(self.pins)
            held = {c: self.pins[f"s_axi_{c}valid"] and not self.pins[f"s_axi_{c}ready"] for c in "br"}
            data = self.pins["s_axi_rdata"]
            self.pins.clock()
            self.cycle += 1
            if self.pins["rst_ni"]:
                assert all(self.pins[f"s_axi_{channel}valid"] for channel in "br" if held[channel])
                assert not held["r"] or self.pins["s_axi_rdata"] == data

    def _send(self, payloads):
        """Offers channels, each after its own random gap, until all are taken."""
        waiting, offered = dict(payloads), set()
        for _ in range(1000):
            for channel in list(waiting):
                if channel not in offered and self.random.random() < self.p:
                    offered.add(channel)
                    self.pins[f"s_axi_{channel}valid"] = 1
                    for name, value in waiting[channel].items():
                        self.pins[f"s_axi_{name}"] = value
            self.pins.eval()
            taken = [channel for channel in offered if self.pins[f"s_axi_{channel}ready"]]
            self.clock()
            for channel in taken:
                self.pins[f"s_axi_{channel}valid"] = 0
                offered.remove(channel)
                del waiting[channel]
            if not waiting:
                return
        raise TimeoutError(f"{list(waiting)} not taken")

    def _receive(self, channel):
        for _ in range(1000):
            self.pins[f"s_axi_{channel}ready"] = ready = self.random.random() < self.p
            self.pins.eval()
            done = ready and self.pins[f"s_axi_{channel}valid"]
            answer = self.pins[f"s_axi_{channel}resp"], self.pins["s_axi_rdata"]
            self.clock()
            if done:
                self.pins[f"s_axi_{channel}ready"] = 0
                assert answer[0] == 0
                return answer[1]
        raise TimeoutError(f"no answer on {channel}")

    def write(self, address, data, strobe=15):
        self._send({"aw": {"awaddr": address}, "w": {"wdata": data, "wstrb": strobe}})
        self._receive("b")

    def read(self, address):
        self._send({"ar": {"araddr": address}})
        return self._receive("r")

    def pulse(self, **pins):
        for name, value in pins.items():
            self.pins[f"{name}_i"] = value
        self.clock()
        for name in pins:
            self.pins[f"{name}_i"] = 0


@pytest.fixture(params=[1.0, 0.4])
def bus(request):
    return Bus(seed=1, p=request.param)


def test_constants_and_defaults(bus):
    assert bus.read(CTRL) & ENABLE == 0
    assert bus.read(STATUS) == 1
    assert bus.read(PER_PACKET) == 1
    assert bus.read(0x24) == LAYERS
    assert bus.read(0x28) == CLOCK_KHZ
    assert sum(bus.read(0x30 + 4 * i) << 32 * i for i in range(4)) == BUILD_ID
    for address in (0x2C, 0x40 + 4 * PORTS, 0x60, 0x7C, 0x80 + 16 * LAYERS, 0xFFC):
        bus.write(address, 0xFFFFFFFF)
        assert bus.read(address) == 0
    assert bus.read(0x24) == LAYERS


def test_weight_bases_and_strobes(bus):
    values = [bus.random.getrandbits(32) for _ in range(PORTS)]
    for port, value in enumerate(values):
        bus.write(0x40 + 4 * port, value)
    assert [bus.read(0x40 + 4 * port) for port in range(PORTS)] == values
    assert bus.pins["weight_base_o"] == sum(value << 32 * port for port, value in enumerate(values))
    bus.write(0x44, 0xAABBCCDD, strobe=0b0110)
    assert bus.read(0x44) == values[1] & 0xFF0000FF | 0x00BBCC00


def test_address_and_data_in_any_order():
    bus = Bus()
    address, data = {"aw": {"awaddr": 0x40}}, {"w": {"wdata": 5, "wstrb": 15}}
    for first, second in ((address, data), (data, address)):
        bus._send(first)
        bus.clock(7)
        assert not bus.pins["s_axi_bvalid"]
        bus._send(second)
        bus.clock(9)  # back-pressure on b, in which the slave may take one write more and must keep it
        bus._send({"aw": {"awaddr": 0x48}, "w": {"wdata": 77, "wstrb": 15}})
        bus.clock(3)
        assert bus.read(0x48) == 0  # not before its turn
        bus._receive("b")
        bus._receive("b")
        assert bus.read(0x40) == 5
        assert bus.read(0x48) == 77
        bus.write(0x40, 0)
        bus.write(0x48, 0)


def test_enable_and_soft_reset():
    bus = Bus()
    levels = []
    bus.each_cycle.append(lambda pins: levels.append((pins["core_rst_no"], pins["enable_o"])))
    bus.clock(5)
    bus.write(CTRL, ENABLE)
    bus.clock(50)
    # The write response is pending during the whole reset.
    bus._send({"aw": {"awaddr": CTRL}, "w": {"wdata": ENABLE | SOFT_RESET, "wstrb": 15}})
    assert bus.read(CTRL) & 3 == ENABLE | SOFT_RESET
    bus.clock(30)
    bus._receive("b")
    assert bus.read(CTRL) & 3 == ENABLE
    bus.write(CTRL, 0)
    bus.clock(5)
    assert all(reset == enable for reset, enable in levels)
    runs = "".join(str(reset) for reset, _ in levels)
    assert [len(part) for part in runs.strip("0").split("1") if part] == [16]
    assert runs[0] == runs[-1] == "0"


def test_frames_latency_and_interval(bus):
    bus.write(CTRL, ENABLE)
    bus.clock(3)
    starts, ends = [], []

    def enter(length):
        starts.append(bus.cycle)
        bus.pulse(frame_in_start=1)
        bus.clock(length)
        assert bus.read(STATUS) == 0
        bus.pulse(frame_in_done=1)

    def leave():
        ends.append(bus.cycle)
        bus.pulse(frame_out_done=1)

    for _ in range(5):
        enter(bus.random.randrange(9))
    assert bus.read(LATENCY) == bus.read(INTERVAL) == 0
    for finished in range(1, 30):
        leave()
        assert bus.read(FRAMES_OUT) == finished
        assert bus.read(FRAMES_IN) == len(starts)
        assert bus.read(LATENCY) == ends[-1] - starts[finished - 1]
        assert bus.read(INTERVAL) == (ends[-1] - ends[-2] if finished > 1 else 0)
        assert bus.read(STATUS) == (finished == len(starts))
        if len(starts) < 25 or finished == len(starts):
            enter(3)
        bus.clock(bus.random.randrange(40))

    # Lost in a soft reset: idle, but not counted as finished. The next frame starts the measurements anew.
    bus.write(CTRL, ENABLE | SOFT_RESET)
    bus.clock(20)
    assert bus.read(STATUS) == 1
    assert (bus.read(FRAMES_IN), bus.read(FRAMES_OUT)) == (30, 29)
    enter(2)
    leave()
    assert bus.read(LATENCY) == ends[-1] - starts[-1]
    assert bus.read(INTERVAL) == ends[28] - ends[27]
    bus.write(CTRL, ENABLE | CLEAR)
    assert [bus.read(address) for address in (FRAMES_IN, FRAMES_OUT, LATENCY, INTERVAL)] == [0] * 4


def test_cycles():
    bus = Bus()
    enabled = []
    bus.each_cycle.append(lambda pins: enabled.append(pins["core_rst_no"]))
    bus.write(CTRL, ENABLE)
    bus.clock(1000)
    low, high = bus.read(CYCLES), bus.read(CYCLES + 4)
    assert sum(enabled) - 10 <= low <= sum(enabled)
    assert high == 0
    bus.write(CTRL, 0)
    bus.clock(3)
    stopped = bus.read(CYCLES)
    bus.clock(100)
    assert bus.read(CYCLES) == stopped
    assert stopped == sum(enabled)


@pytest.mark.parametrize("per_packet", [0, 1, 3, 4])
def test_packets(per_packet):
    bus = Bus()
    bus.write(CTRL, ENABLE)
    bus.write(PER_PACKET, 2)
    bus.pulse(frame_out_done=1)
    bus.write(PER_PACKET, per_packet)  # starts a packet
    last = []
    for _ in range(13):
        bus.pins.eval()
        last.append(bus.pins["packet_last_o"])
        bus.pulse(frame_out_done=1)
    length = max(per_packet, 1)
    assert last == [frame % length == length - 1 for frame in range(13)]


def test_axi_error():
    bus = Bus()
    bus.pins["error_i"] = 1
    assert bus.read(STATUS) == 3


def layer_counters(bus):
    return [[bus.read(0x80 + 16 * layer + 4 * counter) for counter in range(4)] for layer in range(LAYERS)]


def test_layer_counters():
    bus = Bus(seed=3)
    expected = [[0] * 4 for _ in range(LAYERS)]

    def count(pins):
        valid, ready = pins["layer_valid_i"], pins["layer_ready_i"]
        for layer, counters in enumerate(expected):
            v, r = valid >> layer & 1, ready >> layer & 1
            counters[1] += v and r and pins["core_rst_no"]
            counters[2] += v and not r and pins["core_rst_no"]
            counters[3] += r and not v and pins["core_rst_no"]
            counters[0] = counters[1] // BEATS[layer]

    def run(cycles):
        for _ in range(cycles):
            bus.pins["layer_valid_i"] = bus.random.getrandbits(LAYERS) | 1
            bus.pins["layer_ready_i"] = bus.random.getrandbits(LAYERS)
            bus.clock()
        bus.pins["layer_valid_i"] = bus.pins["layer_ready_i"] = 0

    bus.each_cycle.append(count)
    run(20)  # in reset: counts nothing
    assert layer_counters(bus) == [[0] * 4] * LAYERS
    bus.write(CTRL, ENABLE)
    run(1500)
    bus.clock(2)
    assert layer_counters(bus) == expected
    run(777)
    bus.clock(2)
    assert layer_counters(bus) == expected
    bus.write(CTRL, ENABLE | CLEAR)
    assert bus.read(CTRL) == ENABLE | CLEAR
    bus.clock(2 * LAYERS + 2)
    assert bus.read(CTRL) == ENABLE
    assert layer_counters(bus) == [[0] * 4] * LAYERS


def test_bus_reset_in_the_middle():
    bus = Bus(p=0.5)
    bus._send({"aw": {"awaddr": CTRL}, "w": {"wdata": ENABLE, "wstrb": 15}})
    bus.clock(4)
    assert bus.pins["s_axi_bvalid"]
    bus.pins["rst_ni"] = 0
    bus.clock(2)
    bus.pins["rst_ni"] = 1
    bus.clock()
    assert not bus.pins["s_axi_bvalid"]
    assert bus.read(CTRL) & ENABLE == 0
    bus.write(0x40, 99)
    assert bus.read(0x40) == 99
