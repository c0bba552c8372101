# Set-up, demo and tests on Debian or Ubuntu.
#   make demo        the main job: build bireal18 with PopBin votes for the PYNQ-Z2 and verify every stage
#   make test        the tests;  make test-slow  the slow ones;  make test-pynq  the driver over the real pynq (a part of make test)
#   make notebook    runs the notebook on the demo's build and keeps its outputs;  make test-docker  builds the image and runs a job in it
#   make random      200 random networks through the whole flow;  make kills  50 random kills of builds and trainings (hours)
#   make cards       measures every bundled checkpoint again, from its integers, on all of CIFAR-10's test set (DATA=folder)
# VENV=folder puts the virtual environment elsewhere, PYTHON=python3.12 takes another interpreter.

SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-slow test-pynq test-docker notebook random kills cards setup tools

demo: setup
	$(VENV)/bin/flow build --model bireal18 --strategy qat --target pynq-z2

test test-slow: export EXTRA_TOOLS = tclsh  # runs the Vivado scripts against a model of Vivado
test: setup
	$(VENV)/bin/python -m pytest -q -m "not slow" -n 2 --dist loadfile --durations=15
	$(MAKE) test-pynq

test-slow: setup
	$(VENV)/bin/python -m pytest -q -m slow

# The board's environment has another numpy than the compiler's, and neither torch nor onnx.
PYNQ_VENV ?= $(VENV)-pynq
test-pynq: setup $(PYNQ_VENV)/.ready
	$(VENV)/bin/python -m tests.pynq.make_package build/pynq
	$(PYNQ_VENV)/bin/python -m pytest -q -c tests/pynq/pytest.ini tests/pynq

$(PYNQ_VENV)/.ready:
	$(PYTHON) -m venv $(PYNQ_VENV)
	$(PYNQ_VENV)/bin/pip install -q 'pynq==3.1.2' 'pycparser<3' 'numpy<2' pytest pytest-timeout
	touch $@

test-docker:
	docker/test.sh

# Its text is the .py; what a run prints is kept in the .ipynb.
notebook: demo
	$(VENV)/bin/jupytext --to ipynb deploy/notebooks/accelerator.py
	POPBIN_PACKAGE=build/bireal18-qat-pynq-z2/deploy $(VENV)/bin/python -m pytest -q --nbmake --overwrite deploy/notebooks

DATA ?= ../shared/data/cifar10
random: setup
	$(VENV)/bin/python -m tests.compiler.random_networks --networks 200 --rtl 20

kills: setup
	$(VENV)/bin/python -m tests.random_kills --kills 50 --data $(DATA)

cards: setup
	$(VENV)/bin/python -m tests.cards --data $(DATA)

setup: tools $(VENV)/.ready

# torch first: on a machine whose pip is given a CPU wheel (find-links) this takes it.
$(VENV)/.ready: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q torch==2.13.0
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[test]'
	touch $@

tools:
	@PYTHON=$(PYTHON) VENV=$(VENV) scripts/tools
