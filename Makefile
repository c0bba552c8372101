# Set-up, demo and tests on Debian or Ubuntu.
#   make demo        the main job: build bireal18 with PopBin votes for the PYNQ-Z2 and verify every stage
#   make test        the tests;  make test-slow  the slow ones
# VENV=folder puts the virtual environment elsewhere, PYTHON=python3.12 takes another interpreter.

SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-slow setup tools

demo: setup
	$(VENV)/bin/flow build --model bireal18 --strategy qat --target pynq-z2

test: setup
	$(VENV)/bin/python -m pytest -q -m "not slow" -n 2 --dist loadfile --durations=15

test-slow: setup
	$(VENV)/bin/python -m pytest -q -m slow

setup: tools $(VENV)/.ready

# torch first: on a machine whose pip is given a CPU wheel (find-links) this takes it.
$(VENV)/.ready: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q torch==2.13.0
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[test]'
	touch $@

tools:
	@PYTHON=$(PYTHON) VENV=$(VENV) scripts/tools
