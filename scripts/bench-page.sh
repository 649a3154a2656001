#!/bin/sh
# Benchmarks the page of the release build in a headless browser.
. "$(dirname "$0")/lib.sh"

chromium=$("$ROOT/scripts/setup-browser.sh")
cd "$ROOT"
binary=$(target_dir)/release/quilt
cd end2end
CHROMIUM=$chromium QUILT_BINARY=$binary npx playwright test --config bench.config.ts
