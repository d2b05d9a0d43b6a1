# make demo: the main job on embedded parts.  make test: everything is set up and tested.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY) ## Make a virtual environment with everything in it, in .venv

demo: $(READY) ## Show the main job on embedded parts, in about a minute; needs no server
	@$(BIN)/lockstep demo

demo-billing: $(READY) ## Show an app and its billing (a stand-in of Zuora) in lockstep, in seconds; needs no server
	@$(BIN)/python examples/billing/story.py

test: $(READY) ## Run all tests; those whose server cannot be had are skipped, and say how to get it
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY) ## Check formatting, lints, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-load: $(READY) ## Load flights → OpenSearch, beside a bare bulk client and PGSync; SIZE=small|full
	@$(BIN)/python -m bench.load

bench-changes: $(READY) ## Measure changes a second, and how long one takes, beside PGSync; SIZE=small|full
	@$(BIN)/python -m bench.changes

bench-verify: $(READY) ## Measure checks of 1,000,000 records, beside raw sums and reads of them; SIZE=small|full
	@$(BIN)/python -m bench.verify

bench-recovery: $(READY) ## Measure a redrive beside derivation, and a restore beside a full load; SIZE=small|full
	@$(BIN)/python -m bench.recovery

bench-billing: $(READY) ## Count the calls of Zuora's API that accounts cost, on the stand-in; SIZE=small|full
	@$(BIN)/python -m bench.billing

soak: $(READY) ## Run ten minutes of mixed load with a fault every 20 seconds; LASTS=… EVERY=… RATE=… SEED=…
	@$(BIN)/python -m tests.soak

soak-billing: $(READY) ## Run random histories of accounts under all faults of Zuora's stand-in, killed again and again; ACCOUNTS=… ZONE=…
	LOCKSTEP_ZUORA_ACCOUNTS=$${ACCOUNTS:-1000} LOCKSTEP_ZUORA_ZONE=$${ZONE:-Pacific/Auckland} $(BIN)/pytest -s -q --timeout 3600 tests/zuora/test_storm.py

model: $(READY) ## Run the model-based test with new random walks, for some minutes; MODEL_EXAMPLES=…
	MODEL_EXAMPLES=$${MODEL_EXAMPLES:-60} $(BIN)/pytest -n 2 tests/model

docs: $(READY) ## Write the pages that come from the code and the tests
	$(BIN)/python -m lockstep.cli.docs > docs/cli.md
	$(BIN)/python -m tests.types.page

servers: $(READY) ## Fetch, ahead of time, the servers that tests start and the judges of stand-ins
	$(BIN)/python -m lockstep.testing.servers.fetch
	$(BIN)/python -m tests.twins.judges.fetch

lock: ## Lock the dependencies
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --all-extras --group dev --group build pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 requirements/zuora-judges.in -o requirements/zuora-judges.txt

clean: ## Remove everything that was made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

.PHONY: help setup demo test check docs bench-load bench-changes bench-verify bench-recovery soak soak-billing model servers lock clean
