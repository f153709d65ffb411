# `make demo` and `make test` need Python 3.11 or newer and the package index, nothing else.
# PYTHON=python3.12 chooses another Python for .venv; ARGS="…" is handed on to the command.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# How many files of tests run at once: most tests wait. ATONCE=0: one test at a time, in pytest's own process (`--pdb`).
ATONCE ?= 2
# By file, as what is in one has much in common; in order, as the slow ones come first and many quick ones fill the end.
SHARED_OUT := --dist loadfile --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start processes by the hundred: each would compile all of the code anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test install-dev format lint type-check test-coverage example-init example-validate bench chaos simulate clean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed-embedded ## mirror a live made-up shop with embedded servers, and verify it
	$(BIN)/cartridge-warp demo $(ARGS)

test: lint type-check ## everything that must pass: linter, formatter, type checker, all tests
	$(BIN)/pytest --numprocesses $(ATONCE) $(SHARED_OUT) $(ARGS)

install-dev: $(VENV)/installed-dev ## install into .venv, editable, with all that development needs

format: $(VENV)/installed-dev ## format the code, and sort its imports
	$(BIN)/ruff check --select I --fix
	$(BIN)/ruff format

lint: $(VENV)/installed-dev ## check the code and its format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

type-check: $(VENV)/installed-dev ## check the types
	$(BIN)/mypy

test-coverage: $(VENV)/installed-dev ## run the tests and say which lines they do not reach
	$(BIN)/pytest --cov --cov-report=term-missing $(ARGS)

example-init: $(VENV)/installed-embedded ## write a commented configuration to build/cartridge-warp.yaml
	mkdir -p build
	$(BIN)/cartridge-warp init --force build/cartridge-warp.yaml

# Examples may leave the connections to the environment.
example-validate: export CARTRIDGE_WARP_SOURCE__CONNECTION_STRING ?= mongodb://localhost:27017
example-validate: export CARTRIDGE_WARP_DESTINATION__CONNECTION_STRING ?= postgresql://localhost:5432/warehouse
example-validate: $(VENV)/installed-embedded ## validate the configurations in configs/examples
	@set -e; for example in configs/examples/*.yaml; do $(BIN)/cartridge-warp validate --config "$$example"; done

chaos: $(VENV)/installed-dev ## break everything at random beside a workload, and verify that nothing is lost
	$(BIN)/python -m tests.chaos $(ARGS)

simulate: $(VENV)/installed-dev ## run seeded simulations of the protocol, thousands of them; ARGS="--seeds 0-100000"
	$(BIN)/python -m tests.simulation $(ARGS)

bench: $(VENV)/installed-dev ## measure first load and streaming, next to the bare floor
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove what building and testing left, but not .venv
	rm -rf build *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find benchmarks scheduler tests warp workers -name __pycache__ -prune -exec rm -rf {} +

# One stamp for each extra, and one .venv for all.
$(VENV)/installed-%: pyproject.toml configs/constraints.txt | $(BIN)/pip
	$(BIN)/pip install --quiet --constraint configs/constraints.txt --editable '.[$*]'
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'cartridge-warp needs Python 3.11 or newer: make PYTHON=python3.11 …' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'this Python lacks its venv module: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
