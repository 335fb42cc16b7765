# Every target that needs Python builds .venv itself; `make help` lists them all.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip
export UV_NO_CONFIG ?= 0

.DEFAULT_GOAL := help
.PHONY: help install demo check lint types layers unit test test-long explore bench lock chromium prometheus registry clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml $(BIN)/uv
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/runtime.lock
	$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@touch $@

install: $(VENV)/.dev  ## build .venv with everything that the tests and the tools need

demo: $(VENV)/.runtime  ## the whole product on this machine: workspace page, bot, sample services
	$(BIN)/deployment-architect demo $(if $(PORT),--port $(PORT))

check: lint types layers unit  ## ruff, mypy strict, import-linter, unit tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/.dev
	$(BIN)/pytest -q -n 2 -m "not long" tests/unit tests/architecture

test: $(VENV)/.dev  ## all tests but the long ones (under 4 minutes)
	$(BIN)/pytest -n 4 --dist loadgroup -m "not long" tests

test-long: $(VENV)/.dev  ## crash matrices, load, real servers (under 40 minutes)
	$(BIN)/pytest -n 3 --dist loadgroup -m long --timeout 1800 tests

explore: $(VENV)/.dev  ## property tests with examples that no run has tried before
	EXPLORE=1 $(BIN)/pytest -n 2 -k "properties or simulation or fuzz" --timeout 1800 tests/unit

bench: $(VENV)/.dev  ## measure, write bench/results/latest.json, print one table
	$(BIN)/python -m bench

chromium:  ## install the browser that the page's tests drive (Debian; needs root)
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium

prometheus:  ## install the servers that the metrics' tests ask (Debian; needs root); starts none of them
	apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager

registry:  ## install the registry that the images' tests ask (Debian; needs root); starts none
	apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends docker-registry

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock"

lock: $(BIN)/uv  ## compile requirements/*.lock anew (all extras first, so that they fit together)
	$(COMPILE) --extra all pyproject.toml requirements/build.in -o requirements/all.lock
	$(COMPILE) -c requirements/all.lock pyproject.toml requirements/build.in -o requirements/runtime.lock
	$(COMPILE) -c requirements/all.lock --group dev -o requirements/dev.lock

clean:  ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
