"""The driver's board platform under the real pynq, on a simulated device: every logit, and one clear error a fault."""

import importlib.util
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pynq
import pytest

from deploy import Accelerator, DeviceError, PackageError, TransferTimeout
from deploy.__main__ import main
from deploy.accelerator import FRAMES_INSIDE, PATIENCE
from deploy.measure import latency, throughput_test, validate
from deploy.package import Package
from deploy.platforms import board, lock
from deploy.platforms.board import Board
from deploy.platforms.pynq_device import INTERNAL_ERROR, IO_PLL, SLCR, PynqDevice, ReceiveChannel, SendChannel
from deploy.platforms.simulated import SimulatedBoard as PlainBoard

from .boards import SimulatedBoard, opened
from .conftest import PACKAGES


@pytest.fixture(scope="module")
def samples(folder):
    """Images and golden logits."""
    images, _, golden = Package.load(folder).samples()
    return images, golden


def test_the_driver_needs_numpy_and_pynq_only():
    assert [name for name in ("torch", "onnx", "qonnx", "brevitas", "flow.graph") if name in sys.modules] == []
    assert [name for name in ("torch", "onnx", "qonnx", "brevitas") if importlib.util.find_spec(name)] == []


# right logits


def test_every_logit_of_every_sample(any_folder):
    with opened(any_folder) as accelerator:
        images, _, golden = accelerator.package.samples()
        np.testing.assert_array_equal(accelerator.execute(images), golden)
        assert validate(accelerator, len(images))["mismatches"] == 0


@pytest.mark.parametrize("batch", [64, 8, 1])
def test_batches_of_any_size_in_any_order(folder, samples, batch):
    images, golden = samples
    with opened(folder, batch=batch) as accelerator:
        for count in (7, 64, 1, 2, 64, 2, 7, 1):
            np.testing.assert_array_equal(accelerator.execute(images[:count]), golden[:count])


def test_the_same_images_fifty_times(any_folder):
    rng = np.random.default_rng(0)
    with opened(any_folder) as accelerator:
        images, _, golden = accelerator.package.samples()
        for _ in range(50):
            chosen = rng.permutation(7)
            np.testing.assert_array_equal(accelerator.execute(images[chosen]), golden[chosen])


def test_cycles_are_those_of_the_plain_simulation(any_folder):
    package = Package.load(any_folder)
    images = package.samples()[0]
    found = {}
    with opened(any_folder) as board, Accelerator(package, PlainBoard(package), batch=8) as plain:
        for count in (1, 8):
            for accelerator in (board, plain):
                accelerator.execute(images[:count])
                found[accelerator, count] = (
                    accelerator.latency_cycles(),
                    accelerator.interval_cycles() if count > 1 else None,
                )
        for count in (1, 8):
            assert found[board, count] == found[plain, count]


# one board


def test_another_build_is_refused_before_the_first_frame(folder, samples):
    package = Package.load(folder)
    device = PynqDevice(package)
    other = Package(**{**vars(package), "build_id": "f" * 32})
    with pytest.raises(PackageError, match=f"of build {package.build_id}, the package of ffff"):
        Accelerator(other, SimulatedBoard(other, device))
    assert device.accelerator.read(package.registers["FRAMES_IN"]) == 0 and device.memory.find(0x1800_0000, 1) is None
    images, golden = samples
    with Accelerator(package, SimulatedBoard(package, device)) as accelerator:  # its lock is free again
        np.testing.assert_array_equal(accelerator.execute(images[:2]), golden[:2])


def test_two_processes(folder):
    script = f"""
import os, pathlib
from deploy.platforms import lock
from tests.pynq.boards import opened
lock.LOCK, os.geteuid = pathlib.Path({str(lock.LOCK)!r}), lambda: 0
with opened({str(folder)!r}) as accelerator:
    print(accelerator.execute(accelerator.package.samples()[0][:1]).tolist())
"""
    with opened(folder) as accelerator:
        logits = accelerator.execute(accelerator.package.samples()[0][:1]).tolist()
        second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert second.returncode != 0 and "another process uses the accelerator" in second.stderr
    after = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert json.loads(after.stdout) == logits, after.stderr


def test_closing_stops_it_and_frees_its_memory(folder, samples):
    images, golden = samples
    with opened(folder) as accelerator:
        np.testing.assert_array_equal(accelerator.execute(images[:2]), golden[:2])
        device = accelerator.platform.device
        inside = [buffer.device_address for buffer in accelerator.platform._buffers]
        assert len(inside) == 5 and all(device.memory.find(address, 1) is not None for address in inside)
    assert all(device.memory.find(address, 1) is None for address in inside)
    assert device.accelerator.read(accelerator.package.registers["CTRL"]) == 0


def test_without_a_device_the_message_says_so(folder, capsys):
    code = main(["validate", "--platform", "board", "--package", str(folder)])
    assert code == 1 and "is this a PYNQ board" in capsys.readouterr().err


def test_without_root_the_message_says_so(folder, capsys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lock.LOCK.unlink(missing_ok=True)
    code = main(["validate", "--platform", "board", "--package", str(folder)])
    assert code == 1 and "only root may use the board's hardware: become root by sudo -i" in capsys.readouterr().err
    assert not lock.LOCK.exists()


# its clock


@pytest.mark.parametrize("times", [20, 32])
@pytest.mark.parametrize("name", ["chip", "pll"])
def test_the_clock_is_the_planned_one_whatever_the_plls(name, times):
    """The design's PLL is 1,000 or 1,600 MHz, and the board's too."""
    package = Package.load(PACKAGES / name)
    device = PynqDevice(package)
    device.write_registers(SLCR + IO_PLL, (times << 12).to_bytes(4, "little"))
    with Accelerator(package, SimulatedBoard(package, device)) as accelerator:
        assert accelerator.platform.clock_mhz == device.clock_mhz == package.clock_mhz
        before, cycles = device.seconds(), device.accelerator.cycles
        accelerator.execute(package.samples()[0][:4])
        passed = (device.accelerator.cycles - cycles) / (package.clock_mhz * 1e6)
        assert device.seconds() - before == pytest.approx(passed)


@pytest.mark.parametrize("mhz", [76.923, 125, 142.857, 166.667])
def test_other_clocks_of_the_board(folder, mhz):
    package = Package(**{**vars(Package.load(folder)), "clock_mhz": mhz})
    platform = Board(package, PynqDevice(package))
    platform.close()
    assert [platform.clock_mhz, platform.device.clock_mhz] == pytest.approx([mhz, mhz], rel=1e-5)


@pytest.mark.parametrize(("times", "message"), [(33, "103.125 MHz"), (3, "150 MHz")])
def test_a_clock_that_the_board_does_not_make(folder, times, message):
    package = Package.load(folder)
    device = PynqDevice(package)
    device.write_registers(SLCR + IO_PLL, (times << 12).to_bytes(4, "little"))
    with pytest.warns(UserWarning, match="closest"), pytest.raises(DeviceError, match=f"100 MHz, and .* is {message}"):
        Board(package, device)
    device.write_registers(SLCR + IO_PLL, (20 << 12).to_bytes(4, "little"))
    Board(package, device).close()  # its lock is free again


def test_times_are_of_the_clock_that_was_read_back(folder, samples, monkeypatch):
    """A board within the tolerance: milliseconds, rates and limits are not those of the plan."""
    package = Package.load(folder)
    device = PynqDevice(package)
    device.write_registers(SLCR + IO_PLL, (33 << 12).to_bytes(4, "little"))  # 33 * 50 / 16 = 103.1
    monkeypatch.setattr(board, "CLOCK_TOLERANCE", 0.05)
    with pytest.warns(UserWarning, match="closest"):
        platform = SimulatedBoard(package, device)
    with Accelerator(package, platform, batch=4) as accelerator:
        result = latency(accelerator, 2)
        assert result["fclk[mhz]"] == 103.125
        cycles = result["accelerator[cycles]"]["min"]
        assert result["accelerator[ms]"]["min"] == pytest.approx(cycles / 103_125, abs=1e-6)
        frames = 4 + FRAMES_INSIDE
        limit = PATIENCE * frames * package.cycles_per_frame / 103.125e6 + platform.slack
        assert accelerator._limit(4) == pytest.approx(limit)
        result = throughput_test(accelerator, 8)
        assert result["fclk[mhz]"] == 103.125


@pytest.mark.parametrize(
    "error", [RuntimeError("Unable to parse metadata"), PermissionError("Root permissions required.")]
)
def test_an_overlay_that_does_not_load(folder, error, monkeypatch):
    package = Package.load(folder)
    device = PynqDevice(package)

    def fail(*_):
        raise error

    with monkeypatch.context() as patch, pytest.raises(DeviceError, match=f"{error}.*are you root"):
        patch.setattr(device, "read_registers", fail)
        Board(package, device)
    Board(package, device).close()  # its lock is free again


def test_a_batch_too_large(folder):
    package = Package.load(folder)
    platform = SimulatedBoard(package, PynqDevice(package))
    with pytest.raises(DeviceError, match="67108864 bytes are more than the DMA moves at once.*lower the batch"):
        platform.allocate((1 << 26,), np.uint8)
    kept = [platform.allocate((1 << 25,), np.uint8) for _ in range(4)]
    with pytest.raises(DeviceError, match="the board has no 1 bytes.*lower the batch"):
        platform.allocate((1,), np.uint8)
    assert len({buffer.device_address for buffer in kept}) == 4
    platform.close()


# transfers that fail


class Starved(SimulatedBoard):
    """Sends half of the images."""

    def send(self, buffer, frames):
        super().send(buffer, frames // 2)


class Stopped(SimulatedBoard):
    """The accelerator is put into reset when the first pixels come."""

    def send(self, buffer, frames):
        super().send(buffer, frames)
        self.write(0, 0)


class LongPacket(SimulatedBoard):
    """The accelerator gives a frame more before TLAST than there is room for."""

    def receive(self, buffer, frames):
        self.write(0x20, frames + 1)
        super().receive(buffer, frames)


class ShortPacket(SimulatedBoard):
    """The accelerator gives TLAST after half of the frames."""

    def receive(self, buffer, frames):
        self.write(0x20, frames // 2)
        super().receive(buffer, frames)


class Halted(SimulatedBoard):
    """The DMA has stopped when it is to receive."""

    def receive(self, buffer, frames):
        self.dma.recvchannel.stop()
        super().receive(buffer, frames)


@pytest.mark.parametrize(
    "kind, error, message",
    [
        (Starved, TransferTimeout, r"logits were not received within .* it took 2 frames and gave 2"),
        (Stopped, TransferTimeout, r"images were not sent within .* it took 0 frames and gave 0"),
        (ShortPacket, DeviceError, "a packet of 80 bytes of logits came, not of 160"),
        (Halted, DeviceError, r"does not begin a transfer of 160 bytes \(DMA channel not started\)"),
        (LongPacket, DeviceError, r"DMASR are 0x1002 \(images\) and 0x5011 \(logits\)"),
    ],
)
def test_a_transfer_that_fails(folder, samples, kind, error, message):
    images, golden = samples
    with opened(folder, batch=4) as accelerator:
        platform = accelerator.platform
        np.testing.assert_array_equal(accelerator.execute(images[:4]), golden[:4])
        accelerator.clear_counters()
        limit, before = accelerator._limit(4), platform.seconds()
        platform.__class__ = kind
        with pytest.raises(error, match=message + ".*the next call starts afresh"):
            accelerator.execute(images[:4])
        waited = platform.seconds() - before
        assert limit < waited < 3 * limit if error is TransferTimeout else waited < limit
        platform.__class__ = SimulatedBoard
        np.testing.assert_array_equal(accelerator.execute(images[:10]), golden[:10])


def test_a_transfer_that_ends_with_an_error_has_failed(folder, samples, monkeypatch):
    """Idle and an error at once, as PG021 allows: the logits are not to be trusted."""
    images, golden = samples

    def complete(channel):
        SendChannel.complete(channel)
        channel.events |= INTERNAL_ERROR

    with opened(folder, batch=4) as accelerator:
        with monkeypatch.context() as patch, pytest.raises(DeviceError, match=r"0x1002 \(images\) and 0x1012 \(logits"):
            patch.setattr(ReceiveChannel, "complete", complete)
            accelerator.execute(images[:4])
        np.testing.assert_array_equal(accelerator.execute(images[:4]), golden[:4])


@pytest.mark.parametrize("buffers, message", [("_inputs", "0x5041.* 0x1000"), ("_outputs", "0x100[02].* 0x5041")])
def test_a_transfer_outside_of_all_buffers(folder, samples, buffers, message, monkeypatch):
    images, golden = samples
    with opened(folder) as accelerator:
        np.testing.assert_array_equal(accelerator.execute(images[:4]), golden[:4])
        with monkeypatch.context() as patch, pytest.raises(DeviceError, match=f"DMASR are {message}.*the next call"):
            patch.setattr(getattr(accelerator, buffers)[0], "device_address", 0x2000_0000)
            accelerator.execute(images[:4])
        np.testing.assert_array_equal(accelerator.execute(images[:10]), golden[:10])


def test_a_receiver_that_halts_is_seen_while_images_are_sent(folder, samples, monkeypatch):
    """Long before the time-out: the accelerator takes no more images, so they are never all sent."""
    images, golden = samples
    with opened(folder, batch=64) as accelerator:
        before = accelerator.platform.seconds()
        with monkeypatch.context() as patch, pytest.raises(DeviceError, match="0x0 .* 0x4041"):
            patch.setattr(accelerator._outputs[0], "device_address", 0x2000_0000)
            accelerator.execute(images)
        assert accelerator.platform.seconds() - before < accelerator._limit(64) / 10
        np.testing.assert_array_equal(accelerator.execute(images), golden)


def test_ctrl_c_leaves_nothing_behind(folder, samples, monkeypatch):
    """Another one, while the transfers are stopped, waits for that."""
    images, golden = samples
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which jobs in the background of a shell ignore
    with opened(folder, batch=4) as accelerator:
        channels, stopped = accelerator.platform.device.dma.channels.values(), []

        def interrupted(seconds):
            signal.raise_signal(signal.SIGINT)

        def once_more():
            signal.raise_signal(signal.SIGINT)
            SimulatedBoard.abort(accelerator.platform)
            stopped.extend(not channel.active for channel in channels)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(accelerator.platform, "wait_sent", interrupted)
            patch.setattr(accelerator.platform, "abort", once_more)
            accelerator.execute(images[:10])
        assert stopped == [True, True]
        np.testing.assert_array_equal(accelerator.execute(images[:10]), golden[:10])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_stops_the_transfers_first(folder, samples, number, monkeypatch):
    images, golden = samples
    with opened(folder, batch=4) as accelerator:
        channels = accelerator.platform.device.dma.channels.values()
        begun = []

        def signalled(seconds):
            begun.extend(channel.active for channel in channels)
            os.kill(os.getpid(), number)
            pytest.fail("it went on")

        def once_more():
            os.kill(os.getpid(), number)  # is ignored: what the first began is finished
            SimulatedBoard.abort(accelerator.platform)

        with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
            patch.setattr(accelerator.platform, "wait_sent", signalled)
            patch.setattr(accelerator.platform, "abort", once_more)
            accelerator.execute(images[:10])
        assert stop.value.code == 128 + number and signal.getsignal(number) == signal.SIG_DFL
        assert begun == [True, True] and not any(channel.active for channel in channels)
        np.testing.assert_array_equal(accelerator.execute(images[:10]), golden[:10])


def test_transfers_that_a_killed_process_left_are_stopped(folder, samples):
    images, golden = samples
    package = Package.load(folder)
    device = PynqDevice(package)
    killed = SimulatedBoard(package, device)
    killed.receive(killed.allocate((8, 10), np.int32), 8)
    killed.send(killed.allocate(images[:8].shape, np.uint8), 8)
    os.close(killed._lock)
    with Accelerator(package, SimulatedBoard(package, device, download=False), batch=4) as accelerator:
        np.testing.assert_array_equal(accelerator.execute(images[:10]), golden[:10])


# caches and weights


def nothing(*_):
    pass


@pytest.mark.parametrize("forgotten", ["flush", "invalidate"])
def test_without_a_flush_or_an_invalidate_data_are_stale(folder, samples, forgotten, monkeypatch):
    images, golden = samples
    with opened(folder) as accelerator:
        np.testing.assert_array_equal(accelerator.execute(images[:4]), golden[:4])
        with monkeypatch.context() as patch:
            patch.setattr(PynqDevice, forgotten, nothing)
            np.testing.assert_array_equal(accelerator.execute(images[4:8]), golden[:4])
        np.testing.assert_array_equal(accelerator.execute(images[4:8]), golden[4:8])


def test_without_a_flush_the_weights_are_wrong(folder, samples, monkeypatch):
    images, golden = samples
    package = Package.load(folder)
    platform = SimulatedBoard(package, PynqDevice(package))
    with monkeypatch.context() as patch:
        patch.setattr(PynqDevice, "flush", nothing)
        accelerator = Accelerator(package, platform)
    with accelerator:
        assert (accelerator.execute(images[:4]) != golden[:4]).any()


def test_weights_are_read_where_weight_base_says(folder, samples):
    images, golden = samples
    with opened(folder) as accelerator:
        platform, package = accelerator.platform, accelerator.package
        memory = platform.device.memory.bytes
        base = platform.read(package.registers["WEIGHT_BASE"])
        assert bytes(memory[base : base + len(package.weights())]) == package.weights()
        memory[base + package.regions[0].offset] ^= 0xFF
        assert (accelerator.execute(images) != golden).any()
        memory[base + package.regions[0].offset] ^= 0xFF
        assert (accelerator.execute(images) != golden).any()  # weights of the next frames were fetched before

        accelerator._start()  # forgets them, and puts a second copy in another place
        assert platform.read(package.registers["WEIGHT_BASE"]) != base
        memory[base : base + len(package.weights())] = 0
        np.testing.assert_array_equal(accelerator.execute(images), golden)
        platform._buffers[-1].freebuffer()
        assert (accelerator.execute(images) != golden).any()


# measurements and the command line


def test_measurements_have_their_fields(folder):
    with opened(folder) as accelerator:
        result = throughput_test(accelerator, 20)
        names = {
            "batch_size",
            "runtime[ms]",
            "throughput[images/s]",
            "DRAM_in_bandwidth[MB/s]",
            "DRAM_out_bandwidth[MB/s]",
        }
        assert names <= result.keys() and result["platform"] == "board" and result["fclk[mhz]"] == 100
        assert result["throughput[images/s]"] == pytest.approx(20e3 / result["runtime[ms]"])
        result = latency(accelerator, 3)
        assert {"accelerator[cycles]", "accelerator[ms]", "packing[ms]", "transfer[ms]", "total[ms]"} <= result.keys()
        assert result["accelerator[cycles]"]["median"] == accelerator.latency_cycles()


def test_validate_of_the_command_line(any_folder, capsys, monkeypatch):
    """Nothing is given to the board: it takes pynq's active device, and downloads."""
    device = PynqDevice(Package.load(any_folder))
    monkeypatch.setattr(pynq.Device, "_active_device", device, raising=False)
    monkeypatch.setattr(Board, "seconds", lambda _: device.seconds())
    code = main(["validate", "--platform", "board", "--package", str(any_folder), "--images", "20"])
    result = json.loads(capsys.readouterr().out)
    assert code == 0 and (result["platform"], result["images"], result["mismatches"]) == ("board", 20, 0)
