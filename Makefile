# One word for each thing one does here; `make` alone lists them.
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Two processes; a file's tests share what is slow to start, so each file is one process's.
PAIR := -n 2 --dist loadfile --no-loadscope-reorder
HOURS ?= 1

.PHONY: help demo test quick lint types bench faults soak minors gpu docs dev demo-env clean

help:
	@echo "make demo    run the quickstart notebook here: a real model, no account, no GPU"
	@echo "make test    run every test"
	@echo "make quick   run the tests that take under 5 s each"
	@echo "make lint    ruff, and the import contract between the rooms"
	@echo "make types   mypy --strict"
	@echo "make docs    check the links and samples in the documents"
	@echo "make bench   measure the loop against scp + ssh python handler.py"
	@echo "make soak    random edits against a fresh process, for hours (HOURS=$(HOURS)); prints seeds"
	@echo "make minors  every pair of Python versions on this machine; the wheel installed on each"
	@echo "make faults  cut links at random bytes, kill processes, fill disks; prints seeds"
	@echo "make gpu     the tests that need an NVIDIA GPU"
	@echo "make clean   remove .venv and what tools leave behind"

dev:
	@.ci/prepare dev

demo-env:
	@.ci/prepare demo

demo: demo-env
	@$(BIN)/python notebooks/demo.py

test: dev
	@.ci/sshd
	@$(PYTEST) $(PAIR) -q

quick: dev
	@$(PYTEST) $(PAIR) -q -m "not slow"

lint: dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache

types: dev
	@$(BIN)/mypy

docs: dev
	@$(PYTEST) -q tests/test_docs.py

bench: dev
	@.ci/sshd
	@$(BIN)/python -m benchmarks.loop

faults: dev
	@.ci/sshd
	@seed=$${RPNB_SEED:-$$(date +%s)}; echo "RPNB_SEED=$$seed"; \
	RPNB_LONG=1 RPNB_SEED=$$seed $(PYTEST) $(PAIR) -q tests/faults

soak: dev
	@$(BIN)/python -m tests.planner.soak --hours $(HOURS)

minors: dev
	@$(BIN)/python -m tests.minors.pairs
	@RPNB_EVERY_PYTHON=1 $(PYTEST) -q tests/test_install.py

gpu: dev
	@$(PYTEST) -q -m gpu

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache notebooks/out
