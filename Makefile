# Set-up, demo and tests on Debian or Ubuntu. `make` lists the targets: the text behind ## beside each.

SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= python3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo lint test test-slow test-pynq test-docker formal notebook random fuzz kills abuse faults cards setup tools

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "VENV=FOLDER puts the virtual environment elsewhere ($(VENV)), PYTHON=python3.12 takes another interpreter,"
	@echo "DATA=FOLDER is where CIFAR-10 lies ($(DATA))."

demo: setup ## build bireal18 with PopBin votes for the PYNQ-Z2 and verify every stage (minutes)
	$(VENV)/bin/flow build --model bireal18 --strategy qat --target pynq-z2

lint: setup ## check rules and format with ruff, types with mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

test test-slow: export EXTRA_TOOLS = tclsh  # runs the Vivado scripts against a model of Vivado
test: setup ## run the tests, and those of test-pynq
	$(VENV)/bin/python -m pytest -q -m "not slow" -n 2 --dist loadfile --durations=15
	$(MAKE) test-pynq

test-slow: setup ## run the slow tests (minutes each)
	$(VENV)/bin/python -m pytest -q -m slow

# The board's environment has another numpy than the compiler's, and neither torch nor onnx.
PYNQ_VENV ?= $(VENV)-pynq
test-pynq: setup $(PYNQ_VENV)/.ready ## run the driver over the real pynq on a simulated device
	$(VENV)/bin/python -m tests.pynq.make_package build/pynq
	$(PYNQ_VENV)/bin/python -m pytest -q -c tests/pynq/pytest.ini tests/pynq

$(PYNQ_VENV)/.ready:
	$(PYTHON) -m venv $(PYNQ_VENV)
	$(PYNQ_VENV)/bin/pip install -q 'pynq==3.1.2' 'pycparser<3' 'numpy<2' pytest pytest-timeout
	touch $@

test-docker: ## build the image and run a job in it
	docker/test.sh

formal: setup $(VENV)/.formal ## prove the stream cells of rtl/ with yosys-smtbmc, and that wrong copies of them fail
	$(VENV)/bin/python formal/run.py
	$(VENV)/bin/python formal/run.py --self-test

$(VENV)/.formal: $(VENV)/.ready
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[formal]'
	touch $@

# Its text is the .py; what a run prints is kept in the .ipynb.
notebook: demo ## run the notebook on the demo's build and keep its outputs
	$(VENV)/bin/jupytext --to ipynb deploy/notebooks/accelerator.py
	POPBIN_PACKAGE=build/bireal18-qat-pynq-z2/deploy $(VENV)/bin/python -m pytest -q --nbmake --overwrite deploy/notebooks

faults: setup ## full disks, signals, two builds at once: the next call must end as if nothing had been (root, an hour)
	$(VENV)/bin/python -m tests.faults

abuse: setup ## make hundreds of wrong calls, with damaged files; each must end in one message (minutes)
	$(VENV)/bin/python -m tests.abuse

DATA ?= ../shared/data/cifar10
random: setup ## compile and compare 300 random networks, half of them files of other people's kind (hours)
	$(VENV)/bin/python -m tests.compiler.random_networks --networks 300 --rtl 30

CASES ?= ../shared/cases
fuzz: setup ## compile 2,000 mutated ONNX files: a verified build or one clear message each; a stopped run goes on (hours)
	$(VENV)/bin/python -m tests.compiler.fuzz --files 2000 --log build/fuzz.jsonl --cases $(CASES)

kills: setup ## kill builds and trainings 50 times at random and go on with them (hours)
	$(VENV)/bin/python -m tests.random_kills --kills 50 --data $(DATA)

cards: setup ## measure every bundled checkpoint again, from its integers, on all test images
	$(VENV)/bin/python -m tests.cards --data $(DATA)

setup: tools $(VENV)/.ready ## make the virtual environment and install everything in it

# torch first: on a machine whose pip is given a CPU wheel (find-links) this takes it.
$(VENV)/.ready: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q torch==2.13.0
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[test,dev]'
	touch $@

tools: ## install or name what pip cannot install
	@PYTHON=$(PYTHON) VENV=$(VENV) scripts/tools
