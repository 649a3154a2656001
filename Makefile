# `make help` lists what there is to do. Each command sets up what it needs, and skips what is there.

SHELL := /bin/sh
SITE_ADDR ?= 127.0.0.1:3000

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: serve
serve: build ## Set up, build and serve at http://127.0.0.1:3000 (SITE_ADDR takes another address)
	cargo run --quiet --release --bin quilt -- serve --addr $(SITE_ADDR)

.PHONY: test
test: test-rust test-e2e ## Set up and run every test

.PHONY: test-rust
test-rust: setup nats ## Run the unit, property and integration tests
	cargo test

.PHONY: test-e2e
test-e2e: build nats ## Run the browser tests (ARGS="--headed -g banner" goes to Playwright)
	scripts/e2e.sh $(ARGS)

.PHONY: chaos
chaos: setup nats ## Kill servers, workers and NATS hundreds of times, check that every promise is kept; simulate 3,000 worlds
	CHAOS_KILLS=$${CHAOS_KILLS:-200} cargo test --package server --test chaos -- --nocapture
	CLUSTER_KILLS=$${CLUSTER_KILLS:-100} cargo test --package server --test cluster_chaos -- --nocapture --test-threads 1
	SIMULATION_RUNS=$${SIMULATION_RUNS:-3000} cargo test --package engine --test simulation -- --nocapture

.PHONY: lint
lint: setup ## Check format, lints, types of the browser tests, dependencies and the site's metadata
	scripts/lint.sh

.PHONY: format
format: ## Format the code
	cargo fmt

.PHONY: build
build: setup ## Build the server and the site for production
	cargo build --release --bin quilt
	scripts/build-site.sh

.PHONY: setup
setup: ## Install what building needs: the WebAssembly target and wasm-bindgen
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
bench-page: build ## Measure from click to first colour and to banner, in a headless browser
	scripts/bench-page.sh

.PHONY: bench-viewers
bench-viewers: setup ## Measure 1,000 viewers of one running batch: lag, memory and CPU
	cargo bench --package server --bench viewers

.PHONY: bench-cluster
bench-cluster: setup nats ## Measure several worker processes on NATS beside a single server, Celery and BullMQ, and how soon other nodes see it
	scripts/bench-cluster.sh

.PHONY: bench-parallel
bench-parallel: build ## Measure quilt run beside GNU parallel, on tiny commands and on busy ones
	scripts/bench-parallel.sh

.PHONY: clean
clean: ## Remove everything that was built
	cargo clean
	rm -rf end2end/artifacts end2end/node_modules
