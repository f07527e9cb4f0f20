# `make demo` tries groundtune, `make test` tests it. Both create a virtual environment and leave the system's Python alone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# A worker per core runs whole files, in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick check clean

demo: $(VENV)/demo.stamp  ## install, then run the example projects, offline
	$(BIN)/groundtune demo demo-handbook

test: $(VENV)/dev.stamp  ## install, then run the whole test suite
	$(PYTEST)

quick: $(VENV)/dev.stamp  ## install, then run all but the slow tests
	$(PYTEST) -m 'not slow'

check: $(VENV)/dev.stamp  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "groundtune needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[local]'
	$(BIN)/groundtune models get smollm2-135m
	touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[local,dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-handbook .mypy_cache .ruff_cache .pytest_cache
