# Needs Python 3.11 or later and make; uses uv where it is there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
LOCK := requirements-test.lock

ifdef UV
CREATE = uv venv --quiet --python $(PYTHON) $(VENV)
INSTALL = uv pip install --quiet --python $(BIN)/python
else
CREATE = $(PYTHON) -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: demo quick test coverage fuzz site wheel bundle lab golden pictures bench bench-app bench-live bench-fleet wheels clean

demo: $(VENV)/.installed  ## set up, and open the bundled recording of a real Puppet Server
	@$(BIN)/inspector demo

test: $(VENV)/.tested  ## set up, and run all tests, style and types included
	$(BIN)/python -m pytest

quick: $(VENV)/.tested  ## types, style, parsers, rules, segmentation, goldens: under a minute, for every change (the list stands in tests/conftest.py)
	$(BIN)/python -m pytest -m quick

coverage: $(VENV)/.tested  ## run all tests and print which lines and branches none of them takes; also the shares by room, of which some may not fall below 95 %
	@mkdir -p build/coverage
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/python -m tests.branches
	$(BIN)/coverage report

MINUTES ?= 5
fuzz: $(VENV)/.fuzz  ## all parsers under the coverage-guided fuzzer for MINUTES together (5), then the captures harmed by the thousand (HARMED=0 for none)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)
	$(BIN)/python -m tests.fuzz.captures $(or $(HARMED),1000) $$(date +%s)

golden: $(VENV)/.tested  ## write golden analyses, pictures of screens and generated documents anew
	$(BIN)/python -m pytest tests/test_golden.py tests/test_docs.py tests/test_keys.py --update-golden
	$(BIN)/python -m pytest tests/test_screens.py --snapshot-update

pictures: $(VENV)/.tested  ## draw the README's pictures from the program
	$(BIN)/python -m tests.pictures

bench: $(VENV)/.tested  ## measure analyze on large captures made for it, beside tshark, ssldump and tcpdump (BENCH="--only scan -n 1" for less)
	$(BIN)/python -m tests.bench_analyze $(BENCH)

bench-app: $(VENV)/.tested  ## measure the app with a hundred thousand connections, and with captures of 5 GB
	$(BIN)/python -m tests.bench_app 100000
	$(BIN)/python -m tests.bench_large

bench-live: $(VENV)/.tested  ## measure live capture under load, beside dumpcap (root; needs ip, ethtool, tcpreplay, dumpcap; BENCH="usual fast" for less)
	$(BIN)/python -m tests.bench_live $(BENCH)

bench-fleet: $(VENV)/.tested  ## measure 5 GB of captures by a cluster, and an estate of 5 million connections as facts (14 GB of memory)
	$(BIN)/python -m tests.bench_cluster
	$(BIN)/python -m tests.bench_fleet --connections 5000000

bundle: $(VENV)/.tested  ## one archive for hosts without a network, into dist/
	@sh docs/locked-down/make.sh $(BIN)/python dist

lab: $(VENV)/.installed  ## record the fault with HAProxy, three back ends and a Java client into build/lab (root; says what is missing)
	@$(BIN)/python captures/lab/lab.py build/lab

site: $(VENV)/.site  ## the documents as a site to be read without a network, search included, into build/site
	$(BIN)/sphinx-build -q -W --keep-going -c docs/site . build/site
	@echo "build/site/docs/index.html"

wheels: $(VENV)/.tested  ## ask the package index whether all dependencies have wheels for aarch64 and x86-64, Python 3.11 to 3.14
	@$(BIN)/python -m tests.wheels

wheel: $(VENV)/.tested  ## build the wheel into dist/
	$(BIN)/python -m build --wheel --quiet

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.11" >&2; exit 1; }
	$(CREATE)

$(VENV)/.installed: pyproject.toml $(LOCK) | $(VENV)/bin/python
	$(INSTALL) --constraint $(LOCK) --editable .
	@$(BIN)/python -m compileall -q inspector
	@touch $@

$(VENV)/.tested: $(VENV)/.installed $(LOCK)
	$(INSTALL) --requirement $(LOCK)
	@touch $@

$(VENV)/.site: docs/site/requirements.txt | $(VENV)/.installed
	$(INSTALL) --requirement docs/site/requirements.txt
	@touch $@

$(VENV)/.fuzz: $(VENV)/.tested
	@$(INSTALL) --constraint $(LOCK) --editable '.[fuzz]' || { echo "THE GUIDED FUZZER CANNOT BE INSTALLED: atheris has no wheel for this Python or machine; make test runs its corpus without it" >&2; exit 3; }
	@touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
