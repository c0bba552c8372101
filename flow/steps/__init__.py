"""The steps of a build, in order. Each reads and writes the build folder only, so any can be the first."""

from .export import export
from .hls import csim, hls
from .plan import plan
from .report import report
from .rtl import rtl, simulate
from .streamline import streamline

STEPS = (export, streamline, plan, hls, rtl, csim, simulate, report)
