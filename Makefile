# Sets linkgauge up in .venv and runs it. `make demo` and `make test` need nothing but git, make and Python 3.11.

SHELL := /bin/bash
PYTHON ?= python3
READY := .venv/.ready
INSTALLED := .venv/.installed
BIN := .venv/bin

# bash exports a variable SECONDS of its own; only `make demo SECONDS=90` is meant.
ifeq ($(origin SECONDS),command line)
DEMO_OPTIONS := --seconds $(SECONDS)
endif

.NOTPARALLEL:
.PHONY: help demo test soak check bench prepare clean

help:
	@echo 'make demo [SECONDS=90]  measure a small real network until Ctrl-C (or so long)'
	@echo 'make test               set up, check and run all tests'
	@echo 'make soak [ROUNDS=1000]  kill -9 at so many random instants, and 2 000 examples of each property (hours)'
	@echo 'make check              format, lint and types'
	@echo 'make bench [QUICK=1]    run the benchmarks (about 20 minutes; 5), print JSON'
	@echo 'make clean              remove .venv, .demo and caches'

demo: prepare $(READY)
	@deploy/foreground.sh $(BIN)/linkgauge demo $(DEMO_OPTIONS)

test: prepare check
	@$(BIN)/python -m tests

soak: prepare $(READY)
	@ROUNDS=$(or $(ROUNDS),1000) SEED=$(or $(SEED),$(shell date +%s)) $(BIN)/pytest -s tests/faults
	@HYPOTHESIS_PROFILE=soak $(BIN)/pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

prepare:
	@deploy/prepare.sh

$(READY): pyproject.toml constraints.txt
	@deploy/environment.sh $(PYTHON) dev
	@touch $(INSTALLED) $@

# Without the tools of tests and checks: for hosts that only run it.
$(INSTALLED): pyproject.toml constraints.txt
	@deploy/environment.sh $(PYTHON)
	@touch $@

clean:
	rm -rf .venv .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
