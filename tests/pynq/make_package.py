"""Makes the packages that tests/pynq runs, in the main environment:  python -m tests.pynq.make_package FOLDER

FOLDER/ddr has weights in DDR, FOLDER/chip has none, and FOLDER/pll has a hand-off of a design that took the board's PLL
for one of 1,600 MHz. Each has a hand-off for the simulated device, and an empty file for
a bitstream, which that device does not look into.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from flow.emit.hwh import PLL_MHZ, emit_hwh
from flow.emit.package import write_package
from flow.emit.rtl import emit_rtl
from flow.golden import Golden
from flow.sim.rtl import RtlAccelerator
from tests.deploy.packages import BUILD_ID, DESCRIPTION, IMAGES
from tests.graphs import pooled_network
from tests.rtl.test_top import deep_small_network

PACKAGES = {"ddr": (deep_small_network, PLL_MHZ), "chip": (pooled_network, PLL_MHZ), "pll": (pooled_network, 1600)}


def make(network, pll_mhz: float, folder: Path, scratch: Path) -> None:
    rtl = emit_rtl(network(), scratch / "rtl", build_id=BUILD_ID, clock_mhz=100)
    golden = Golden(network()).execute(IMAGES)
    bitfile = [scratch / "accelerator.bit", emit_hwh(rtl, scratch / "accelerator.hwh", pll_mhz)]
    bitfile[0].touch()
    samples = IMAGES, golden.argmax(axis=1), golden
    write_package(rtl, RtlAccelerator(rtl).library, folder, DESCRIPTION, samples, bitfile=bitfile)


def main(folder: Path) -> None:
    for name, (network, pll_mhz) in PACKAGES.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        with tempfile.TemporaryDirectory() as scratch:
            make(network, pll_mhz, folder / name, Path(scratch))
        print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
