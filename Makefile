# Everything a user or CI types.  Each target makes .venv by itself when it is missing or when
# pyproject.toml or setup.py changed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DATA   ?= digits
OUT    ?= build/demo
JOBS   ?= 2

# Two cores are shared by tests, g++ and torch: one thread each is several times faster.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup demo readme test test-one lint format clean distclean check-system

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
	  awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

demo: $(STAMP) ## train, compile and run a gated network on the simulated core (DATA=cifar10 DATA_DIR=... for others)
	$(BIN)/penstock demo --dataset $(DATA) $(if $(DATA_DIR),--data-dir $(DATA_DIR)) -o $(OUT)

readme: $(STAMP) ## run the demo and put its figures into README.md and docs/results.md
	$(BIN)/penstock demo --dataset digits -o build/demo
	$(BIN)/python docs/update.py build/demo/report.json

test: $(STAMP) ## every test (JOBS=2 at a time)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -q

test-one: $(STAMP) ## one test: make test-one T=tests/program/test_codec.py  (or T="-k name")
	@test -n "$(T)" || { echo 'usage: make test-one T=tests/<file>[::test]  or  T="-k name"'; exit 2; }
	$(BIN)/python -m pytest -x -vv $(T)

lint: $(STAMP) ## ruff, mypy and verilator --lint-only -Wall on every configuration
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/typecheck.py
	$(BIN)/python .ci/lint_rtl.py

format: $(STAMP) ## rewrite the Python sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP) ## make .venv with everything needed

clean: ## remove build products
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

distclean: clean ## remove .venv as well
	rm -rf $(VENV)

check-system:
	@sh .ci/check_system.sh "$(PYTHON)"

$(STAMP): pyproject.toml setup.py .ci/check_system.sh
	@sh .ci/check_system.sh "$(PYTHON)"
	@echo "setting up $(VENV) (once; a few minutes, torch is large)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@
