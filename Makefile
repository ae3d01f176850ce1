# `make` or `make help` lists the targets. ARGS reaches pytest: make test ARGS="-n 0 -k fusion"
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# a test process for each core, each with one thread
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install quickstart test lint types slow clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | expand -t 14

install: $(STAMP)  ## create .venv with the pinned packages (the second time it takes no time)

$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check -e '.[dev,offline,lora,media,speech,synthesis,video]' -c constraints.txt
	touch $@

quickstart: $(STAMP)  ## train a tiny model end to end
	$(PY) -m mmtasks.quickstart

test: $(STAMP)  ## run the tests and doctests, the slow ones left out
	$(PYTEST) $(ARGS)

lint: $(STAMP)  ## check style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(STAMP)  ## check types
	$(PY) -m mypy

slow: $(STAMP)  ## run the slow tests; having none (pytest's exit code 5) is fine
	$(PYTEST) -m slow --timeout 1800 $(ARGS) || test $$? -eq 5

clean:  ## remove caches and build output; .venv and runs/ stay
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
