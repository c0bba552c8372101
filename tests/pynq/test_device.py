"""The simulated PYNQ device: what pynq finds in its hand-off, and the registers of the DMA against Xilinx PG021."""

import gc

import numpy as np
import pynq
import pytest
from pynq.lib.dma import DMA
from pynq.ps import Clocks

from deploy.package import Package
from deploy.platforms.pynq_device import CMA, CYCLES_PER_READ, PynqDevice

from .conftest import PACKAGES

ENABLE = 1
MM2S, S2MM = 0x00, 0x30
DMACR, DMASR, LENGTH = 0x00, 0x04, 0x28


@pytest.fixture
def device(folder):
    return PynqDevice(Package.load(folder))


@pytest.fixture
def overlay(device):
    return pynq.Overlay(str(device.package.path("accelerator.bit")), device=device, download=False)


@pytest.fixture
def samples(device):
    """Images and golden logits."""
    images, _, golden = device.package.samples()
    return images, golden


def buffer_of(device, values):
    buffer = pynq.allocate(values.shape, values.dtype, target=device)
    buffer[:] = values
    return buffer


def configure(overlay):
    """Puts the weights where the accelerator reads them, and two frames into a packet; returns a buffer to be kept."""
    device, registers = overlay.device, overlay.accelerator.register_map
    weights = buffer_of(device, np.frombuffer(device.package.weights(), np.uint8))
    weights.flush()
    for index, region in enumerate(device.package.regions):
        setattr(registers, f"WEIGHT_BASE_{index}", weights.device_address + region.offset)
    registers.FRAMES_PER_PACKET = 2
    return weights


def start(overlay, images):
    """Configures and enables the accelerator, and sends it images; returns buffers to be kept."""
    weights, pixels = configure(overlay), buffer_of(overlay.device, images)
    overlay.accelerator.register_map.CTRL = ENABLE
    overlay.dma.sendchannel.transfer(pixels)
    return weights, pixels


# the hand-off


def test_the_overlay_has_the_cells_of_the_block_design(overlay):
    assert set(overlay.ip_dict) == {"ps", "dma", "accelerator"}
    assert isinstance(overlay.dma, DMA) and type(overlay.accelerator) is pynq.DefaultIP
    for name, place in (("dma", (0x4040_0000, 0x1_0000)), ("accelerator", (0x43C0_0000, 0x1000))):
        assert (overlay.ip_dict[name]["phys_addr"], overlay.ip_dict[name]["addr_range"]) == place
    assert overlay.dma.buffer_max_size == (1 << 26) - 1
    assert (overlay.dma.sendchannel._align, overlay.dma.recvchannel._align) == (8, 8)


def test_registers_of_the_accelerator_by_name(overlay, device):
    registers, package = overlay.accelerator.register_map, device.package
    found = sum(int(getattr(registers, f"BUILD_ID_{word}")) << 32 * word for word in range(4))
    assert found == int(package.build_id, 16)
    assert int(registers.LAYERS) == len(package.layers) and int(registers.CLOCK_KHZ) == 100_000
    registers.CTRL = ENABLE
    assert int(registers.CTRL) == overlay.accelerator.read(0) == device.accelerator.read(0) == ENABLE
    assert int(getattr(registers, f"LAYER_{len(package.layers) - 1}_FRAMES")) == 0


def test_download_sets_the_clock_and_powers_up(device):
    device.accelerator.write(device.package.registers["CTRL"], ENABLE)
    overlay = pynq.Overlay(str(device.package.path("accelerator.bit")), device=device)
    assert overlay.is_loaded() and not overlay.accelerator.read(0) & ENABLE
    assert Clocks.fclk0_mhz == device.package.clock_mhz


@pytest.mark.parametrize(("name", "mhz"), [("chip", 100), ("pll", 62.5)])
def test_the_clock_is_what_the_divisors_make_of_the_board_s_pll(name, mhz):
    """The fault of a design that took the PLL for another shows, in the clock and in all times."""
    device = PynqDevice(Package.load(PACKAGES / name))
    dma = pynq.Overlay(str(device.package.path("accelerator.bit")), device=device).dma
    assert Clocks.fclk0_mhz == device.clock_mhz == mhz
    before = device.seconds()
    dma.read(MM2S + DMASR)
    assert device.seconds() - before == pytest.approx(CYCLES_PER_READ / (mhz * 1e6))


def test_time_goes_on_when_the_clock_changes(device, overlay):
    dma, times = overlay.dma, []
    for mhz in (100, 100, 50, 125):
        Clocks.fclk0_mhz = mhz
        dma.read(MM2S + DMASR)
        times.append(device.seconds())
    np.testing.assert_allclose(np.diff(times), CYCLES_PER_READ / (1e6 * np.array([100, 50, 125])))


def test_nothing_answers_elsewhere(overlay, device):
    with pytest.raises(RuntimeError, match="nothing answers at 0x43c01000"):
        pynq.MMIO(0x43C0_1000, 4, device=device).read(0)


# the DMA


def test_registers_after_reset(device, overlay):
    dma = overlay.dma
    for channel in (MM2S, S2MM):
        assert (dma.read(channel + DMACR), dma.read(channel + DMASR)) == (0x10003, 0)  # started by pynq
    dma.write(S2MM + DMACR, 4)
    for channel in (MM2S, S2MM):  # the reset of one is that of both
        assert (dma.read(channel + DMACR), dma.read(channel + DMASR)) == (0x10002, 1)


def test_a_halted_channel_ignores_its_length(overlay, device):
    overlay.dma.sendchannel.stop()
    overlay.dma.write(MM2S + LENGTH, 64)
    assert overlay.dma.read(MM2S + LENGTH) == 0 and overlay.dma.read(MM2S + DMASR) == 1


def test_a_read_of_a_register_takes_time(overlay, device):
    dma = overlay.dma
    before = device.accelerator.cycles
    dma.read(MM2S + DMASR)
    assert device.accelerator.cycles == before + CYCLES_PER_READ


def test_a_packet_ends_the_transfer(overlay, device, samples):
    images, golden = samples
    kept = start(overlay, images[:4])
    for first in (0, 2):
        logits = buffer_of(device, np.full((3, 10), -1, np.int32))
        logits.flush()
        overlay.dma.recvchannel.transfer(logits)
        overlay.dma.recvchannel.wait()
        np.testing.assert_array_equal(logits[:2], golden[first : first + 2])
        assert (logits[2] == -1).all() and overlay.dma.recvchannel.transferred == 80
        assert overlay.dma.read(S2MM + DMASR) == 0x1002
        overlay.dma.recvchannel._clear_interrupt()
        assert overlay.dma.read(S2MM + DMASR) == 2
    overlay.dma.sendchannel.wait()
    assert len(kept) == 2


def test_a_packet_without_room_is_an_internal_error(overlay, device, samples):
    kept = start(overlay, samples[0][:4])
    logits = buffer_of(device, np.zeros((1, 10), np.int32))
    overlay.dma.recvchannel.transfer(logits)
    while not overlay.dma.recvchannel.error:
        pass
    assert overlay.dma.read(S2MM + DMASR) == 0x4011 and not overlay.dma.recvchannel.running
    overlay.dma.write(S2MM + DMACR, 1)
    assert not overlay.dma.recvchannel.running  # until reset
    overlay.dma.write(MM2S + DMACR, 4)
    overlay.dma.recvchannel.start()
    assert overlay.dma.read(S2MM + DMASR) == 0 and len(kept) == 2


@pytest.mark.parametrize("change", [-8, 8, 0x1000_0000])
def test_a_transfer_outside_of_a_buffer_is_a_decode_error(overlay, device, change):
    pixels = buffer_of(device, np.zeros(64, np.uint8))
    pixels.device_address += change
    overlay.dma.sendchannel.transfer(pixels)
    assert overlay.dma.read(MM2S + DMASR) == 0x4041 and overlay.dma.sendchannel.error
    with pytest.raises(RuntimeError, match="not started"):  # all that pynq's own wait says of it
        overlay.dma.sendchannel.wait()


def test_pynq_refuses_a_second_transfer(overlay, device):
    """As on a board: the accelerator is in reset and takes nothing."""
    pixels = buffer_of(device, np.zeros(64, np.uint8))
    overlay.dma.sendchannel.transfer(pixels)
    with pytest.raises(RuntimeError, match="not idle"):
        overlay.dma.sendchannel.transfer(pixels)


def test_images_are_read_when_they_are_taken(overlay, device, samples):
    """Not when the transfer begins: what is flushed over them meanwhile is what the accelerator gets."""
    images, golden = samples
    weights, pixels = configure(overlay), buffer_of(device, images[:2])
    overlay.dma.sendchannel.transfer(pixels)  # the accelerator is in reset
    pixels[:] = images[2:4]
    pixels.flush()
    overlay.accelerator.register_map.CTRL = ENABLE
    logits = buffer_of(device, np.zeros((2, 10), np.int32))
    overlay.dma.recvchannel.transfer(logits)
    overlay.dma.recvchannel.wait()
    np.testing.assert_array_equal(logits, golden[2:4])
    assert weights.device_address


# memory


def test_memory_of_the_device_is_apart_from_that_of_the_process(device):
    first, second = (buffer_of(device, np.full(5000, value, np.uint8)) for value in (1, 2))
    addresses = [buffer.device_address for buffer in (first, second)]
    assert (
        addresses[0] == CMA
        and all(address % 4096 == 0 for address in addresses)
        and addresses[1] - addresses[0] >= 5000
    )
    memory = device.memory.bytes
    assert not memory[CMA : CMA + 16384].any()
    second.flush()
    assert (memory[addresses[1] : addresses[1] + 5000] == 2).all() and not memory[
        addresses[0] : addresses[0] + 5000
    ].any()
    memory[addresses[0] : addresses[0] + 5000] = 3
    assert (first == 1).all()
    first[100:200].invalidate()
    assert (first[100:200] == 3).all() and (first[:100] == 1).all() and (first[200:] == 1).all()


@pytest.mark.parametrize("way", ["freebuffer", "garbage"])
def test_a_freed_buffer_is_gone(device, way):
    buffer = buffer_of(device, np.ones(64, np.uint8))
    address = buffer.device_address
    buffer.flush()
    assert device.memory.find(address, 64) is not None
    if way == "freebuffer":
        buffer.freebuffer()
        buffer.freebuffer()
    del buffer
    gc.collect()
    assert device.memory.find(address, 64) is None and (device.memory.bytes[address : address + 64] == 0xA5).all()
    assert pynq.allocate((64,), np.uint8, target=device).device_address != address
