# Two commands: `make reproduce` (environment, pipeline, report) and `make test` (same environment, all tests).
PYTHON ?= python3
CORES  ?= $(shell nproc)
SCALE  ?= quick
BIN    := .venv/bin
# Extra arguments for snakemake, e.g. make reproduce ARGS="--config seeds=1"
ARGS   ?=

.PHONY: reproduce test lint lock schemas clean
.DEFAULT_GOAL := reproduce

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

reproduce: .venv/installed
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m workflow.reproduce --cores $(CORES) --scale $(SCALE) $(ARGS)

test: .venv/installed
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakemake --lint

# Resolve the versions anew. The local label of a CPU build of torch is not a release on the index: it is cut off.
lock: .venv/installed
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --all-extras --no-emit-options --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host --output-file requirements.txt pyproject.toml
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' requirements.txt

clean:
	rm -rf .venv .snakemake *.egg-info
