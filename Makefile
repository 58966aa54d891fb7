# Verbs of the project. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# the first Python that really runs (a version manager's shim may not) and is new enough
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
UV_VERSION := 0.13.9
INSTALLED := $(VENV)/.installed
# what runs is not to be reinstalled under its feet: these verbs want an environment, not the newest one
PRESENT := $(if $(wildcard $(VENV)/bin/python),,$(INSTALLED))
STACK := $(PY) -m include.stack
# bytecode is kept, also where the environment forbids it beside the code: else each run compiles everything anew
PYTEST := env -u PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX="$(CURDIR)/var/cache/bytecode" $(PY) -m pytest
RESULTS := var/test-results

# make up FEED=replay FILE=trades.csv FACTOR=10
SETTINGS := $(if $(FEED),PIPELINE_FEED=$(FEED)) $(if $(FILE),PIPELINE_REPLAY_FILE="$(FILE)") \
            $(if $(FACTOR),PIPELINE_REPLAY_FACTOR=$(FACTOR)) $(if $(RATE),PIPELINE_GENERATOR_RATE=$(RATE))

.PHONY: help install up status logs down clean distclean test test-fast test-compose lint format bench bench-detect bench-recovery configuration lock compose-env

help: ## List the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Build the virtual environment from requirements.txt

$(INSTALLED): requirements.txt
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1 || true)." \
	  "Install one, or name it: make install PYTHON=/path/to/python3.12"; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || \
	  { echo "The venv module is not usable. On Debian and Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@$(PY) -m pip install --quiet uv==$(UV_VERSION)
	@echo "Installing $$(grep -c '^[a-z].*==' requirements.txt) pinned packages …"
	@$(VENV)/bin/uv pip install --python $(PY) --no-deps --require-hashes -r requirements.txt || \
	  $(PY) -m pip install --no-deps --require-hashes -r requirements.txt
	@touch $@

up: $(INSTALLED) ## Start everything and wait for rows   [FEED=generated|replay|live FILE=trades.csv FACTOR=1 RATE=20]
	@$(SETTINGS) $(STACK) up

status: $(PRESENT) ## Live table: processes, positions at each hop, rates, lag, freshness
	@$(STACK) status

logs: $(PRESENT) ## Follow the log of one process   NAME=btc_producer
	@$(STACK) logs $(NAME)

down: $(PRESENT) ## Stop everything
	@$(STACK) down

clean: $(PRESENT) ## Drop run-time state (data, logs, secrets); downloads stay
	@$(STACK) clean

distclean: clean ## Drop downloads and the virtual environment as well
	@rm -rf var/cache $(VENV)

# what needs services shares one stack, hence one process, after the rest has passed on all cores
test: lint test-fast ## All tests, on the real Kafka, database, Spark and Airflow
	@$(PYTEST) -m "(integration or e2e) and not engine" --junit-xml=$(RESULTS)/services.xml
	@$(PY) -m tests.support.total $(RESULTS)/fast.xml $(RESULTS)/services.xml

test-fast: $(INSTALLED) ## The fast tier: no services, on all cores
	@$(PYTEST) -m "not integration and not e2e and not engine" -n logical --maxprocesses=4 --dist loadfile --junit-xml=$(RESULTS)/fast.xml

test-compose: $(INSTALLED) ## The product in containers: images, up, faults, restart; with a private Docker engine if there is none
	@$(PY) -m tests.compose $(PYTEST) -m engine --junit-xml=$(RESULTS)/compose.xml

lint: $(INSTALLED) ## Style, boundaries and types
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

format: $(INSTALLED) ## Rewrite the code in the house style
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

bench: $(INSTALLED) ## Measure the hot paths and write docs/benchmarks.md   [ONLY=producer]
	@$(PY) -m include.drills.benchmarks $(if $(ONLY),--only $(ONLY))

bench-detect: $(INSTALLED) ## Measure detection on the labelled corpus, beside public rules, and write docs/benchmarks.md
	@$(PY) -m tests.detection.bench

bench-recovery: $(INSTALLED) ## Measure the way from each fault to fresh rows on the real stack, and write docs/benchmarks.md
	@BENCH_RECOVERY=1 $(PYTEST) -s tests/e2e/test_live_incidents.py

configuration: $(INSTALLED) ## Rewrite docs/configuration.md from the settings
	@$(PY) -m include.settings_page

lock: $(INSTALLED) ## Pin requirements.in to requirements.txt
	@$(VENV)/bin/uv pip compile requirements.in --override requirements.override --universal \
	  --python-version 3.11 --generate-hashes --no-header --quiet -o requirements.txt

compose-env: ## Write .env for docker compose: generated secrets, once; later only what is missing   [DOCKER_SOCKET=…]
	@$(if $(DOCKER_SOCKET),DOCKER_SOCKET="$(DOCKER_SOCKET)") "$(PYTHON)" -m include.stack.compose_env
