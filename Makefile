# Everything sets itself up: a fresh machine needs Python >= 3.11 and nothing else (uv is used where it is there).

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
MODELS ?= qwen3:8b nomic-embed-text
# Half of the tests wait for processes that they have started.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))
PYTEST = $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal
MINUTES ?= 10
DAYS ?= 20
SEED ?= 1
unexport PYTHONDONTWRITEBYTECODE # with it, every run would read and rewrite all tests anew
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url $(UPGRADE) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup demo run test e2e faults worlds campaign lint format bench soak contract lock dist clean

help: ## what there is to make
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP) ## the environment in .venv

$(STAMP): pyproject.toml requirements/dev.lock scripts/setup.sh
	@sh scripts/setup.sh $(VENV)
	@touch $(STAMP)

demo: $(STAMP) ## the keeper at work on a simulated server, with mishaps; FOR=60s ends it
	@$(BIN)/ollama-keeper demo $(if $(FOR),--for $(FOR))

run: $(STAMP) ## keep MODELS="a b" resident; without an Ollama at hand, on the simulator
	@sh scripts/run.sh $(BIN) $(MODELS)

test: $(STAMP) ## all tests but the faults and the slow ones, or with ALL=1 those too, and each property longer
	@$(if $(ALL),EXAMPLES=all) $(PYTEST) $(if $(ALL),-m "not e2e",-m "not slow and not e2e" --ignore=tests/faults)

e2e: $(VENV)/.e2e ## the page in headless Chromium (Debian: apt-get install chromium)
	@$(BIN)/python -m pytest -q tests/e2e

$(VENV)/.e2e: $(STAMP) requirements/e2e.lock
	@sh scripts/add.sh $(VENV) requirements/e2e.lock
	@touch $@

faults: $(STAMP) ## every fault of the catalogue, or QUICK=1; the last line tells what was survived and what was not tried
	@$(PYTEST) -p tests.kit.tally $(if $(QUICK),-m "not slow") tests/faults

lint: $(STAMP) ## style, types, and which module may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(STAMP) ## formats the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

worlds: $(STAMP) ## every interleaving of small worlds, as deep as MINUTES=10 allow
	@$(BIN)/python -m tests.worlds --minutes $(MINUTES)

campaign: $(STAMP) ## simulated days of the whole daemon, judged by the server's own record; DAYS=20 SEED=1 TABLE=1
	@$(BIN)/python -m tests.campaign $(if $(TABLE),--table,--controls) --days $(DAYS) --seed $(SEED) --jobs 2

bench: $(STAMP) ## the numbers that we promise, as a table and as bench-results/bench.json
	@$(BIN)/python -m bench

soak: $(STAMP) ## what grows in a long life: 60,000 checks flat out, or DURATION=72h for real; Ctrl-C ends it early
	@$(BIN)/python -m bench.soak $(if $(DURATION),--duration $(DURATION))

contract: $(STAMP) ## the contract suite; also on OLLAMA_KEEPER_LIVE_URL where set
	@$(BIN)/python -m pytest -q tests/contract

lock: ## new locks from pyproject.toml, moving no pin without need (UPGRADE=--upgrade moves all); needs uv
	@command -v uv >/dev/null || { echo "make lock needs uv: see docs.astral.sh/uv" >&2; exit 1; }
	@$(COMPILE) -o requirements/runtime.lock
	@$(COMPILE) --group dev -o requirements/dev.lock
	@$(COMPILE) --group dev --group e2e -o requirements/e2e.lock
	@$(COMPILE:pyproject.toml=) --group release -o requirements/release.lock

dist: $(STAMP) ## wheel and sdist in dist/, built twice and compared, and a list of their parts (SBOM)
	@$(BIN)/python -m venv $(VENV)-release
	@$(VENV)-release/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/release.lock
	@sh scripts/dist.sh $(VENV)-release

clean: ## takes away what make made
	@rm -rf $(VENV) $(VENV)-release dist build bench-results .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
