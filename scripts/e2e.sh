#!/bin/sh
# Runs the browser tests against what was built with a profile: `serve` or `release`, or `debug` for `cargo leptos end-to-end`. The other
# arguments go to Playwright.
. "$(dirname "$0")/lib.sh"

profile=$1
shift
chromium=$("$ROOT/scripts/setup-browser.sh")
cd "$ROOT"
binary=$(target_dir)/$profile/quilt
if [ "$profile" = debug ]; then
  "$ROOT/scripts/setup-nats.sh"
  # This binary holds no site; cargo-leptos has built one.
  export LEPTOS_SITE_ROOT="$ROOT/target/site"
fi
cd end2end
CHROMIUM=$chromium QUILT_BINARY=$binary NATS_SERVER=$TOOLS/nats-server npx playwright test "$@"
