# make demo: the main job on embedded parts.  make test: everything is set up and tested.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

help: ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

$(READY): pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY) ## A virtual environment with everything in it, in .venv

demo: $(READY) ## The main job on embedded parts: no server needed, under 90 seconds
	@$(BIN)/lockstep demo

demo-billing: $(READY) ## An app's subscriptions and a stand-in of Zuora in lockstep; no server needed, some seconds
	@$(BIN)/python examples/billing/story.py

test: $(READY) ## All tests; servers that can't be had are skipped, and the tests say how to get them
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY) ## Formatting, lints, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-load: $(READY) ## flights → OpenSearch beside a bare bulk client and PGSync; SIZE=small|full
	@$(BIN)/python -m bench.load

bench-changes: $(READY) ## Changes a second, and how long one takes, beside PGSync; SIZE=small|full
	@$(BIN)/python -m bench.changes

bench-verify: $(READY) ## Checks of 1,000,000 records beside raw sums and reads of them; SIZE=small|full
	@$(BIN)/python -m bench.verify

bench-recovery: $(READY) ## A redrive beside derivation; a wiped index restored beside a full load; SIZE=small|full
	@$(BIN)/python -m bench.recovery

bench-billing: $(READY) ## Calls of Zuora's API that accounts cost, on the stand-in, beside the goals; SIZE=small|full
	@$(BIN)/python -m bench.billing

soak: $(READY) ## Ten minutes of mixed load with a fault every 20 seconds; LASTS=… EVERY=… RATE=… SEED=…
	@$(BIN)/python -m tests.soak

soak-billing: $(READY) ## Random histories of accounts under all faults of the stand-in of Zuora, killed again and again; ACCOUNTS=… ZONE=…
	LOCKSTEP_ZUORA_ACCOUNTS=$${ACCOUNTS:-1000} LOCKSTEP_ZUORA_ZONE=$${ZONE:-Pacific/Auckland} $(BIN)/pytest -s -q --timeout 3600 tests/zuora/test_storm.py

model: $(READY) ## The model-based test with new random walks, for some minutes; MODEL_EXAMPLES=…
	MODEL_EXAMPLES=$${MODEL_EXAMPLES:-60} $(BIN)/pytest -n 2 tests/model

docs: $(READY) ## The pages that are written from the code and the tests
	$(BIN)/python -m lockstep.cli.docs > docs/cli.md
	$(BIN)/python -m tests.types.page

servers: $(READY) ## Fetches the servers the tests start, and the judges of stand-ins, ahead of time
	$(BIN)/python -m lockstep.testing.servers.fetch
	$(BIN)/python -m tests.twins.judges.fetch

lock: ## Locks the dependencies anew
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --all-extras --group dev --group build pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 requirements/zuora-judges.in -o requirements/zuora-judges.txt

clean: ## Removes what was made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

.PHONY: help setup demo test check docs bench-load bench-changes bench-verify bench-recovery soak soak-billing model servers lock clean
