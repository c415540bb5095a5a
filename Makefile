# The entry point for all development tasks. Each target first installs missing prerequisites: see tools/setup.sh.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The address of `make run`, and additional flags for the server; `make run ARGS=--help` lists them.
ADDR ?= 127.0.0.1:3000
ARGS ?=
ONLY ?=
MINUTES ?= 10

ENV := . tools/env.sh

.PHONY: help run test soak dev build bench setup measure-setup measure-dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

# On a loopback address, demo and fault injection are enabled; otherwise only the flags in ARGS apply.
LOCAL := $(filter 127.0.0.1:% localhost:% [::1]:%,$(ADDR))
OPEN := $(if $(LOCAL),--demo --faults on)

# Reports a port in use before the long build, not after it.
CHECK_ADDR = $(eval why := $(shell node tools/port.mjs check '$(ADDR)' 2>&1))$(if $(why),$(error $(why)))

run: ## build and serve at http://127.0.0.1:3000, or at ADDR=host:port
	$(CHECK_ADDR)
	@$(MAKE) --no-print-directory build
	@$(if $(OPEN),echo "with $(OPEN): every visitor may control devices and disturb their own session")
	@$(ENV); exec "$$target/release/duplex" --addr "$(ADDR)" --site target/site $(OPEN) $(ARGS)

test: ## run all checks and tests, or some by ONLY=format, lints, documentation, supply, tests, server, Chromium
	@ONLY="$(ONLY)" tools/test.sh

soak: ## simulate the whole system with new seeds for MINUTES
	@tools/setup.sh test
	@$(ENV); MINUTES="$(MINUTES)" exec cargo test --locked --test server simulation::soak -- --ignored --exact --nocapture

# Rebuilds by `watch` have file names without hashes, so the first build does too.
dev: ## serve, rebuild on every change, and reload the page
	$(CHECK_ADDR)
	@tools/setup.sh
	@$(ENV); $(if $(LOCAL),DUPLEX_DEMO=on DUPLEX_FAULTS=on) LEPTOS_HASH_FILES=false LEPTOS_SITE_ADDR="$(ADDR)" exec cargo leptos watch --project duplex --split

build: ## build the server and the site for release, under target/
	@tools/build.sh

bench: ## compare Duplex with its peers, and print a table; parts by ONLY="page echo topics arena", or ONLY=cost, ONLY=log
	@tools/setup.sh test
	@$(ENV); exec benches/run.sh $(ONLY)

setup: ## only install the prerequisites for building and testing
	@tools/setup.sh test

measure-setup: ## measure set-up and the first build on a fresh machine
	@tools/measure-setup.sh

measure-dev: ## measure how long `make dev` takes to serve a change of a style sheet and of a view
	@tools/setup.sh
	@node tools/measure-dev.mjs
