"""rtl/stream_assert.sv in both kinds of simulation: bound to a single module, and on the streams of an accelerator."""

import re
import shutil

import pytest

from flow.emit.rtl import emit_rtl
from flow.sim.module import RtlError, RtlModule
from flow.sim.rtl import RtlAccelerator
from tests.graphs import pooled_network, random_images
from tests.rtl.streams import random_beats

FIFO = {"Width": 8, "Depth": 4}
BEATS = random_beats(40, 8, seed=1)
BROKEN = {  # of fifo.sv: a line, what becomes of it, the message
    "drops_valid": ("read || (valid_q && !out_ready_i)", "read", "dropped valid before ready"),
    "changes_data": ("if (read) data_q", "data_q", "changed its data before ready"),
}


def break_fifo(source, name):
    old, new, message = BROKEN[name]
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    return message


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return emit_rtl(pooled_network(), tmp_path_factory.mktemp("rtl") / "pooled", build_id="0" * 32, clock_mhz=100)


@pytest.mark.parametrize("name", BROKEN)
def test_stops_a_single_module(tmp_path, project, name):
    source = tmp_path / "fifo.sv"
    shutil.copy(project / "rtl/fifo.sv", source)
    message = break_fifo(source, name)
    module = RtlModule("fifo", FIFO, {"in": 8}, {"out": 8}, sources=[source])
    with pytest.raises(RtlError, match=rf"stream_assert\.sv.* output out {message} at cycle \d+"):
        module.run({"in": BEATS}, {"out": len(BEATS)}, p_ready=0.3)


@pytest.mark.parametrize("name", BROKEN)
def test_stops_an_accelerator(tmp_path, project, name):
    """The message names the stream."""
    copy = shutil.copytree(project, tmp_path / "copy")
    message = break_fifo(copy / "rtl/fifo.sv", name)
    with pytest.raises(RtlError, match=rf"stream_assert\.sv.* logit_queue {message}"):
        RtlAccelerator(copy, verify=False).execute(random_images(2), output_stalls=0.5)


def test_has_no_part_in_synthesis(project):
    """It is neither in the project nor, without the define of a simulation, in the top."""
    assert not (project / "rtl/stream_assert.sv").exists()
    text = (project / "rtl/accelerator_top.sv").read_text()
    assert "stream_assert #(" in text
    assert "stream_assert" not in re.sub(r"^`ifdef FLOW_TAPS$.*?^`endif$", "", text, flags=re.MULTILINE | re.DOTALL)
