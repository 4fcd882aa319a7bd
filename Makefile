# Everything below builds .venv first, from pinned and hashed requirements: a fresh machine needs python3 (3.11 or
# newer, with venv) and a network. `make PYTHON=python3.12 …` takes another Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := run
.PHONY: run test test-docker report lint lint-workflows lock machine nightly nightly-summary nightly-issues nightly-site

run: $(STAMP)
	$(BIN)/kafkaos run

# Recordings, Allure's results and JUnit's go to reports/out/test; `make report` renders them.
test: $(STAMP)
	rm -rf reports/out/test
	$(BIN)/pytest tests scenarios --kafka-out=reports/out/test --alluredir=reports/out/test/allure-results \
	  --junitxml=reports/out/test/junit.xml

# The main job and the scenarios in containers, of a local image: by default those of three brokers over mutual TLS, of
# special clusters, of clocks and of disks. `make test-docker DOCKER_PART=` runs them all.
DOCKER_PART ?= three-mtls or three-combined or scram or older or small-disks or f_time or f_storage
DOCKER_OUT := reports/out/docker
test-docker: $(STAMP)
	rm -rf $(DOCKER_OUT)
	$(BIN)/kafkaos image build
	$(BIN)/kafkaos run --backend docker --out $(DOCKER_OUT)/run
	$(BIN)/pytest scenarios --kafka-backend docker -k "$(DOCKER_PART)" --kafka-out=$(DOCKER_OUT)/scenarios \
	  --alluredir=$(DOCKER_OUT)/scenarios/allure-results --junitxml=$(DOCKER_OUT)/scenarios/junit.xml

report: $(STAMP)
	$(BIN)/kafkaos report reports/out/test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# actionlint is a Go program: built once from the Go module of this version, by its checksum.
ACTIONLINT := build/tools/actionlint-1.7.12
$(ACTIONLINT):
	GOBIN=$(CURDIR)/build/tools go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	mv build/tools/actionlint $@

lint-workflows: $(ACTIONLINT)
	$(ACTIONLINT) -shellcheck= -pyflakes= .github/workflows/*.yml

# What the tests use of the machine beside Python: a Chromium, Go, Node. Installs what is missing, where it may.
machine:
	.ci/machine

# Round after round, each with another seed, for MINUTES; goes on where it stopped. `make nightly MINUTES=10`.
MINUTES ?= 60
NIGHTLY := reports/out/nightly
nightly: $(STAMP)
	$(BIN)/kafkaos nightly --minutes $(MINUTES) --out $(NIGHTLY) $(if $(SCENARIOS),$(SCENARIOS)) \
	  $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(KAFKA),--kafka $(KAFKA)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(filter-out plain,$(SECURITY)),--security $(SECURITY)) $(if $(BACKEND),--backend $(BACKEND))

nightly-summary:
	@cat $(NIGHTLY)/summary.md 2>/dev/null || echo 'The night ended before its summary.'

# Of the nights that CI's jobs left in reports/out/nights: an issue for each new failure, and one site of all reports.
nightly-issues: $(STAMP)
	$(BIN)/python -m kafkaos.reporting.issues reports/out/nights/*

nightly-site: $(STAMP)
	$(BIN)/python -m kafkaos.reporting.site reports/out/nights reports/out/site

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
