# Every target is a line or two that you could type yourself. `make demo` and `make test` need only Python and a network.
PYTHON ?= python3
DATA ?=
# Which tests `make test` runs.
MARKS ?= not slow
# How many tests run at a time, but for those below.
TEST_JOBS ?= 2
# Tests with leases, probes and time-outs in them: with the machine to themselves, one after the other.
ALONE := $(addprefix tests/,client demo docker faults integration streams worker test_embedded.py test_faults.py \
	plugins/test_observers.py)
BUNDLE ?= models/demo
TEXTS ?= models/demo-texts.csv
# How long `make soak` takes.
MINUTES ?= 10
# A folder of reference data sets, one folder each; tests that need them are skipped where there is none.
SORTGATE_TEST_DATA ?= $(abspath $(wildcard ../shared/data))
export SORTGATE_TEST_DATA

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Build environments are constrained too: older pips read the first variable for them, newer ones the second.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
PROJECTS := pyproject.toml training/pyproject.toml constraints.txt

.PHONY: help demo test test-all lint bench docs soak sbom install install-dev clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 11

demo: install  ## train, start Redis and two workers, stream 20,000 texts; DATA=folder uses its train and test files
	$(BIN)/sortgate demo $(if $(DATA),--data "$(DATA)")

test: install-dev  ## everything but the slow tests, against a private Redis
	$(PYTEST) -n $(TEST_JOBS) --dist loadfile tests plugins $(ALONE:%=--ignore=%) -m "$(MARKS)"; first=$$?; \
	$(PYTEST) $(ALONE) -m "$(MARKS)"; second=$$?; \
	case $$first-$$second in 0-0 | 0-5 | 5-0) ;; *) exit 1 ;; esac  # 5: none of these has such a mark

test-all:  ## the slow tests too: install flavours, image steps, long faults
	$(MAKE) test MARKS="slow or not slow"

lint: install-dev  ## ruff, mypy --strict, yamllint
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy worker training $(PLUGINS:%=%/sortgate_*) && $(BIN)/yamllint --strict docker .pre-commit-config.yaml

bench: install-dev $(BUNDLE)  ## texts a second beside one-text-a-task Celery; BUNDLE=folder TEXTS=file.csv for your own
	$(BIN)/python benchmarks/serving/run.py $(BUNDLE) $(TEXTS)

models/demo:
	mkdir -p models && $(BIN)/python -m sortgate.demo.texts 20000 > models/demo-texts.csv
	$(BIN)/sortgate demo --models models

docs: install-dev  ## write docs/reference and the index of the decisions
	$(BIN)/python docs/generate.py

soak: install-dev  ## half load and a fault every 20 seconds for ten minutes, or as many as MINUTES says; then the count
	SORTGATE_SOAK_MINUTES=$(MINUTES) $(PYTEST) -s tests/faults/test_soak.py

sbom: install  ## what is installed, as CycloneDX in build/sbom.json; all of it must be pinned, and no version known bad
	test -x .venv-sbom/bin/python || $(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/sbom-requirements.txt
	mkdir -p build && .venv-sbom/bin/cyclonedx-py environment --output-reproducible -o build/sbom.json .venv
	$(BIN)/python -m pip check --disable-pip-version-check && .venv-sbom/bin/python .ci/audit.py build/sbom.json

install: .venv/demo.stamp
install-dev: .venv/dev.stamp

.venv/demo.stamp: $(PROJECTS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e ".[worker,embedded]" -e training
	touch $@

.venv/dev.stamp: .venv/demo.stamp $(PLUGINS:%=%/pyproject.toml)
	$(INSTALL) -e ".[dev]" -e training $(PLUGINS:%=-e %)
	touch $@

clean:  ## remove the virtual environment and what was built
	rm -rf .venv .venv-sbom build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
