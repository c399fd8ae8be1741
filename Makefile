# Every target does its own set-up: Python ≥ 3.11 and make are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TRAIN_VENV := .venv-train
READER := .venv-readers-

.PHONY: demo test check bench bench-gates test-train test-readers clean

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)  ## the main job on the embedded defaults: no key, no network; ends by showing what it made
	@$(BIN)/python examples/demo.py

test: $(STAMP)  ## the tests
	@$(BIN)/python -m pytest -n auto

check: $(STAMP)  ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP)  ## speed and memory, as ratios against a baseline in the same run
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

bench-gates: $(STAMP)  ## how often each gate is wrong, on labelled data
	@$(BIN)/python benchmarks/gate_accuracy.py

test-train: $(STAMP)  ## real trainers on what we export, in an environment of their own (PyTorch, CPU)
	@test -x $(TRAIN_VENV)/bin/python || $(PYTHON) -m venv $(TRAIN_VENV)
	@$(TRAIN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 peft==0.21.2
	@$(TRAIN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,train]'
	@$(TRAIN_VENV)/bin/python -m pytest tests/train

# Each reader with the releases that it asks for, and without what its data readers never import.
$(READER)axolotl/.installed:
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check transformers==5.16.1 datasets==4.8.4 accelerate==1.13.0 \
	  peft==0.20.0 trl==1.9.0 huggingface_hub==1.17.0 tokenizers==0.23.1 pydantic==2.12.5 PyYAML==6.0.3 posthog==6.7.11 addict colorama \
	  numba pillow
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps axolotl==0.19.0
	@touch $@

$(READER)llamafactory/.installed:
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check transformers==5.6.0 datasets==4.0.0 accelerate==1.11.0 \
	  peft==0.18.1 trl==0.24.0 omegaconf fire
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llamafactory==0.9.5
	@touch $@

test-readers: $(STAMP)  ## the data readers of Axolotl and LLaMA-Factory on what we export; one that cannot be installed is skipped
	@for name in axolotl llamafactory; do $(MAKE) --no-print-directory $(READER)$$name/.installed || echo "$$name: not installed"; done
	@READERS=$(CURDIR) $(BIN)/python -m pytest -rs tests/readers

clean:
	rm -rf $(VENV) $(TRAIN_VENV) $(READER)* build dist .pytest_cache .mypy_cache .ruff_cache
