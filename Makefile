# Engine. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
STAMPS := .venv/.stamps
export PIP_DISABLE_PIP_VERSION_CHECK := 1
ENGINE := .venv/bin/engine

.PHONY: help setup setup-real generate run test verify chaos lint fix load bench conformance stubs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(PY):
	@deploy/bootstrap-python .venv

$(STAMPS)/runtime: requirements.lock | $(PY)
	@echo "Installing the locked libraries …"
	@$(PY) -m pip install --quiet --require-hashes -r requirements.lock
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: requirements-dev.lock $(STAMPS)/runtime
	@$(PY) -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(STAMPS)/bench: requirements-bench.lock $(STAMPS)/runtime
	@$(PY) -m pip install --quiet --require-hashes -r requirements-bench.lock
	@touch $@

$(STAMPS)/engine: pyproject.toml build_hook.py $(shell find protos -name '*.proto') $(STAMPS)/runtime
	@$(PY) -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

setup: $(STAMPS)/engine ## Create the environment, generate the contracts, install `engine`

setup-real: ## Install MariaDB and Redis from Debian, for `make verify` and `make chaos`
	@deploy/install-servers

generate: $(STAMPS)/runtime ## Generate the contracts' Python into build/gen
	@$(PY) build_hook.py generate

run: setup ## Run the whole platform with the demo bank: http://127.0.0.1:8080
	@ENGINE_DEMO=$${ENGINE_DEMO:-1} exec $(ENGINE) up

# What tests import and start is compiled once, also where the environment says not to.
PYTEST := PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -n 3
QUICK := -m "not slow and not real and not scale and not browser"

test: setup $(STAMPS)/dev $(STAMPS)/bench ## Run the tests (under 8 minutes on two cores)
	@$(PYTEST) $(QUICK)

verify: setup $(STAMPS)/dev $(STAMPS)/bench ## Run all tests, those of services on MariaDB and Redis too
	@$(PYTEST)
	@$(PYTEST) $(QUICK) --store mariadb --bus redis tests/integration

chaos: setup $(STAMPS)/dev $(STAMPS)/bench ## Kill and cut off at random: MINUTES=8, SEED=, ONLY=segment
	@$(PY) -m tests.fault.rounds --minutes $(or $(MINUTES),8) --seed $(or $(SEED),0) --only "$(ONLY)"

lint: setup $(STAMPS)/dev $(STAMPS)/bench ## Check style, types, layers and contracts
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .
	@$(PY) -m mypy
	@PYTHONPATH=.:build/gen .venv/bin/lint-imports --no-logo
	@$(PY) build_hook.py image >/dev/null && .venv/bin/buf lint build/image.binpb --config buf.yaml

fix: $(STAMPS)/dev ## Format, and mend what can be mended
	@$(PY) -m ruff check --fix . ; $(PY) -m ruff format .

load: setup $(STAMPS)/bench ## Put 30 s of load on the platform; fails on errors
	@$(PY) -m loadtests.run_load

bench: setup $(STAMPS)/bench ## Run all benchmark suites in full and write loadtests/RESULTS.md
	@$(ENGINE) bench run --results loadtests/RESULTS.md

conformance: setup $(STAMPS)/dev ## Run protobuf's JSON conformance suite through the gateway
	@$(PY) -m tests.conformance.protobuf_json

stubs: setup ## Build the wheels of typed stubs and of the client into dist/
	@$(PY) -m cli.wheels --out dist

clean: ## Remove what was built and the data of the demo
	@rm -rf build dist var .mypy_cache .pytest_cache .ruff_cache .hypothesis
