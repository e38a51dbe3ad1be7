# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Each test process keeps to one thread; pytest-xdist runs one per core. Bits are those of the processor.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=

.PHONY: demo test lint slow gpu docs clean

demo: $(VENV)/.installed
	$(BIN)/pydgd demo

test: $(VENV)/.tested
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n auto --dist loadfile

slow: $(VENV)/.tested
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n auto -m "slow and not gpu"

gpu: $(VENV)/.tested
	$(BIN)/python -m pytest -q -m gpu

lint: $(VENV)/.linted
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.documented
	$(ONE_THREAD) $(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch first and alone: an index that holds a CPU build is then used before anything asks for a larger one.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(PIP) -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) -e ".[gsea,umap]" beartype hypothesis mpmath pytest pytest-cov pytest-xdist selenium
	touch $@

$(VENV)/.linted: $(VENV)/.tested
	$(PIP) build hatchling import-linter mypy pandas-stubs ruff scipy-stubs
	touch $@

$(VENV)/.documented: $(VENV)/.installed
	$(PIP) -e ".[docs]"
	touch $@
