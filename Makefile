# `make demo` runs the quickstart study; `make test` passes the tests. Both set everything up first.
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: setup demo test lint cluster cluster-down docs lock clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt constraints-uv.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r constraints-uv.txt
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes --compile-bytecode --build-constraints constraints.txt -r constraints.txt
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --build-constraints constraints.txt -e .
	touch $@

demo: setup
	$(BIN)/tepui data quickstart --out data/quickstart
	$(BIN)/tepui run examples/quickstart.yaml

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config .importlinter

# Where there is no cluster to be had the tests say so and skip what needs one.
test: setup lint
	PYTHONPATH=tests/cluster $(BIN)/python -m tepui_testbed build
	$(BIN)/pytest

# A real Kubernetes of two nodes on this machine, of programs built from source; prints how to reach it.
cluster: setup
	@PYTHONPATH=tests/cluster $(BIN)/python -m tepui_testbed up

cluster-down: setup
	@PYTHONPATH=tests/cluster $(BIN)/python -m tepui_testbed down

docs: setup
	$(BIN)/python -m tepui_spec.docs

# Pins every dependency with hashes, after a change of pyproject.toml.
lock:
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-header --no-emit-index-url --python-version 3.11 -o constraints.txt
	echo uv | uv pip compile - --generate-hashes --no-header --no-emit-index-url --python-version 3.11 -o constraints-uv.txt

# What setting up made; results and data are the user's.
clean:
	rm -rf .venv build dist
