"""A project of Vitis HLS with reports."""

import pytest

from flow.report.hls import SOLUTION

from .vitis import COSIM


@pytest.fixture
def project(tmp_path):
    """Writes the reports of a run of Vitis HLS; returns the project."""

    def write(text, cosim="    Pass"):
        for path, content in (("syn/report/csynth.xml", text), ("sim/report/accelerator_cosim.rpt", cosim)):
            (tmp_path / SOLUTION / path).parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                body = content if path.endswith("xml") else COSIM.format(content)
                (tmp_path / SOLUTION / path).write_text(body)
        return tmp_path

    return write
