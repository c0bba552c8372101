"""The packages: everything else is in pyproject.toml.

`hls/` and `rtl/` stand at the top of the repository, and are installed as `flow/hls` and `flow/rtl`.
"""

from setuptools import find_namespace_packages, setup

OUTSIDE = {"flow.hls": "hls", "flow.rtl": "rtl"}
DATA = ["*.cpp", "*.h", "*.hpp", "*.sv", "*.j2", "*.tcl", "*.yaml", "*.md", "*.npz", "*.popbin", "*.ipynb"]

setup(
    packages=[*find_namespace_packages(include=["flow*", "brevitas_models*", "deploy*"]), *OUTSIDE],
    package_dir=OUTSIDE,
    package_data={"": DATA},
)
