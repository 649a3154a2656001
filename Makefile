# `make help` lists what there is to do. Each command sets up what it needs, and skips what is there.

SHELL := /bin/sh
SITE_ADDR ?= 127.0.0.1:3000

.DEFAULT_GOAL := help
# What is built together is not safe to be built twice at once.
.NOTPARALLEL:

.PHONY: help
help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: serve
serve: setup ## Set up, build and serve at http://127.0.0.1:3000 (SITE_ADDR takes another address)
	@scripts/xtask.sh serve --addr $(SITE_ADDR)

.PHONY: test
test: test-rust test-e2e test-binary test-site ## Set up and run every test

.PHONY: test-rust
test-rust: setup nats ## Run the unit, property and integration tests
	cargo test
	cargo test --profile serve --target host-tuple --package xtask

.PHONY: test-e2e
test-e2e: setup nats ## Run the browser tests (ARGS="--headed -g banner" goes to Playwright)
	@scripts/xtask.sh build
	scripts/e2e.sh serve $(ARGS)

.PHONY: test-site
test-site: setup ## Run the browser tests of one batch with the site of production, whose WebAssembly is made in another way
	@scripts/xtask.sh build
	@cargo xtask site release
	SITE=$(CURDIR)/target/site scripts/e2e.sh serve tests/batch tests/page tests/large $(ARGS)

.PHONY: test-binary
test-binary: setup ## Check that the binary needs nothing beside it
	@scripts/xtask.sh build
	scripts/test-binary.sh serve

.PHONY: test-release
test-release: build nats ## Run the browser tests against what `make build` makes
	scripts/e2e.sh release $(ARGS)
	scripts/test-binary.sh release

.PHONY: chaos
chaos: setup nats ## Kill servers, workers and NATS hundreds of times, check that every promise is kept; simulate 3,000 worlds
	CHAOS_KILLS=$${CHAOS_KILLS:-200} cargo test --package server --test chaos -- --nocapture
	CLUSTER_KILLS=$${CLUSTER_KILLS:-100} cargo test --package server --test cluster_chaos -- --nocapture --test-threads 1
	SIMULATION_RUNS=$${SIMULATION_RUNS:-3000} cargo test --package engine --test simulation -- --nocapture
	SIMULATION_RUNS=$$(( $${SIMULATION_RUNS:-3000} / 10 )) cargo test --package engine --test cluster_simulation -- --nocapture

.PHONY: lint
lint: setup ## Check format, lints, types of the browser tests, dependencies, and the rules of `cargo xtask lint`
	scripts/lint.sh

.PHONY: format
format: ## Format the code
	cargo fmt

.PHONY: build
build: setup ## Build for production: one binary, target/release/quilt, which holds its site. Fails if the WebAssembly is over its budget
	@cargo xtask build release

.PHONY: setup
setup: ## Install what building needs: the WebAssembly target
	@scripts/setup-wasm.sh

.PHONY: nats
nats:
	@scripts/setup-nats.sh

.PHONY: watch
watch: setup ## Serve, and build and reload at every change (installs cargo-leptos if it is missing)
	scripts/watch.sh

.PHONY: bench
bench: setup ## Measure what a task costs the engine in time, bytes and memory, how fair it is, and how long a start takes
	cargo bench --package engine --bench engine
	cargo bench --package engine --bench memory

.PHONY: bench-page
bench-page: build ## Measure from click to first color and to banner, in a headless browser
	scripts/e2e.sh release --config bench.config.ts

.PHONY: bench-viewers
bench-viewers: setup ## Measure 1,000 viewers of one running batch: lag, memory and CPU
	cargo bench --package server --bench viewers

.PHONY: bench-cluster
bench-cluster: setup nats ## Measure several worker processes on NATS beside a single server, Celery and BullMQ, and how soon other nodes see it
	scripts/bench-cluster.sh

.PHONY: bench-parallel
bench-parallel: build ## Measure quilt run beside GNU parallel, on tiny commands and on busy ones
	scripts/bench-parallel.sh

.PHONY: pictures
pictures: build ## Take the pictures of the README from the real page
	scripts/e2e.sh release --config pictures.config.ts $(ARGS)

.PHONY: clean
clean: ## Remove everything that was built
	cargo clean
	rm -rf target/site target/site.* end2end/artifacts end2end/node_modules
