# The commands of the repository; `make help` lists them. Each works on a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Build output lives outside the checkout, so that a clean clone does not compile every dependency again.
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubectl-gitops/target
export CARGO_TARGET_DIR

control_plane := $(CARGO_TARGET_DIR)/debug/examples/control-plane

.PHONY: help tools build test lint generate cluster cluster-down demo bench

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## Build the pinned programs (control plane, helm, kustomize, kubeseal) once per machine
	@tests/tools/build.sh >/dev/null

build: ## Build both programs and the repository's own
	cargo build --locked --bins --examples

test: tools build ## Run every test; nothing is skipped silently
	@.ci/test

lint: ## Check format, lints, documentation, generated files and licences
	@.ci/lint

generate: ## Write the files that are generated from the code
	cargo run --locked --quiet --example generate

cluster: tools build ## Start a local control plane; prints the path of its kubeconfig
	@$(control_plane) up

cluster-down: build ## Stop it
	@$(control_plane) down

demo: tools build ## Show the main tasks on a local control plane (DEMO_ONCE=1 ends by itself)
	@$(CARGO_TARGET_DIR)/debug/examples/demo

bench: tools build ## Measure the release build; figures on stdout as JSON lines (GITOPS_BENCH_SECONDS=180 of nothing changing)
	cargo build --locked --release --bins
	@cargo bench --locked --quiet --profile dev --bench steady_state
	@cargo bench --locked --quiet --profile dev --bench commit
	@cargo bench --locked --quiet --profile dev --bench sealing
