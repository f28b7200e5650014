# What a person types here. `make` alone tells what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
PY := $(VENV)/bin/python
WORKERS ?= 3
ARGS ?=
FOR ?=

# pip takes its index, certificates and time-outs from its own configuration; nothing here names one.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test torture bench lint services lock audit sbom schema clean

help:  ## this list
	@echo "synthmon: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.has-demo  ## start the demo shop (127.0.0.1:9870) and synthmon watching it (127.0.0.1:9880); FOR=60s ends it by itself, PORT=10870 takes other ports
	@$(VENV)/bin/synthmon demo $(if $(FOR),--for $(FOR)) $(if $(PORT),--port $(PORT))

test: $(VENV)/.has-dev  ## run the tests; ARGS="tests/core -k slots" picks some; with CI=true a skip is a failure
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not torture" $(ARGS)

torture: $(VENV)/.has-dev  ## run the long tests: kill -9, power cuts, a simulated month
	@$(PY) -m pytest -m torture $(ARGS)

bench: $(VENV)/.has-dev  ## measure speed and memory against the goals; alone on the machine, please
	@$(PY) -m tests.bench $(ARGS)

lint: $(VENV)/.has-dev  ## style, layout and types: ruff check, ruff format --check, mypy strict, shellcheck
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/shellcheck .ci/*

services:  ## install the real servers that the tests use (Debian packages; not started as services)
	@.ci/services

lock: $(VENV)/.has-dev  ## write deploy/*.lock anew: every dependency of the image, pinned by hash
	@cd deploy && export CUSTOM_COMPILE_COMMAND="make lock" && \
	compile=(../$(PY) -m piptools compile --quiet --no-config --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --upgrade) && \
	"$${compile[@]}" --extra postgres --extra uvloop --output-file requirements.lock ../pyproject.toml && \
	"$${compile[@]}" --build-deps-for wheel --only-build-deps --output-file build.lock ../pyproject.toml

audit: $(VENV)/.has-audit  ## ask the package index for known weaknesses in what the image holds; fails if it cannot be asked
	@$(PY) -m pip_audit --strict --disable-pip --require-hashes --requirement deploy/requirements.lock

sbom: $(VENV)/.has-dev  ## write synthmon.cdx.json: every distribution that the image installs, with its hashes (CycloneDX)
	@$(PY) -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-format JSON --output-file synthmon.cdx.json deploy/requirements.lock
	@echo "synthmon.cdx.json"

schema: $(VENV)/.has-dev  ## write synthmon.schema.json, with which an editor completes and checks journeys
	@$(VENV)/bin/synthmon schema > synthmon.schema.json.new && mv synthmon.schema.json.new synthmon.schema.json
	@echo "synthmon.schema.json"

clean:  ## remove the virtual environment and everything that was built or cached here
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis synthmon.schema.json synthmon.schema.json.new synthmon.cdx.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp a set of extras: made anew when pyproject.toml changed, or when the Python behind it is gone.
$(VENV)/.has-%: pyproject.toml .ci/venv
	@.ci/venv $(VENV) $*
	@touch $@

ifneq ($(wildcard $(VENV)/.),)
ifeq ($(shell $(PY) -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null),)
$(shell rm -f $(VENV)/.has-*)
endif
endif
