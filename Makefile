# Everything a user or CI types.  Each target makes .venv by itself when it is missing or when what
# it is made of changed: requirements.lock, pyproject.toml, setup.py.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DATA   ?= digits
OUT    ?= build/demo
JOBS   ?= 2

# Two cores are shared by tests, g++ and torch: one thread each is several times faster.
export OMP_NUM_THREADS ?= 1

# Where pip finds PyTorch's CPU build if not where it looks anyway; PyPI's build brings CUDA.
export TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.DEFAULT_GOAL := help
.PHONY: help setup demo readme figures test test-long test-one test-install test-pythons lint format lock \
  clean distclean check-system

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
	  awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

demo: $(STAMP) ## train, compile and run a gated network on the simulated core (DATA=cifar10 DATA_DIR=...: the zoo's ResNet-20)
	$(BIN)/penstock demo --dataset $(DATA) $(if $(DATA_DIR),--data-dir $(DATA_DIR)) -o $(OUT)

readme: $(STAMP) ## run the demo and put its figures into README.md and docs/results
	$(BIN)/penstock demo --dataset digits -o build/demo
	$(BIN)/penstock bench tables demo page --demo build/demo/report.json

figures: $(STAMP) ## every table and picture of the documents, from bench/results
	$(BIN)/penstock bench tables
	$(BIN)/penstock bench pictures

test: $(STAMP) test-host ## the tests, all engines (JOBS=2 at a time; test-long has the rest)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder -q

test-long: $(STAMP) ## the tests that make test leaves out: larger configurations, sanitizers, mutants (half an hour)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder -q --long -m long

test-one: $(STAMP) ## one test: make test-one T=tests/program/test_package.py  (or T="-k name")
	@test -n "$(T)" || { echo 'usage: make test-one T=tests/<file>[::test]  or  T="-k name"'; exit 2; }
	$(BIN)/python -m pytest -x -vv $(T)

# ---- host: the board side has environments of its own, pynq's pins clash with current ONNX.
# The driver under test is the one that `penstock deploy` wrote.
HOST_ENVS   := .venv-host/pynq3 .venv-host/pynq4
HOST_STAMPS := $(HOST_ENVS:%=%/.installed)
HOST_RUNS   := host-pynq3 host-pynq4 host-numpy2
HOST_PATH   := $(CURDIR)/build/host/deploy:$(CURDIR)/build/host/lib
BOARD ?= pynq-z2
CORE  ?= rtl

.PHONY: test-host bitstream $(HOST_RUNS)

test-host: $(STAMP) $(HOST_STAMPS) .venv-host/numpy2/.installed ## driver and notebook on the simulated board, PYNQ 3.1.2 and 4
	$(BIN)/python .ci/host_bundle.py
	$(MAKE) --no-print-directory -j $(JOBS) $(if $(filter output-sync,$(.FEATURES)),-O) $(HOST_RUNS)

# One process a board: the three environments are tested side by side.  Not from this folder: Python
# would find its penstock/ before the deployed one.
host-pynq3: PYTHON_PATH := $(HOST_PATH)
host-pynq4: PYTHON_PATH := $(HOST_PATH)
# PYNQ 4 with NumPy 2 in place of the NumPy 1 it asks for.
host-numpy2: PYTHON_PATH := $(CURDIR)/.venv-host/numpy2:$(HOST_PATH)
host-numpy2: ENV := pynq4
$(HOST_RUNS): host-%:
	@echo "== $(@:host-%=%)"
	cd build/host && PYTHONPATH=$(PYTHON_PATH) ../../.venv-host/$(or $(ENV),$*)/bin/pytest \
	  ../../tests/host -q -p no:cacheprovider

bitstream: $(STAMP) ## .bit and .hwh with Vivado (BOARD=pynq-z2 CORE=rtl|hls CONFIG=z7020)
	$(BIN)/penstock bitstream --board $(BOARD) --core $(CORE) \
	  $(if $(CONFIG),--config $(CONFIG)) -o build/bitstream/$(BOARD)-$(CORE) --run

.venv-host/pynq3/.installed: PYNQ := pynq==3.1.2
.venv-host/pynq4/.installed: PYNQ := pynq>=4,<5
# pynq pins NumPy 1; the driver itself is held to work with NumPy 2 as well.
.venv-host/numpy2/.installed: .venv-host/pynq4/.installed
	.venv-host/pynq4/bin/python -m pip install --quiet --disable-pip-version-check \
	  --upgrade --no-deps --target $(@D) 'numpy>=2.2,<2.3'
	@touch $@

.venv-host/%/.installed: host/requirements.txt
	@echo "setting up $(@D) (once)"
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check '$(PYNQ)' -r host/requirements.txt
	@touch $@

# ---- HLS: a Vitis project of the same core; runs Vitis where it is installed.
NET    ?= build/demo/net
IMAGES ?= $(wildcard $(NET)/../images.npy)

# A trained network of the zoo, unless there is a demo or NET says which; `tiny` has only room for the demo's.
ZOO_NET := model/zoo/lcnet-resnet20-cifar10.onnx
HLS_NET := $(if $(filter tiny,$(CONFIG))$(filter-out file,$(origin NET))$(wildcard $(NET)/model.onnx),$(NET)/model.onnx,$(ZOO_NET))

.PHONY: hls sim-hls

hls: $(STAMP) $(HLS_NET) ## the core as a Vitis HLS project in build/hls (BOARD, CONFIG=tiny|z7020|core.yaml, NET=build/demo/net, CLOCK=80, STEPS=csim,csynth)
	$(BIN)/penstock compile $(HLS_NET) --config $(or $(CONFIG),z7020) -o build/hls-net
	$(BIN)/penstock hls build/hls-net --board $(BOARD) $(if $(IMAGES),--images $(IMAGES)) \
	  $(if $(CLOCK),--clock $(CLOCK)) $(if $(STEPS),--steps $(STEPS)) -o build/hls

sim-hls: $(STAMP) ## the cocotb bench of the core on the Verilog Vitis wrote of `make hls CONFIG=tiny` (RTL_DIR=...)
	@test -d "$(RTL_DIR)" || { echo 'usage: make sim-hls RTL_DIR=build/hls/vitis/solution/syn/verilog'; exit 2; }
	$(BIN)/python -m pytest tests/hls/test_vitis_rtl.py -k given -q -s --rtl-dir "$(RTL_DIR)"

build/demo/net/model.onnx: | $(STAMP)
	$(BIN)/penstock demo --dataset digits -o build/demo

lint: $(STAMP) ## ruff, mypy and verilator --lint-only -Wall on every configuration
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/typecheck.py
	$(BIN)/python .ci/lint_rtl.py

format: $(STAMP) ## rewrite the Python sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP) ## make .venv as requirements.lock says (TORCH_INDEX=...: where PyTorch's CPU build is)

test-install: $(STAMP) ## the wheel, bare and with every extra, in empty environments; the tutorial (minutes, downloads)
	$(BIN)/python .ci/try_install.py $(EXTRAS)

test-pythons: ## the fast tests on Python 3.10 with the lowest and on 3.13 with the newest packages (minutes)
	$(PYTHON) .ci/pythons.py

lock: $(STAMP) ## requirements.lock, with hashes, from what pip resolves today
	$(BIN)/python .ci/lock.py

clean: ## remove build products
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

distclean: clean ## remove .venv as well
	rm -rf $(VENV) .venv-host .venv-pythons

include bench/bench.mk
include formal/formal.mk
include tests/fuzz.mk
include tests/quality.mk
include tests/mutate.mk

check-system:
	@sh .ci/check_system.sh "$(PYTHON)"

$(STAMP): requirements.lock pyproject.toml setup.py .ci/check_system.sh .ci/environment.py
	@sh .ci/check_system.sh "$(PYTHON)"
	@echo "setting up $(VENV) (once; a few minutes, torch is large)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python .ci/environment.py
	@touch $@
