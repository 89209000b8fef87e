# tcvs: what a newcomer types.
#
#   make setup    install everything that tcvs needs on this machine (root; quick when repeated)
#   make demo     set up, build the desktop image, fork, compare, merge and roll back a live desktop
#   make check    linters and the tests that need no root: under a minute
#   make test     every test that this machine can run (root)
#   make bench    measure
#   make clean    remove what was built in this directory

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS ?= /usr/local/lib/tcvs/tools
TEST_CACHE ?= /var/cache/tcvs-test
LINK ?= /usr/local/bin/tcvs

# Host programs: building images, pools, network, the native part.
DEBS := mmdebstrap debian-archive-keyring btrfs-progs nftables iproute2 util-linux mount tar bzip2 \
        xz-utils zstd git gcc \
        libc6-dev python3-venv python3-dev
# Only for tests: a browser, a light container, the formatter.
TEST_DEBS := chromium chromium-driver bubblewrap clang-format

.PHONY: help setup setup-test debs test-debs venv package dev tools link
.PHONY: demo check test bench clean

help:
	@sed -n 's/^# \{0,1\}//; 3,8p' Makefile

setup: debs tools package link
	@echo "tcvs is set up; try: tcvs doctor"

setup-test: setup test-debs dev

# $(call install_debs,PACKAGES): install those that are missing.  Needs apt only when any is.
define install_debs
missing=; \
if command -v dpkg-query >/dev/null; then \
    for deb in $(1); do \
        [ "$$(dpkg-query -W -f '$${db:Status-Status}' "$$deb" 2>/dev/null)" = installed ] \
            || missing="$$missing $$deb"; \
    done; \
else \
    echo "not a Debian system: please provide $(1)"; \
fi; \
if [ -n "$$missing" ]; then \
    if [ "$$(id -u)" != 0 ]; then echo "as root: apt-get install$$missing" >&2; exit 1; fi; \
    echo "installing:$$missing"; \
    apt-get -q update || echo "warning: not every package source could be read" >&2; \
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $$missing; \
fi
endef

debs:
	@$(call install_debs,$(DEBS))

test-debs:
	@$(call install_debs,$(TEST_DEBS))

tools: debs
	@criu/install.sh $(TOOLS)

# The environment is made again when it does not run (moved, or its Python was upgraded).
venv:
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
	    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	        || { echo "tcvs needs Python 3.11 or newer" >&2; exit 1; }; \
	    rm -rf $(VENV); \
	    $(PYTHON) -m venv $(VENV); \
	fi

# $(call pip_once,STAMP,ARGUMENTS): run pip when pyproject.toml has changed since the last time.
define pip_once
sum=$$(sha256sum pyproject.toml); \
if [ "$$(cat $(VENV)/$(1) 2>/dev/null)" != "$$sum" ]; then \
    $(BIN)/python -m pip install -q --disable-pip-version-check $(2); \
    echo "$$sum" >$(VENV)/$(1); \
fi
endef

# Installed, not editable: meson-python's editable loader would slow every start of tcvs down.  The
# stamp is a digest of the sources, so that whatever is in the tree is what gets tested.
package: venv
	@$(call pip_once,.dependencies,$$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], *tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])'))
	@sum=$$(find tcvs tcvs_core meson.build pyproject.toml README.md -type f ! -name '*.pyc' \
	    -print0 | sort -z | xargs -0 sha256sum | sha256sum); \
	if [ "$$(cat $(VENV)/.package 2>/dev/null)" != "$$sum" ]; then \
	    PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install -q \
	        --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .; \
	    echo "$$sum" >$(VENV)/.package; \
	fi

dev: package
	@$(call pip_once,.development,$$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["dev"])'))

# Only where nothing is, or a link that leads nowhere.
link: package
	@if [ "$$(id -u)" = 0 ]; then \
	    if [ ! -e $(LINK) ]; then \
	        mkdir -p $(dir $(LINK)); \
	        ln -sfn $(CURDIR)/$(BIN)/tcvs $(LINK); \
	    elif [ "$$(readlink -f $(LINK))" != "$$(readlink -f $(BIN)/tcvs)" ]; then \
	        echo "$(LINK) is something else and stays; this tcvs is $(BIN)/tcvs"; \
	    fi; \
	fi

demo: setup
	@$(BIN)/python -m tcvs.demo $(DEMO_FLAGS)

check: dev
	@$(BIN)/pytest -q -m "not live and not browser" \
	    $(wildcard tests/unit tests/contract tests/property tests/cli) $(PYTEST_FLAGS)

test: setup-test
	@root=$$($(BIN)/python tests/mini_root.py $(TEST_CACHE)); \
	TCVS_TEST_MINI_ROOT="$$root" TCVS_TEST_TOOLS=$(TOOLS) $(BIN)/pytest $(PYTEST_FLAGS)

bench: setup
	@$(BIN)/python bench/fork.py $(BENCH_FLAGS)

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(wildcard tcvs tcvs_core tests bench) -name __pycache__ -type d -prune -exec rm -rf {} +
