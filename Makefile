# Two commands matter to a newcomer: `make demo` and `make test`. `make help` lists the rest.
# The installer's CPU-only choice passes through: `make demo TORCH_BACKEND=cpu`.

FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
TORCH_BACKEND ?=
UV := $(VENV)/bin/uv
RUN := $(VENV)/bin/python
LOCK := requirements/all.lock
# Kept bytecode: without it each of the hundreds of processes that tests start would compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=
MINUTES ?= 30
PROCESSES ?= 2
KAFKA_LIBS := .cache/kafka/libs
REGISTRY_APP := .cache/apicurio

# The default torch brings its GPU libraries (about 5.5 GB installed); another backend is taken from the installer's own choice.
define INSTALL_WITH_BACKEND
awk '/^[a-z]/ {skip = /^(torch|triton|nvidia-|cuda-)/} !skip' $(LOCK) > $(VENV)/base.lock && \
$(UV) pip install --python $(RUN) --require-hashes --requirement $(VENV)/base.lock && \
$(UV) pip install --python $(RUN) --torch-backend=$(TORCH_BACKEND) "$$(grep -o '^torch==[0-9.]*' $(LOCK))"
endef

.DEFAULT_GOAL := help
.PHONY: docs help install demo test pytest test-join-benchmarks mutants chaos soak components bench bench-obp bench-learners \
  bench-peers coverage online-looks paper paper-full lint format typecheck lock clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed  ## Create the virtual environment from the lock file

$(VENV)/.installed: $(LOCK) pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' || \
	  { echo "error: no Python 3.11 or 3.12 found; fix: install one, or make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/installer.lock
	$(if $(TORCH_BACKEND),$(INSTALL_WITH_BACKEND),$(UV) pip install --python $(RUN) --require-hashes --requirement $(LOCK))
	$(UV) pip install --python $(RUN) --no-deps --editable .
	@touch $@

demo: install  ## Run the whole loop on real logged data and a simulated homefeed (no Java, no Docker, no root)
	$(RUN) -m trimtab demo

test: install components lint  ## Install what the tests need and run all of them, in PROCESSES (2)
	@$(MAKE) --no-print-directory --jobs 2 typecheck pytest

# Many tests wait for a broker or a process, so two processes take little more than half the time, and types are checked
# meanwhile. Each process starts its own components; a file stays in one process, and files keep their order: folders of
# the slowest come first, so that neither process waits for the other at the end. More threads than cores would wait for each other.
pytest: install components
	OMP_NUM_THREADS=1 $(RUN) -m pytest tests/upgrades tests/end_to_end tests -m "not join_benchmarks and not chaos_runs" --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder --durations 10

test-join-benchmarks: install components  ## Test what the join is measured with: brokers, peers, kills (two minutes)
	$(RUN) -m pytest -m join_benchmarks tests/benchmarks

mutants: install  ## Change the join's core bit by bit: do its tests notice? MODULES="NAME …" picks some
	nice -n 10 $(RUN) -m tests.mutants $(MODULES)

chaos: install components  ## Kill workers, producers, learner and broker by schedule; SCHEDULES="NAME …" picks some
	$(RUN) -m pytest -m chaos_runs tests/chaos
	$(RUN) -m tests.chaos $(SCHEDULES)

soak: install components  ## Random faults under steady traffic for MINUTES (30): nothing lost, memory's slope
	$(RUN) -m tests.chaos.soak --minutes $(MINUTES)

components: $(KAFKA_LIBS)/.complete $(REGISTRY_APP)/.complete  ## Fetch the tests' Kafka broker and Schema Registry (needs Java 17+ and Maven)

$(KAFKA_LIBS)/.complete: deploy/kafka/pom.xml
	@tests/components/install.sh
	mvn --quiet --batch-mode --file deploy/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(KAFKA_LIBS)
	@touch $@

$(REGISTRY_APP)/.complete: deploy/registry/pom.xml
	@tests/components/install.sh
	mvn --quiet --batch-mode --file deploy/registry/pom.xml dependency:unpack-dependencies \
	  -DoutputDirectory=$(CURDIR)/$(REGISTRY_APP) -DmarkersDirectory=$(CURDIR)/$(REGISTRY_APP)/markers
	@touch $@

bench: bench-peers components  ## Measure the join beside its peers (a quarter of an hour)
	$(RUN) -m benchmarks.join --requests 100000 --with-flink

coverage: install  ## Count how often intervals err and write docs/results.md (more than an hour)
	nice -n 10 $(RUN) -m benchmarks.interval_coverage

paper: install  ## Reproduce the paper's findings on a simulated homefeed, reduced, and write docs/results.md (half an hour)
	nice -n 10 $(RUN) -m benchmarks.paper

paper-full: install  ## The same with 20 seeds, the network and two million explored hold-out rows (a day)
	nice -n 10 $(RUN) -m benchmarks.paper --full

online-looks: install  ## Count how often daily looks at online experiments err and write docs/results.md (20 minutes)
	nice -n 10 $(RUN) -m benchmarks.online_looks

bench-peers: build/peers/.complete  ## Build the peers of the benchmarks (needs Java 17+ and Maven)

bench-obp: build/peers/obp/.complete  ## Install the peer of the evaluation's benchmark

build/peers/obp/.complete: benchmarks/peers/obp_requirements.txt | install
	$(UV) venv --quiet --allow-existing --python $(RUN) build/peers/obp
	$(UV) pip install --quiet --no-deps --python build/peers/obp/bin/python --requirement $<
	@touch $@

bench-learners: build/peers/learners/.complete  ## Install the peers of the study of learners

build/peers/learners/.complete: benchmarks/peers/learners_requirements.txt | install
	$(UV) venv --quiet --allow-existing --python $(RUN) build/peers/learners
	$(UV) pip install --quiet --no-deps --python build/peers/learners/bin/python --requirement $<
	@touch $@

PEER_SOURCES := $(shell find benchmarks/peers -name '*.java' -o -name pom.xml)
build/peers/.complete: benchmarks/peers/requirements.txt $(PEER_SOURCES) | install components
	$(UV) venv --quiet --allow-existing --python $(RUN) build/peers/venv
	$(UV) pip install --quiet --python build/peers/venv/bin/python --requirement benchmarks/peers/requirements.txt
	mvn --quiet --batch-mode --file benchmarks/peers/pom.xml package
	@touch $@

lint: install  ## Ruff and the import rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache

typecheck: install  ## mypy, strict, no exempted modules
	nice -n 10 $(VENV)/bin/mypy

docs: install  ## Rewrite docs/reference/ from the code
	$(RUN) docs/generate_reference.py

format: install  ## Format and fix what ruff can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: install  ## Rebuild the lock files from pyproject.toml
	$(UV) pip compile pyproject.toml --extra all --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --output-file $(LOCK)
	echo uv | $(UV) pip compile - --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --output-file requirements/installer.lock

clean:  ## Remove what demo and tests left (not the virtual environment)
	rm -rf var build/peers .cache/pytest .mypy_cache .ruff_cache .pytest_cache
