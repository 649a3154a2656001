#!/bin/sh
# Runs the browser tests against the production build. Arguments go to Playwright.
. "$(dirname "$0")/lib.sh"

chromium=$("$ROOT/scripts/setup-browser.sh")
cd "$ROOT"
target=$(target_dir)
cd end2end
CHROMIUM=$chromium QUILT_BINARY=$target/release/quilt NATS_SERVER=$TOOLS/nats-server npx playwright test "$@"
