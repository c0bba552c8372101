"""The driver on a simulated board: right on every image in any order, and one clear error for each mistake."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from stat import S_IWGRP, S_IWOTH

import numpy as np
import pytest

import deploy.platforms
from deploy import Accelerator, DeployError, DeviceError, PackageError, TransferTimeout
from deploy.__main__ import main
from deploy.measure import latency, single_frames, spread
from deploy.package import CHECKSUM, Package, settings_text
from deploy.platforms import lock
from deploy.platforms.lock import lock_board
from deploy.platforms.simulated import SimulatedBoard
from deploy.signals import ending_signals_raise
from deploy.trust import note_simulator, own_simulators
from flow.sim.rtl import RtlAccelerator
from tests.deploy.packages import IMAGES, emit_small, golden_logits, make_package


@pytest.fixture(scope="module")
def golden():
    return golden_logits()


@pytest.fixture(scope="module")
def rtl(tmp_path_factory):
    return emit_small(tmp_path_factory.mktemp("rtl") / "small")


@pytest.fixture(scope="module")
def package(rtl, tmp_path_factory):
    return make_package(rtl, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def accelerator(package):
    with Accelerator(package, "sim", batch=8) as accelerator:
        yield accelerator


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 17, 64])
def test_batches_of_any_size(accelerator, golden, count):
    np.testing.assert_array_equal(accelerator.execute(IMAGES[:count]), golden[:count])


def test_the_same_images_fifty_times_in_any_order(accelerator, golden):
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = rng.permutation(64)[: rng.choice([1, 2, 7])]
        np.testing.assert_array_equal(accelerator.execute(IMAGES[chosen]), golden[chosen])


def test_classes(accelerator, golden):
    np.testing.assert_array_equal(accelerator.predict(IMAGES[:5]), golden[:5].argmax(axis=1))


@pytest.mark.parametrize(
    "images, message",
    [
        (IMAGES[:2].astype(np.float32), "not float32"),
        (IMAGES[:2].transpose(0, 3, 1, 2), "channels first"),
        (IMAGES[0], r"images\[None\]"),
        (IMAGES[:0], "N of 1 or more"),
        (IMAGES[:2, :4], r"not \[2, 4, 8, 3\]"),
    ],
)
def test_wrong_images(accelerator, golden, images, message):
    with pytest.raises(DeployError, match=message):
        accelerator.execute(images)
    np.testing.assert_array_equal(accelerator.execute(IMAGES[:2]), golden[:2])


class Stuck(SimulatedBoard):
    """Loses what is sent, or never wants logits, while ``stuck`` says so."""

    stuck = None

    def send(self, buffer, frames):
        super().send(buffer, frames // 2 if self.stuck == "send" else frames)

    def receive(self, buffer, frames):
        super().receive(buffer, frames)
        if self.stuck == "receive":
            self.device.queue_logits(0)
            self._received = buffer[:frames]

    def wait_received(self, seconds):
        if self.stuck == "receive":
            raise TransferTimeout("the logits were not received within 1 s")
        super().wait_received(seconds)


@pytest.mark.parametrize("way", ["send", "receive"])
def test_a_transfer_that_never_ends(package, golden, way):
    platform = Stuck(Package.load(package))
    accelerator = Accelerator(package, platform, batch=4)
    platform.stuck = way
    with pytest.raises(
        TransferTimeout, match=r"not received.*it took \d frames and gave \d.*the next call starts afresh"
    ):
        accelerator.execute(IMAGES[:10])
    platform.stuck = None
    np.testing.assert_array_equal(accelerator.execute(IMAGES[:10]), golden[:10])


def test_ctrl_c_leaves_nothing_behind(package, golden, monkeypatch):
    accelerator = Accelerator(package, "sim", batch=4)
    platform, calls = accelerator.platform, []

    def interrupted(seconds):
        calls.append(seconds)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(platform, "wait_received", interrupted)
        accelerator.execute(IMAGES[:10])
    assert len(calls) == 1
    np.testing.assert_array_equal(accelerator.execute(IMAGES[:10]), golden[:10])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_leaves_the_accelerator_stopped(package, number):
    script = f"""
import os
import signal
from deploy import Accelerator
from tests.deploy.packages import IMAGES
signal.signal({int(number)}, signal.SIG_DFL)  # nohup ignores SIGHUP
with Accelerator({str(package)!r}, "sim", batch=4) as accelerator:
    platform, abort = accelerator.platform, accelerator.platform.abort
    platform.wait_received = lambda seconds: os.kill(os.getpid(), {number})
    platform.abort = lambda: (abort(), print("aborted, CTRL", accelerator.registers.read("CTRL")))
    accelerator.execute(IMAGES[:10])
    print("went on")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (128 + number, "aborted, CTRL 0\n", "")


def test_signals_that_are_handled_stay_so():
    def handler(number, _):
        seen.append(number)

    seen, before = [], signal.signal(signal.SIGTERM, handler)
    try:
        with ending_signals_raise():
            os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGTERM] and signal.getsignal(signal.SIGTERM) == handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_signals_are_left_alone(accelerator, golden):
    found = []
    thread = threading.Thread(target=lambda: found.append(accelerator.execute(IMAGES[:3])))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], golden[:3])


@pytest.fixture
def copy(package, tmp_path):
    return shutil.copytree(package, tmp_path / "copy")


def change_settings(folder, **changes):
    """Write settings as another build would have written them."""
    path = folder / "settings.json"
    settings = json.loads(path.read_text())
    del settings[CHECKSUM]
    path.write_text(settings_text({**settings, **changes}))


@pytest.mark.parametrize("changes", [{"clock_mhz": 999}, {"cycles_per_frame": 1}, {"registers": {}}, {"more": 1}])
def test_edited_settings_are_refused(copy, changes):
    path = copy / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(PackageError, match="settings.json is not what was built: its checksum is another one"):
        Accelerator(copy, "sim")


@pytest.mark.parametrize(
    "changes", [{"classes": "x"}, {"clock_mhz": -1}, {"streams": 1 << 40}, {"image": [8, 8]}, {"files": {"../x": ""}}]
)
def test_impossible_settings_are_refused(copy, changes):
    change_settings(copy, **changes)
    with pytest.raises(PackageError, match="settings.json cannot be read"):
        Accelerator(copy, "sim")


def test_a_simulator_of_somebody_else_is_not_loaded(package, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(DeployError, match="was not built by you here, and it is a program"):
        Accelerator(package, "sim")
    digest = json.loads((package / "settings.json").read_text())["files"]["sim/model.so"]
    note_simulator(digest)
    Accelerator(package, "sim").close()
    own_simulators().chmod(0o777)  # others could have noted it
    with pytest.raises(DeployError, match="was not built by you"):
        Accelerator(package, "sim")
    monkeypatch.setenv("POPBIN_TRUST", "1")
    Accelerator(package, "sim").close()


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["ddr_weights.bin", "sim/model.so", "samples.npz"])
def test_a_damaged_file_is_named(copy, name):
    flip(copy / name)
    with pytest.raises(PackageError, match=f"{name} is damaged"):
        Accelerator(copy, "sim").package.samples()


def test_a_memory_of_the_simulator_is_checked(copy):
    flip(next((copy / "sim").glob("*.hex")))
    with pytest.raises(PackageError, match=r"\.hex is damaged"):
        Accelerator(copy, "sim")


def test_a_missing_file_and_a_missing_package(copy, tmp_path):
    (copy / "ddr_weights.bin").unlink()
    with pytest.raises(PackageError, match="ddr_weights.bin cannot be read"):
        Accelerator(copy, "sim")
    with pytest.raises(PackageError, match="there is no settings.json"):
        Accelerator(tmp_path / "nowhere", "sim")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 99}'])
def test_damaged_settings(copy, text):
    (copy / "settings.json").write_text(text)
    with pytest.raises(PackageError, match="settings.json"):
        Accelerator(copy, "sim")


def test_another_build_on_the_device(copy):
    change_settings(copy, build_id="f" * 32)
    with pytest.raises(PackageError, match="of build 0123456789abcdeffedcba9876543210, the package of ffff"):
        Accelerator(copy, "sim")


def test_no_simulator_and_no_board(copy):
    change_settings(copy, files={})
    with pytest.raises(DeviceError, match="has no simulator"):
        Accelerator(copy, "sim")
    for name in (None, "board"):
        with pytest.raises(
            DeviceError, match="platform board needs pynq.*sudo -i and source /etc/profile.d/pynq_venv.sh"
        ):
            Accelerator(copy, name)
    with pytest.raises(DeployError, match="'fpga' is unknown"):
        Accelerator(copy, "fpga")


@pytest.mark.parametrize(("machine", "simulates"), [("armv7l", False), ("aarch64", True), ("x86_64", True)])
def test_a_zynq_without_pynq_does_not_simulate(package, machine, simulates, monkeypatch):
    monkeypatch.setattr(deploy.platforms, "machine", lambda: machine)
    if simulates:
        Accelerator(package).close()
    else:
        with pytest.raises(DeviceError, match="platform board needs pynq, which this Python does not have"):
            Accelerator(package)
    Accelerator(package, "sim").close()


def test_the_lock_lies_where_only_root_writes():
    assert lock.LOCK.parent.stat().st_uid == 0 and not lock.LOCK.parent.stat().st_mode & (S_IWGRP | S_IWOTH)


def test_one_process_a_board(monkeypatch, tmp_path):
    monkeypatch.setattr(lock, "LOCK", tmp_path / "board.lock")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DeviceError, match="only root may use the board's hardware"):
        lock_board()
    assert not lock.LOCK.exists()  # the check comes first: what others make, root may not open
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    first = lock_board()
    with pytest.raises(DeviceError, match="another process uses the accelerator"):
        lock_board()
    os.close(first)
    os.close(lock_board())


def test_a_closed_accelerator_may_be_closed_again(package):
    accelerator = Accelerator(package, "sim")
    accelerator.close()
    accelerator.close()


# the command line


def call(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, json.loads(out) if code == 0 or out else None, err


def test_validate(package, capsys):
    code, result, _ = call(capsys, "validate", "--platform", "sim", "--package", package, "--images", 20)
    assert code == 0
    assert (result["platform"], result["images"], result["values"], result["mismatches"]) == ("sim", 20, 200, 0)
    assert result["top1[%]"] == 100.0


def test_validate_finds_a_wrong_logit(copy, golden, capsys):
    from flow.project import sha256

    wrong = golden.copy()
    wrong[3, 2] += 1
    np.savez(copy / "samples.npz", images=IMAGES, labels=golden.argmax(axis=1), logits=wrong)
    files = json.loads((copy / "settings.json").read_text())["files"]
    change_settings(copy, files={**files, "samples.npz": sha256((copy / "samples.npz").read_bytes())})
    code, result, _ = call(capsys, "validate", "--platform", "sim", "--package", copy, "--images", 20)
    assert code == 1 and result["mismatches"] == 1


def test_latency_is_what_the_counters_say(package, rtl, capsys):
    code, result, _ = call(capsys, "latency", "--platform", "sim", "--package", package, "--repeats", 3)
    assert code == 0
    assert result["accelerator[cycles]"]["median"] == RtlAccelerator(rtl).execute(IMAGES[:1]).latency_cycles
    assert "packing[ms]" not in result and "total[ms]" not in result  # no times of the simulating machine


def test_throughput_has_the_names_that_finn_users_know(package, capsys):
    code, result, _ = call(
        capsys, "throughput", "--platform", "sim", "--package", package, "--images", 40, "--batch", 8
    )
    assert code == 0
    names = {
        "batch_size",
        "runtime[ms]",
        "throughput[images/s]",
        "DRAM_in_bandwidth[MB/s]",
        "DRAM_out_bandwidth[MB/s]",
        "fclk[mhz]",
    }
    assert names <= result.keys()
    assert result["throughput[images/s]"] == pytest.approx(40e3 / result["runtime[ms]"])
    ideal = result["fclk[mhz]"] * 1e6 / result["interval[cycles]"]
    assert 0.5 * ideal < result["throughput[images/s]"] <= ideal


def test_run_and_bad_calls(package, capsys, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES[:3])
    code, result, _ = call(capsys, "run", "--platform", "sim", "--package", package, tmp_path / "images.npy")
    assert code == 0 and len(result["classes"]) == 3
    for words, message in [
        (["run", "--package", package, __file__], "no .npy file"),
        (["validate", "--package", tmp_path], "there is no settings.json"),
        (["validate", "--package", package, "--images", 1000], "64 sample images"),
        (["validate", "--package", package, "--images", 0], "64 sample images"),
        (["latency", "--package", package, "--repeats", 0], "repeats is 0"),
        (["throughput", "--package", package, "--images", 0], "0 images"),
        (["throughput", "--package", package, "--batch", 0], "batch is 0"),
    ]:
        code = main([words[0], "--platform", "sim", *map(str, words[1:])])
        err = capsys.readouterr().err
        assert code == 1 and message in err and "Traceback" not in err


def test_cpu(package, capsys):
    code, result, _ = call(capsys, "cpu", "--package", package, "--images", 20)
    assert code == 0 and (result["platform"], result["images"], result["mismatches"]) == ("cpu", 20, 0)
    assert result["throughput[images/s]"] == pytest.approx(20e3 / result["runtime[ms]"])


def test_times_on_a_board(package):
    """The parts of a call add up to it. The platform only says that it is no simulation: it is the simulated board."""

    class Board(SimulatedBoard):
        simulated = False

    accelerator = Accelerator(package, Board(Package.load(package)))
    frames = single_frames(accelerator, 5)
    cycles = np.array(frames["accelerator[cycles]"]) / (accelerator.platform.clock_mhz * 1e3)
    assert all(np.array(frames["packing[ms]"]) > 0)
    np.testing.assert_allclose(frames["packing[ms]"] + cycles + frames["transfer[ms]"], frames["total[ms]"])
    result = latency(accelerator, 5)
    assert result["total[ms]"]["min"] <= result["total[ms]"]["median"] <= result["total[ms]"]["p99"]


def test_percentiles_are_by_nearest_rank():
    assert spread(list(range(1, 201))) == {"min": 1, "median": 100, "p99": 198}
    assert spread([3.0]) == {"min": 3.0, "median": 3.0, "p99": 3.0}
