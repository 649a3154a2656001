#!/bin/sh
# Measures the page in a headless browser, against the production build.
. "$(dirname "$0")/lib.sh"

chromium=$("$ROOT/scripts/setup-browser.sh")
cd "$ROOT"
binary=$(target_dir)/release/quilt
cd end2end
CHROMIUM=$chromium QUILT_BINARY=$binary npx playwright test --config bench.config.ts
