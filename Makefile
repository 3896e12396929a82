# The commands of the repository; `make help` lists them. Each works on a fresh clone.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Build output lives outside the checkout, so that a clean clone does not compile every dependency again.
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubectl-gitops/target
export CARGO_TARGET_DIR

control_plane := $(CARGO_TARGET_DIR)/debug/examples/control-plane

.PHONY: help tools build test lint generate cluster cluster-down demo bench release

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

# The platform of this machine, in Go's words, as Krew names it.
host_platform = $(shell uname -s | tr A-Z a-z)-$(shell uname -m | sed -e s/x86_64/amd64/ -e s/aarch64/arm64/)

release: ## Build the archive of the plugin for this machine, its checksum and Krew manifest, in $CARGO_TARGET_DIR/dist
	cargo build --locked --release --bin kubectl-gitops
	cargo build --locked --example release
	@rm -rf $(CARGO_TARGET_DIR)/dist
	@$(CARGO_TARGET_DIR)/debug/examples/release archive $(CARGO_TARGET_DIR)/release/kubectl-gitops $(host_platform) $(CARGO_TARGET_DIR)/dist
	@$(CARGO_TARGET_DIR)/debug/examples/release manifest $(CARGO_TARGET_DIR)/dist
	@cat $(CARGO_TARGET_DIR)/dist/checksums.txt
