PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test coverage exhaustive torture docs lint clean

# The stamp is newer than the packaging files exactly when the environment matches them.
$(VENV)/.installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[examples,dev]'
	$(BIN)/python -m pip install --quiet --no-deps pnnx  # which PyTorch would come with, and not be used
	touch $@

demo: $(VENV)/.installed
	$(BIN)/kdcompress distill mnist-demo --out runs/demo
	$(BIN)/kdcompress verify runs/demo
	$(BIN)/kdcompress export runs/demo --format all --precision all
	$(BIN)/kdcompress bench runs/demo
	$(BIN)/kdcompress report runs/demo

test: $(VENV)/.installed lint
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

# Reported, not a goal: what no test runs is where to look first.
coverage: $(VENV)/.installed
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal --cov --cov-report=term:skip-covered

# What `make test` has a part of: every layer, network of keras.applications, policy, hostile file, form of outputs.
exhaustive: $(VENV)/.installed
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal -m exhaustive

# Half an hour: every hostile file through every command, damaged files, kills, full disks; `make test` has some of it.
torture: $(VENV)/.installed
	$(BIN)/python tests/trust/torture.py

# Into docs/site, which also opens from disk; strict, so that a broken link fails
docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --config-file docs/mkdocs.yml

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What tests of the demo page need, beside a Chromium; without these they skip
node_modules/onnxruntime-web: kdcompress/demonstration/_ort_web.py
	npm install --prefix . --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
		onnxruntime-web@$$(sed -n 's/^VERSION = "\(.*\)"/\1/p' $<)
	touch $@

clean:
	rm -rf $(VENV) node_modules runs docs/site build dist *.egg-info
