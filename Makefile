# Everything below builds .venv first, from pinned and hashed requirements: a fresh machine needs python3 (3.11 or
# newer, with venv) and a network. `make PYTHON=python3.12 …` takes another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := run
.PHONY: run test lint lock

run: $(STAMP)
	$(BIN)/kafkaos run

test: $(STAMP)
	$(BIN)/pytest tests scenarios

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(STAMP): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kafkaos needs Python 3.11 or newer, and $(PYTHON) is not: install one and give it by make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) lacks venv: install it (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Newest versions that pyproject.toml allows, for every Python and platform that it names; no registry is named.
COMPILE = build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
  --no-emit-index-url --no-emit-find-links --no-annotate --upgrade

lock:
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) pyproject.toml --output-file requirements/runtime.txt
	$(COMPILE) pyproject.toml --group dev --output-file requirements/dev.txt
	for wanted in scenarios/*/requirements.in; do $(COMPILE) $$wanted --output-file $${wanted%.in}.txt || exit 1; done
	rm -rf build/lock
