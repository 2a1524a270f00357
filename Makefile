# Every command makes its own virtual environment first, if it is missing or out of date. Start with: make help
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# the shell takes these from its environment: pasted into a command, a value's quotes would end it
export SQL DATABASE ID PROPERTY VALUE PARENT_PAGE ENTITY SEEDS RUNS PYTHON
# what tests run with, where it is said: PLUGIN=pgoutput, POSTGRES=18 (the wheel's, which has pgoutput only). Variables
# of these names in somebody's environment are about something else
export TEST_PLUGIN := $(if $(filter command,$(origin PLUGIN)),$(PLUGIN))
export TEST_POSTGRES := $(if $(filter command,$(origin POSTGRES)),$(POSTGRES))
.PHONY: help run test test-all chaos bench check setup backfill status psql edit postgres-minors lock clean
# relative throughout: the clone's path may have spaces
PY := .venv/bin/python
READY := .venv/.stamp
# most tests wait for other processes most of the time; a file stays with one worker, which has a Postgres of its own
# in the order of the folders: the quick ones come last, and no worker is left alone with the slowest file
WORKERS := -n 5 --dist loadfile --no-loadscope-reorder

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: $(READY)  ## Start everything; nothing configured: a demo with its own Postgres and Notion stand-in
	@exec $(PY) -m deploy.local.run

test: $(READY)  ## Run the core tests (ARGS="-k name" narrows them; PLUGIN=pgoutput, POSTGRES=18)
	@$(PY) -m pytest -m "not slow" $(WORKERS) $(ARGS)

test-all: $(READY)  ## Run every test, slow ones too
	@$(PY) -m pytest $(WORKERS) $(ARGS)

chaos: $(READY)  ## Operations, faults and kills at random, judged by a model (SEEDS=steps,1-200)
	@$(PY) -m tests.chaos "$${SEEDS:-steps,1-5}" --logs .local/chaos

bench: $(READY)  ## Measure it beside peers and limits, and print one table (ROWS="capture latency", RUNS=5, QUICK=1)
	@$(PY) -m tests.bench $(ROWS) $(if $(RUNS),--runs "$$RUNS") $(if $(filter-out 0 no false,$(QUICK)),--quick)

check: $(READY)  ## Lint, types and the direction of imports
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/test_architecture.py

setup: $(READY)  ## Create or complete the seven Notion databases (PARENT_PAGE=id or URL)
	@exec $(PY) -m deploy.local.cli setup $(if $(PARENT_PAGE),"$$PARENT_PAGE")

backfill: $(READY)  ## Bring every row to Notion (ENTITY=participant, DRY_RUN=1)
	@exec $(PY) -m deploy.local.cli backfill $(if $(ENTITY),--entity "$$ENTITY") $(if $(filter-out 0 no false,$(DRY_RUN)),--dry-run)

status: $(READY)  ## Show where the sync stands
	@exec $(PY) -m deploy.local.cli status

psql: $(READY)  ## Open psql in the running demo (SQL="update ..." runs one statement)
	@exec $(PY) -m deploy.local.psql $(if $(SQL),-c "$$SQL")

edit: $(READY)  ## Edit a page in the running demo's Notion (DATABASE= ID= PROPERTY= VALUE=)
	@exec $(PY) -m deploy.local.edit "$$DATABASE" "$$ID" "$$PROPERTY" "$$VALUE"

postgres-minors: $(READY)  ## Try every minor of Postgres that apt offers: start, slot, one change, stop
	@$(PY) -m deploy.local.minors

lock: $(READY)  ## Write constraints.txt anew from pyproject.toml, with the newest versions
	@rm -rf .local/lock && $(PY) -m venv .local/lock
	@.local/lock/bin/python -m pip --disable-pip-version-check install -qq -e '.[dev]'
	@.local/lock/bin/python -m pip freeze --exclude-editable > .local/constraints.txt
	@mv .local/constraints.txt constraints.txt && rm -rf .local/lock

clean:  ## Stop the demo's server and remove all that these commands have made, but for apt's packages
	@python=$(PY); $$python -c '' 2>/dev/null || python=python3; $$python -m deploy.local.postgres destroy
	@rm -rf .venv .local build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt deploy/local/bootstrap.sh
	@sh deploy/local/bootstrap.sh
