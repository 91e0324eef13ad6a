# Two commands: `make reproduce` (environment, pipeline, page) and `make test` (same environment, all tests).
PYTHON ?= python3
CORES  ?= $(shell nproc)
SCALE  ?= quick
# fresh: train; archive: tables and figures of the runs in results/archive, e.g. make reproduce SCALE=paper RUNS=archive
RUNS   ?= fresh
NAME   := $(SCALE)$(if $(filter archive,$(RUNS)),-archive)
BIN    := .venv/bin
# More configuration for the pipeline, e.g. make reproduce CONFIG="seeds=1 backends=jax"; arguments for pytest
CONFIG ?=
ARGS   ?=
RUN    := PATH="$(abspath $(BIN)):$$PATH"

.PHONY: reproduce test benchmark lint lock schemas readme clean
.DEFAULT_GOAL := reproduce

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

reproduce: .venv/installed
	$(RUN) snakemake --cores $(CORES) --config scale=$(SCALE) runs=$(RUNS) $(CONFIG)
	$(RUN) snakemake --cores 1 --config scale=$(SCALE) runs=$(RUNS) $(CONFIG) --report reports/$(NAME)/report.html
	@echo "Done. Open reports/$(NAME)/index.html"

test: .venv/installed
	$(RUN) python -m pytest --numprocesses $(CORES) --dist loadfile $(ARGS)

# One process a backend, pinned to one core; leave the machine alone meanwhile.
benchmark: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --requirement benchmarks/requirements.txt
	mkdir -p reports/benchmarks
	for backend in jax torch; do \
	    BENCHMARK_BACKEND=$$backend $(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only \
	        --benchmark-json reports/benchmarks/$$backend.json -W default $(ARGS) || exit 1; \
	done
	$(BIN)/python -m benchmarks.report reports/benchmarks

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	-$(RUN) snakemake --lint # its one complaint is on purpose: see the README

# Resolve the versions anew. The local label of a CPU build of torch is not a release on the index: it is cut off.
lock: .venv/installed
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --all-extras --no-emit-options --no-emit-index-url \
	    --no-emit-find-links --no-emit-trusted-host --output-file requirements.txt pyproject.toml
	sed -i 's/^\(torch==[0-9.]*\)+.*/\1/' requirements.txt

# The JSON schema of run.json, for readers in other languages.
schemas: .venv/installed
	$(RUN) python -m solvers schema > workflow/schemas/run.schema.json

# The tables and figures of README.md, from the archived runs; a test fails when they are not these.
readme: .venv/installed
	$(RUN) python -m workflow.readme

clean:
	rm -rf .venv .snakemake *.egg-info
