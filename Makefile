# Everything runs in .venv, which the first target makes. Stamps keep pip from running again for nothing.
.DEFAULT_GOAL := help
.PHONY: help demo test caption train bench chaos space smoke lint docs docs-run notices clean

VENV := .venv/bin
PIP := $(VENV)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
RUN_STAMP := .venv/.installed
# Tests run side by side in so many processes; those in a browser after them, each process with a browser and pages of
# its own: beside other tests a page that is watched would have less than a core.
WORKERS ?= 2
DEV_STAMP := .venv/.installed-dev
TRAIN_STAMP := .venv/.installed-train
DOCS_STAMP := .venv/.installed-docs

help:  ## This list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

demo: $(RUN_STAMP)  ## Set up, start the page and print its address (ARGS="--port 7861")
	@$(VENV)/python app.py $(ARGS)

test: lint  ## Lint, types and all tests; the last line is pytest's
	@tools/ensure_chromium.sh
	@$(VENV)/python -m pytest $(if $(ARGS),$(ARGS),-n $(WORKERS) --dist loadfile --ignore=tests/browser)
	@$(if $(ARGS),:,$(VENV)/python -m pytest -n $(WORKERS) --dist loadfile tests/browser)

caption: $(RUN_STAMP)  ## Caption a recording: make caption CLIP=speech.wav (ARGS="--mode edge")
	@test -n "$(CLIP)" || { echo "say which recording: make caption CLIP=path/to/speech.wav" >&2; exit 2; }
	@$(VENV)/ugsd caption "$(CLIP)" $(ARGS)

train: $(TRAIN_STAMP)  ## Train the embedded pair (ARGS as `ugsd train --help` says)
	@$(VENV)/ugsd train $(ARGS)

bench: $(RUN_STAMP)  ## Measure speed on this machine (ARGS as `ugsd bench --help` says)
	@$(VENV)/ugsd bench $(ARGS)

space: $(RUN_STAMP)  ## A folder to push to a Hugging Face Space: make space OUT=DIR (VARIANT=gpu)
	@test -n "$(OUT)" || { echo "say where: make space OUT=path/to/folder" >&2; exit 2; }
	@$(VENV)/python -m space_config.build "$(OUT)" --variant "$(or $(VARIANT),cpu)" --torch-index "$(TORCH_INDEX)"

lint: $(DEV_STAMP)  ## Ruff and mypy
	@$(VENV)/ruff check --quiet .
	@$(VENV)/ruff format --quiet --check .
	@$(VENV)/mypy

docs: $(DOCS_STAMP)  ## Build the documentation, warnings as errors, into build/docs
	@rm -rf build/docs docs/reference/modules
	@$(VENV)/python -m sphinx --quiet --fail-on-warning --keep-going docs build/docs
	@echo "The documentation is build/docs/index.html"

# For CI and maintainers, not in the list: captions over a transport that fails, each checked; sdist and wheel in dist/, installed in a clean environment and used without
# network; every command of the documentation run; the list of third parties written anew.
chaos: $(DEV_STAMP)
	@$(VENV)/python -m tools.chaos $(ARGS)

smoke: $(RUN_STAMP)
	@$(VENV)/python -m tools.smoke $(ARGS)

docs-run: $(DEV_STAMP)
	@$(VENV)/python -m tools.documentation $(ARGS)

notices: $(DOCS_STAMP)
	@$(VENV)/python -m tools.notices

clean:  ## Remove caches, run folders and the environment
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build dist runs docs/reference/modules *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@tools/ensure_venv.sh

$(RUN_STAMP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing into .venv (a few minutes the first time) …"
	@$(PIP) -e .
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing into .venv, with what the tests need (a few minutes the first time) …"
	@$(PIP) -e '.[dev,browser-test,train,postgres,oauth]'
	@touch $@ $(RUN_STAMP)

$(TRAIN_STAMP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing into .venv, with what training needs (a few minutes the first time) …"
	@$(PIP) -e '.[train]'
	@touch $@ $(RUN_STAMP)

$(DOCS_STAMP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing into .venv, with what the documentation needs (a few minutes the first time) …"
	@$(PIP) -e '.[dev,docs]'
	@touch $@ $(RUN_STAMP)
