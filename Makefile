# Every target sets up what it needs in .venv, on a machine with Python 3.11+ and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One more than there are cores: tests of processes wait a good part of their time.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))')
DIR ?=
ONLY ?=
DB ?= sqlite
DEMO_DIR ?= demo-work

.PHONY: demo test lint vectors bench faults docs clean help

help: ## Say what the targets are.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("stage needs Python 3.11 or newer, this is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[arrow,astro]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) --editable '.[arrow,astro,htcondor,parsl,postgres,rubin,test,lint]'
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) --editable '.[docs]'
	@touch $@

demo: $(VENV)/.base ## Simulate a small sky survey and take a campaign all the way round.
	$(BIN)/stage demo $(DEMO_DIR) --yes

test: $(VENV)/.dev ## Run the tests.
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

faults: $(VENV)/.dev ## The long form of the crash, race and corruption tests; ends with what each promise was put to the test by.
	STAGE_FAULTS=long $(BIN)/python -m pytest tests/faults \
		tests/integration/test_batch_sites.py tests/integration/test_batch_ssh.py tests/integration/test_batch_unconnected.py \
		tests/integration/test_bundle.py tests/integration/test_campaign_afar.py tests/integration/test_campaign_kill.py tests/integration/test_clone_kill.py tests/integration/test_clone_resumed.py tests/integration/test_decision_table.py tests/integration/test_examples.py \
		tests/integration/test_from_graph.py tests/integration/test_fsck.py tests/integration/test_fsck_campaign.py tests/integration/test_fsck_interrupted.py tests/integration/test_history.py \
		tests/integration/test_outputs_far.py tests/integration/test_push_stores.py tests/integration/test_signals.py \
		tests/integration/test_stack_commands.py tests/integration/test_steps_left_out.py tests/property/test_build_split.py tests/property/test_plan_run.py \
		tests/property/test_pull_answers.py tests/property/test_push_plan.py tests/property/test_registry_machine.py tests/property/test_run_stack.py \
		tests/property/test_sync_machine.py

vectors: $(VENV)/.dev ## Compare with the answers of the reference system.
	$(BIN)/python -m tests.vectors.run $(if $(DIR),--dir $(DIR)) $(if $(ONLY),--only $(ONLY)) --db $(DB)

bench: $(VENV)/.dev ## Measure; ONLY=graph,run,sync chooses.
	$(BIN)/python -m benchmarks.run $(if $(ONLY),--only $(ONLY))

lint: $(VENV)/.dev ## Style, types, import contracts, docstrings, spelling.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.lint_docstrings
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs registry sync stage cli examples benchmarks

docs: $(VENV)/.docs ## Build the documentation site in docs/_build/html.
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean: ## Remove what the targets made.
	rm -rf $(VENV) build *.egg-info docs/_build $(DEMO_DIR) .pytest_cache .mypy_cache .ruff_cache
