# make verify   fresh machine to verdict: the environment, then the verification suite
# make test     fresh machine to green tests: the environment, then pytest
# make lint     style and types
# make mutation small changes of our own sources, each of which a test must notice; not part of CI
# ARGS="..."    goes to ramda-verify run, pytest or tests.mutation, e.g. make verify ARGS=--quick, make test ARGS="-m slow"

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: verify test lint mutation clean

verify: $(READY)
	$(VENV)/bin/ramda-verify run $(ARGS)

test: $(READY)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n auto $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

mutation: $(READY)
	$(VENV)/bin/python -m tests.mutation $(ARGS)

# Remade only when what it installs has changed, so that both commands run again without a network.
$(READY): pyproject.toml setup.py constraints.txt $(wildcard solvers/kernels/native/cpp/*)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) report build *.egg-info
