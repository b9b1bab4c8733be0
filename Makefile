# `make verify` and `make test` create .venv on first use and install again only after pyproject.toml or
# constraints.txt has changed.
PYTHON ?= python3
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INPUTS := pyproject.toml constraints.txt
# In variables, because a comma in a call would end its argument.
DEEP := .[deep,export]
DEV := .[dev,deep,export]
CLUSTER := .[dev,deep,export,cluster]
NOTEBOOK := .[dev,deep,export,notebook]
DOCS := .[dev,deep,export,docs]

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help verify deep test style test-long test-nojit test-boundscheck test-cluster test-notebook test-mutants docs dist lint format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "PYTHON=python3.12 chooses the interpreter for a new $(VENV); PYTEST_ARGS=\"-k name\" goes to pytest."

verify: $(VENV)/.stamp-core  ## check every claim (installs the core only)
	@$(BIN)/virel verify

# BLAS gets one thread and numba two, so that two pytest workers do not compete for two cores.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: export NUMBA_NUM_THREADS = 2

# Two processes from the start; which of them runs a file is decided file by file.
WORKERS := --numprocesses 2

# Where this is set, each of the hundreds of processes that tests start would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

# Types are checked beside the tests, which leave a core idle while they are collected.
test: style  ## all of `make lint`, and tests
	@$(BIN)/mypy & types=$$!; $(BIN)/pytest --dist loadfile $(WORKERS) $(PYTEST_ARGS); tests=$$?; wait $$types && exit $$tests

test-long: export OMP_NUM_THREADS = 1
test-long: export OPENBLAS_NUM_THREADS = 1
test-long: export NUMBA_NUM_THREADS = 2
test-long: $(VENV)/.stamp-dev  ## tests that `make test` leaves out for their time (some 10 minutes)
	@$(BIN)/pytest -m long --dist loadfile $(WORKERS) $(PYTEST_ARGS)

# Kernels run as plain Python, a second implementation that must agree. numpy warns where compiled code is silent.
test-nojit: export NUMBA_DISABLE_JIT = 1
test-nojit: export OMP_NUM_THREADS = 1
test-nojit: export OPENBLAS_NUM_THREADS = 1
test-nojit: $(VENV)/.stamp-dev  ## theory tests with the kernels interpreted (some 6 minutes)
	@$(BIN)/pytest -W ignore::RuntimeWarning --dist loadfile $(WORKERS) tests/theory tests/property tests/contract $(PYTEST_ARGS)

# Compiled code reads past the end of an array in silence; here it raises.
test-boundscheck: export NUMBA_BOUNDSCHECK = 1
test-boundscheck: export OMP_NUM_THREADS = 1
test-boundscheck: export OPENBLAS_NUM_THREADS = 1
test-boundscheck: $(VENV)/.stamp-dev  ## theory tests with every index checked
	@$(BIN)/pytest tests/theory tests/property tests/contract $(PYTEST_ARGS)

# Ray and Dask on loopback, two workers each; they are large, so only this target installs them.
test-cluster: $(VENV)/.stamp-cluster  ## tests that start a Ray and a Dask cluster (a few minutes)
	@$(BIN)/pytest -m cluster tests/cluster $(PYTEST_ARGS)

# A Jupyter kernel that runs the guide on Python, several jobs and an interrupt.
test-notebook: $(VENV)/.stamp-notebook  ## tests of the deep agent in a Jupyter kernel (a minute or two)
	@$(BIN)/pytest -m notebook tests/notebook $(PYTEST_ARGS)

test-mutants: export OMP_NUM_THREADS = 1
test-mutants: export OPENBLAS_NUM_THREADS = 1
test-mutants: $(VENV)/.stamp-dev  ## a wrong statement of each claim of the VIREL paper must turn its verdict (a minute)
	@$(BIN)/pytest -m "long or not long" tests/verify/statements $(PYTEST_ARGS)

# A warning is an error: a broken link, a formula that can't be shown, a public name without an entry.
docs: export OMP_NUM_THREADS = 1
TUTORIALS := $(patsubst docs/tutorials/%.md,out/tutorials/%.ran,$(filter-out %/index.md,$(wildcard docs/tutorials/*.md)))
docs: $(VENV)/.stamp-docs out/figures.made $(TUTORIALS)  ## build the documentation site, offline, into out/docs/
	@cp out/tutorials/*.png docs/tutorials/
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs out/docs
	@$(BIN)/pytest -q -m long tests/browser/test_site.py
	@echo "written: out/docs/index.html"

# A stamp, because the folder is there before all figures are.
out/figures.made: | $(VENV)/.stamp-docs
	@$(BIN)/virel figures && touch $@

# A tutorial runs again when its page has changed; its figures go to out/tutorials/.
out/tutorials/%.ran: docs/tutorials/%.md | $(VENV)/.stamp-docs
	@$(BIN)/python docs/extensions/tutorial.py $< out/tutorials && touch $@

dist: $(VENV)/.stamp-dev  ## build sdist and wheel, and try the wheel in an empty environment
	@.ci/dist

deep: $(VENV)/.stamp-deep  ## install PyTorch, MuJoCo, ONNX and ffmpeg, which the deep agent needs

lint: style  ## format check, lint, order of imports, types
	@$(BIN)/mypy

style: $(VENV)/.stamp-dev
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/lint-imports --no-cache --no-logo

format: $(VENV)/.stamp-dev  ## format the code and apply the safe lint fixes
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean:  ## delete .venv, caches and build products (never out/)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# $(call require_python,INTERPRETER): one line and a failure if it is missing or too old.
define require_python
@command -v "$(1)" >/dev/null || { echo "error: found no '$(1)'; virel needs Python 3.11 or newer" >&2; exit 1; }
@"$(1)" -c 'import sys; v = sys.version_info; \
sys.exit(0 if v >= (3, 11) else "error: $(1) is Python %d.%d.%d; virel needs 3.11 or newer" % tuple(v[:3]))'
endef

# $(call install,REQUIREMENT,OPTIONS): a stamp is written only after pip has succeeded. `.installing` outlives an install
# that was killed, and then the environment is built anew instead of trusting half-written packages.
define install
$(call require_python,$(PYTHON))
@if [ -e $(VENV)/.installing ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	"$(PYTHON)" -m venv --clear $(VENV); fi
$(call require_python,$(BIN)/python)
@echo "installing $(1) into $(VENV) (some minutes the first time)"
@rm -f $(VENV)/.stamp-*; touch $(VENV)/.installing
@$(BIN)/python -m pip install --disable-pip-version-check $(2) -c constraints.txt -e '$(1)' >$(VENV)/pip.log 2>&1 \
	|| { tail -n 20 $(VENV)/pip.log; echo "error: pip failed; full log: $(VENV)/pip.log"; \
		rm -f $(VENV)/.installing; exit 1; } >&2
@printf '%s\n' "$(CURDIR)" >$(VENV)/.root
@rm -f $(VENV)/.installing
endef

$(VENV)/.stamp-core: $(INPUTS)
	$(call install,.)
	@touch $@

# Tests import a part of what is installed. Python compiles that on the way, in half the time that all takes.
$(VENV)/.stamp-dev: $(INPUTS)
	$(call install,$(DEV),--no-compile)
	@touch $(VENV)/.stamp-core $(VENV)/.stamp-deep $@

$(VENV)/.stamp-cluster: $(INPUTS)
	$(call install,$(CLUSTER))
	@touch $(VENV)/.stamp-core $(VENV)/.stamp-dev $(VENV)/.stamp-deep $@

$(VENV)/.stamp-notebook: $(INPUTS)
	$(call install,$(NOTEBOOK))
	@touch $(VENV)/.stamp-core $(VENV)/.stamp-dev $(VENV)/.stamp-deep $@

$(VENV)/.stamp-docs: $(INPUTS)
	$(call install,$(DOCS))
	@touch $(VENV)/.stamp-core $(VENV)/.stamp-dev $(VENV)/.stamp-deep $@

$(VENV)/.stamp-deep: $(INPUTS)
	$(call install,$(DEEP))
	@touch $(VENV)/.stamp-core $@

# The scripts in .venv hold absolute paths, so a checkout that was moved or copied gets a new environment; so does
# one whose interpreter is gone.
ifneq ($(shell [ -x $(BIN)/python ] && cat $(VENV)/.root 2>/dev/null),$(CURDIR))
.PHONY: moved
$(VENV)/.stamp-core $(VENV)/.stamp-dev $(VENV)/.stamp-deep $(VENV)/.stamp-cluster $(VENV)/.stamp-notebook $(VENV)/.stamp-docs: moved
moved:
	@if [ -e $(VENV)/.root ]; then touch $(VENV)/.installing; fi
endif
