# Everything that is done here starts with `make`. Each command first installs what it needs and is not there: see
# tools/setup.sh.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where `make run` serves, and more flags for the server: `make run ARGS=--help` lists them.
ADDR ?= 127.0.0.1:3000
ARGS ?=
ONLY ?=
MINUTES ?= 10

ENV := . tools/env.sh

.PHONY: help run test soak dev build bench setup measure-setup

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

# On this machine alone everything may be tried out; where others reach it, only what ARGS says.
LOCAL := $(filter 127.0.0.1:% localhost:% [::1]:%,$(ADDR))
OPEN := $(if $(LOCAL),--demo --faults on)

# A port in use shows before the long build, not after it.
CHECK_ADDR = $(eval why := $(shell node tools/port.mjs check '$(ADDR)' 2>&1))$(if $(why),$(error $(why)))

run: ## build and serve at http://127.0.0.1:3000, or at ADDR=host:port
	$(CHECK_ADDR)
	@$(MAKE) --no-print-directory build
	@$(if $(OPEN),echo "with $(OPEN): every visitor may control devices and disturb their own session")
	@$(ENV); exec "$$target/release/duplex" --addr "$(ADDR)" --site target/site $(OPEN) $(ARGS)

test: ## every check and test; some of them by ONLY=format, lints, documentation, supply, tests, server, Chromium
	@ONLY="$(ONLY)" tools/test.sh

soak: ## simulate the whole system, seed after seed, for MINUTES
	@tools/setup.sh test
	@$(ENV); MINUTES="$(MINUTES)" exec cargo test --locked --test server simulation::soak -- --ignored --exact --nocapture

# What `watch` builds again has names without hashes, so the first build gets such, too.
dev: ## serve, build again on every change, and reload the page
	$(CHECK_ADDR)
	@tools/setup.sh
	@$(ENV); $(if $(LOCAL),DUPLEX_DEMO=on DUPLEX_FAULTS=on) LEPTOS_HASH_FILES=false LEPTOS_SITE_ADDR="$(ADDR)" exec cargo leptos watch --project duplex --split

build: ## the server and the site as users get them, under target/
	@tools/build.sh

bench: ## measure Duplex beside its peers, and print a table; parts of it by ONLY="page echo topics arena", or ONLY=cost, ONLY=log
	@tools/setup.sh test
	@$(ENV); exec benches/run.sh $(ONLY)

setup: ## only install what building and testing need
	@tools/setup.sh test

measure-setup: ## how long set-up takes where nothing is there yet
	@tools/measure-setup.sh
