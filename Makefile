# Everything a person does with a checkout. Each target installs what it needs and says what that is.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SUDO   := $(if $(filter 0,$(shell id -u)),,sudo)
NAME   ?= timonier
REQUESTS ?= 50000
FOCUS  ?=
SKIP   ?=

RUN_PACKAGES   := python3-venv containerd runc containernetworking-plugins libnftables1 nftables iproute2 util-linux \
                  busybox-static
BENCH_PACKAGES := etcd-server

.PHONY: run test test-unit check docs fuzz crash conformance bench clean install packages bench-packages test-clients lock

run: install packages  ## a cluster, a web application on it, and a look at how it heals
	$(SUDO) $(BIN)/timonier start --name $(NAME)
	$(SUDO) $(BIN)/timonier demo --name $(NAME)

test: install packages test-clients  ## everything, with real containers and packets; coverage of the pure parts
	$(BIN)/pytest -q -n 2 -m "not machine" --cov --cov-report=
	$(BIN)/coverage report --include='*/api/*,*/store/*,*/reconcile/*,*/controllers/*,*/scheduler/*' --skip-covered
	$(SUDO) $(BIN)/pytest -q -p no:cacheprovider -m machine

test-unit: install  ## what needs no root, no containers and no namespaces
	$(BIN)/pytest -q -n auto -m "not machine"

check: install  ## style, types, layers, lock
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@cp requirements.lock $(VENV)/fresh.lock
	$(BIN)/uv pip compile --quiet --group dev pyproject.toml --generate-hashes --python-version 3.11 \
	    --no-header --output-file $(VENV)/fresh.lock && diff requirements.lock $(VENV)/fresh.lock

docs: install  ## write the pages of docs/reference that derive from the code
	$(BIN)/python scripts/reference.py

fuzz: install packages  ## random requests against a real API server: ours, then schemathesis on each of its documents
	$(SUDO) env PYTHONPATH=tests $(BIN)/python -m fuzz --requests $(REQUESTS)
	$(SUDO) env PYTHONPATH=tests $(BIN)/python -m fuzz --schemathesis 20

crash: install packages  ## the crash suites at length: 200 kills of an API server under load
	$(SUDO) env CRASH_STORES=20 $(BIN)/pytest -q -p no:cacheprovider -m machine tests/apiserver/test_api_crash.py

conformance: install packages bench-packages  ## Kubernetes's conformance suite, or what FOCUS says of it, on a cluster
	$(SUDO) env PYTHONPATH=tests $(BIN)/python -m conformance --focus '$(FOCUS)' --skip '$(SKIP)'

bench: install packages bench-packages  ## every figure beside its floor or its peer, from this machine and this run
	$(SUDO) $(BIN)/python bench

install: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml $(wildcard generate/*.py) $(wildcard src/timonier/node/cri/*.proto)
	@echo "Installing Timonier and its Python packages in $(VENV)"
	@test -x $(BIN)/uv || { $(PYTHON) -m venv --clear $(VENV) 2>/dev/null || \
	    { $(MAKE) --no-print-directory packages && $(PYTHON) -m venv --clear $(VENV); }; $(BIN)/pip install --quiet uv; }
	$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	$(BIN)/python -m compileall -q src
	@touch $@

packages:
	@./scripts/debian-packages $(RUN_PACKAGES)

bench-packages:
	@./scripts/debian-packages $(BENCH_PACKAGES)

test-clients: install
	@PYTHONPATH=tests $(BIN)/python -m support.kubectl
	@PYTHONPATH=tests $(BIN)/python -m support.helm
	@PYTHONPATH=tests $(BIN)/python -m support.go_client
	@PYTHONPATH=tests $(BIN)/python -m support.merge_cases
	@PYTHONPATH=tests $(BIN)/python -m support.node_client

lock:  ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --upgrade --group dev pyproject.toml --generate-hashes --python-version 3.11 \
	    --no-header --output-file requirements.lock

clean:  ## remove every cluster on this machine, and what was installed in the checkout
	-test -x $(BIN)/timonier && $(SUDO) $(BIN)/timonier delete --all
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .cache
