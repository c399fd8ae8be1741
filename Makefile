# Every target does its own set-up: Python ≥ 3.11 and make are all it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TRAIN_VENV := .venv-train

.PHONY: demo test check bench bench-gates test-train clean

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
	@$(TRAIN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(TRAIN_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,train]'
	@$(TRAIN_VENV)/bin/python -m pytest tests/train

clean:
	rm -rf $(VENV) $(TRAIN_VENV) build dist .pytest_cache .mypy_cache .ruff_cache
