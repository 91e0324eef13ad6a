# Two commands: `make reproduce` (environment, the archive's answer, this machine's check) and `make test` (all tests).
PYTHON ?= python3
CORES  ?= $(shell getconf _NPROCESSORS_ONLN)
STUDY  ?= paper
SCALE  ?= quick
# fresh: train; archive: tables and figures of the runs in results/archive, e.g. make reproduce SCALE=paper RUNS=archive
RUNS   ?= fresh
BIN    := .venv/bin
# More configuration for the pipeline, e.g. make reproduce CONFIG="seeds=1 backends=jax"; arguments for pytest
CONFIG ?=
ARGS   ?=
CHOSEN  = study=$(STUDY) scale=$(SCALE) runs=$(RUNS) $(CONFIG)
RUN    := PATH="$(abspath $(BIN)):$$PATH"

.PHONY: help show reproduce recheck campaign test benchmark lint lock schemas readme clean
.DEFAULT_GOAL := help

# The goals below with what is said of them after two number signs.
help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z]+:[^#]*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# What the archived runs at the paper's scale say, in the terminal and as a page; nothing is trained.
ARCHIVED = study=paper scale=paper runs=archive
show: .venv/installed ## what the archived runs at the paper's scale say; nothing is trained
	@$(call report_of,$(ARCHIVED))

# The archive's answer first, then fresh runs and their page. With another study, scale or selection: that alone.
reproduce: .venv/installed ## the archive's answer, then fresh runs at the quick scale and whether they agree; STUDY, SCALE, RUNS, CONFIG
	@$(if $(filter paper/quick/fresh/,$(STUDY)/$(SCALE)/$(RUNS)/$(CONFIG)),$(call report_of,$(ARCHIVED)) && )$(call report_of,$(CHOSEN))

# Says what will be done, does it, and says what was found. A folder has the report's page and Snakemake's own.
define report_of
$(RUN) python -m workflow.announce --cores $(CORES) $(1) && \
$(RUN) snakemake --cores $(CORES) --config $(1) && \
folder=$$($(RUN) python -m workflow.sweep $(1)) && \
$(RUN) snakemake --quiet all --cores 1 --config $(1) --report "$$folder/report.html" && \
$(RUN) python -m workflow.answer "$$folder"
endef

# Whether today's code gives what is archived at the paper's scale: the cheapest run of each experiment is made again.
recheck: .venv/installed ## the cheapest archived run of each experiment made again, and compared
	$(RUN) python -m workflow.recheck

# The paper-scale runs that the archive lacks, in the order of config/campaign.yaml, one at a time unless CORES=2 is given;
# SECONDS=3600 ends it after an hour and begins no run that would take longer; ARGS=--dry-run shows the plan. From a clean
# commit, best in a clone of its own; Ctrl-C stops it, and the next call goes on.
campaign: CORES = 1
campaign: .venv/installed ## the paper-scale runs that the archive lacks; SECONDS=3600, ARGS=--dry-run
	$(RUN) python -m workflow.campaign --cores $(CORES) $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

test: .venv/installed ## all tests; ARGS="-m 'not pipeline'" leaves out those that run Snakemake
	$(RUN) python -m pytest --numprocesses $$(( $(CORES) + 1 )) --dist loadfile --no-loadscope-reorder $(ARGS)

# One process a backend, pinned to one core; leave the machine alone meanwhile.
benchmark: .venv/installed ## times of evaluations, optimizers, start and pipeline, in reports/benchmarks
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --requirement benchmarks/requirements.txt
	mkdir -p reports/benchmarks
	for backend in jax torch; do \
	    BENCHMARK_BACKEND=$$backend $(BIN)/python -m pytest benchmarks --benchmark-enable --benchmark-only \
	        --benchmark-json reports/benchmarks/$$backend.json -W default $(ARGS) || exit 1; \
	done
	$(BIN)/python -m benchmarks.report reports/benchmarks

lint: .venv/installed ## ruff, mypy, snakefmt and snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	-$(RUN) snakemake --lint # its one complaint is on purpose: see CONTRIBUTING.md

# Resolve the versions anew. The local label of a CPU build of torch is not a release on the index: it is cut off.
lock: .venv/installed ## resolve the versions of requirements.txt anew
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --extra completion,cpu,test,workflow --no-emit-options \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.txt pyproject.toml
	sed -i.bak 's/^\(torch==[0-9.]*\)+.*/\1/' requirements.txt && rm requirements.txt.bak

# The JSON schema of run.json, for readers in other languages.
schemas: .venv/installed ## the JSON schema of run.json
	$(RUN) python -m solvers schema > workflow/schemas/run.schema.json

# From the archived runs; a test fails when they are not these.
readme: .venv/installed ## generated parts of README.md and docs/results.md, and reports/archive
	$(RUN) python -m workflow.readme

clean: ## remove the environment and Snakemake's records
	rm -rf .venv .snakemake *.egg-info
