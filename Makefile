# What a person types. Needs make and Python 3.11 or newer; everything else comes from the lock in requirements/.
#
#   make demo PYTHON=/usr/bin/python3.12     with an interpreter of your choice
#   make test VENV=/tmp/other                in an environment of your choice
#   make test JOBS=0                         one test after the other

VENV ?= .venv
PYTHON ?=
UV ?= $(shell command -v uv 2>/dev/null)
# How many tests run at once: most of them wait most of the time.
JOBS ?= 3

BIN = $(VENV)/bin
LOCKED = $(VENV)/.locked
READY = $(VENV)/.ready

# Without byte code every start takes twice as long. A PYTHONPATH would put strangers before what the lock names.
unexport PYTHONDONTWRITEBYTECODE
unexport PYTHONPATH

.DELETE_ON_ERROR:
.PHONY: help setup setup-fuzz setup-examples fuzz demo test drills gameday healthy tampering kills races lint bench dist lock

help:
	@echo "make demo    break a real service, find out, decide, roll back, verify, write the postmortem"
	@echo "make test    run the tests"
	@echo "make drills  hold every fault of the catalogue, measure what that exercised, weaken the runbook and see it noticed"
	@echo "make gameday  random faults on one stack for ten minutes (DURATION=1h): none may be lost"
	@echo "make healthy  look 30 times at what is well (ROUNDS=100), under stress: whatever is found is false"
	@echo "make kills   kill every act of the control plane before each of its system calls (half an hour)"
	@echo "make races   many processes for one window, again and again"
	@echo "make tampering  change things behind the program by the thousand: all found, none effective"
	@echo "make fuzz    hostile requests by the thousand, and all that the OpenAPI document says"
	@echo "make lint    style, types, import rules"
	@echo "make bench   measure against the alternatives"
	@echo "make dist    build the sdist and the wheel into dist/"
	@echo "make lock    write requirements/ anew (UPGRADE=--upgrade for newer versions)"
	@echo "make setup   only make $(VENV)"

demo: $(READY)
	@$(BIN)/ops drill secret-missing

test: $(READY)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# CI holds a part of the matrix; this is all of it. DRILL_SEED=… repeats the order of one run.
drills: $(READY)
	@$(BIN)/ops drill --matrix --strict $(if $(DRILL_SEED),--seed $(DRILL_SEED))
	@$(BIN)/ops drill --coverage --fail-under 100
	@$(BIN)/ops drill --mutate --fail-under 95

# Whatever comes, one fault after the other on one stack. DRILL_SEED=… repeats the plan of one game day.
gameday: $(READY)
	@$(BIN)/ops drill --random $(if $(DURATION),--duration $(DURATION)) $(if $(DRILL_SEED),--seed $(DRILL_SEED))

# Every suite looks at stacks in which nothing is broken, with all cores busy and a slow network: four minutes for 30.
healthy: $(READY)
	@$(BIN)/ops drill --healthy $(or $(ROUNDS),30) --stress

# Changes behind the program's back by the thousand; CI makes some hundred. OPS_TAMPERING_SEED=… repeats one run.
tampering: $(READY)
	@OPS_TAMPERING_CHANGES=5250 OPS_TAMPERING_CRASHES=400 OPS_TAMPERING_KILLS=60 \
	    $(BIN)/python -m pytest tests/acceptance/test_tampering.py -q -n $(JOBS) -rA

# The tests take a few points, and a few rounds; these take all.
kills: $(READY)
	@KILLS=all $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -v -rP tests/acceptance/test_kills.py \
	    tests/acceptance/test_handoff_kills.py \
	    tests/acceptance/test_incident_kills.py

races: $(READY)
	@RACES=all $(BIN)/python -m pytest -v -rP tests/acceptance/test_races.py

# Thousands of hostile requests (REQUESTS=…, SEED=… repeats a run), then everything that the OpenAPI document says
# (EXAMPLES=… for each route). What reads the document has an environment of its own: it would slow every start of pytest.
FUZZ = $(VENV)-fuzz

fuzz: $(READY) $(FUZZ)/.locked
	@$(BIN)/python -m tests.fuzz
	@EXAMPLES=6000 $(BIN)/python -m pytest -q tests/acceptance/test_handoff_fuzz*.py
	@$(BIN)/python -m tests.fuzz.documented $(abspath $(FUZZ))/bin/schemathesis

setup-fuzz: $(FUZZ)/.locked

# What the example needs would slow every start of pytest too.
EXAMPLES_VENV = $(VENV)-examples

setup-examples: $(EXAMPLES_VENV)/.locked

$(EXAMPLES_VENV)/.locked: requirements/examples.txt $(LOCKED)
	@$(BIN)/python -m venv --clear $(EXAMPLES_VENV)
	@$(EXAMPLES_VENV)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/examples.txt
	@touch $@

$(FUZZ)/.locked: requirements/fuzz.txt $(LOCKED)
	@$(BIN)/python -m venv --clear $(FUZZ)
	@$(FUZZ)/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/python -m benchmarks

dist: $(READY)
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist

setup: $(READY)

# The interpreter: the newest on PATH that starts at all (a shim may stand for nothing) and can make environments.
define FIND_PYTHON
for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python); do \
    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
    then found=$$python; break; fi; \
done; \
if test -z "$$found"; then \
    echo "no Python >= 3.11 that can make environments: $(or $(PYTHON),none on PATH)" >&2; \
    echo "  next     install one (Debian: apt-get install python3-venv), or make PYTHON=/path/to/python" >&2; exit 1; \
fi
endef

$(VENV)/pyvenv.cfg:
	@$(FIND_PYTHON); \
	echo "setting up $(VENV) with $$("$$found" --version), once"; \
	"$$found" -m venv --clear $(VENV)

$(LOCKED): requirements/dev.txt $(VENV)/pyvenv.cfg
	@if test -n "$(UV)"; then \
	    "$(UV)" pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt; \
	else \
	    $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt; fi
	@touch $@

# hatchling comes from the lock too, so nothing is fetched to build with.
$(READY): $(LOCKED) pyproject.toml hatch_build.py
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

LOCK = pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url $(UPGRADE) \
    --custom-compile-command "make lock"

lock:
	@uv="$(UV)"; if test -z "$$uv"; then \
	    $(FIND_PYTHON); scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	    "$$found" -m venv "$$scratch" && "$$scratch/bin/python" -m pip install --quiet uv || exit 1; \
	    uv=$$scratch/bin/uv; fi; \
	"$$uv" $(LOCK) -o requirements/run.txt pyproject.toml && \
	"$$uv" $(LOCK) -c requirements/run.txt --group dev -o requirements/dev.txt pyproject.toml && \
	"$$uv" $(LOCK) --group fuzz -o requirements/fuzz.txt && \
	"$$uv" $(LOCK) --group examples -o requirements/examples.txt
