# Two commands on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEPLOY := .venv-deploy
PIP    := $(BIN)/pip install --quiet --constraint constraints.txt

.PHONY: help setup demo serve test test-all test-deploy lint format proto bench bench-peers clean

help:
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: constraints.txt $(wildcard pyproject.toml clients/python/pyproject.toml plugins/*/pyproject.toml)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable . --editable clients/python
	$(PIP) --editable .[cpu,server,testing,training,dev] $(patsubst %,--editable %,$(wildcard plugins/*))
	touch $@

setup: $(VENV)/.installed ## make the virtual environment

demo: setup ## stream samples of real models, classify them, and write out/demo
	@$(BIN)/genservice demo --out out/demo

serve: setup ## serve the models that ship with the plugins
	$(BIN)/genservice serve

test: setup ## run the tests, without the slow ones
	$(BIN)/pytest -m "not slow and not gpu and not deploy"

test-all: setup ## run all tests but those of deploy/
	$(BIN)/pytest -m "not deploy"

$(DEPLOY)/.installed: deploy/requirements.txt
	test -x $(DEPLOY)/bin/python || $(PYTHON) -m venv $(DEPLOY)
	$(DEPLOY)/bin/pip install --quiet --requirement deploy/requirements.txt
	touch $@

test-deploy: setup $(DEPLOY)/.installed ## check what is in deploy/; Debian's tools in .ci/run help
	GENSERVICE_DEPLOY_TOOLS=$(CURDIR)/$(DEPLOY) $(BIN)/pytest -m deploy tests/deploy

lint: setup ## check style, types, layers and protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint

format: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: ## generate the stubs of protos/
	protos/generate.sh

bench: setup ## print a JSON line for each figure
	$(BIN)/python -m benchmarks

bench-peers: setup ## install the servers that `bench` compares with, outside of this folder
	$(BIN)/python -m benchmarks.peers

clean: ## remove what was built
	rm -rf $(VENV) $(DEPLOY) .venv-proto .venv-newest out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
