#!/bin/sh
# Runs the browser tests, or with another `--config` the benchmark or the pictures, against a built profile: `serve` or `release`, or `debug`
# for `cargo leptos end-to-end`. Passes all other arguments to Playwright.
. "$(dirname "$0")/lib.sh"

profile=$1
shift
chromium=$("$ROOT/scripts/setup-browser.sh")
cd "$ROOT"
binary=$(target_dir)/$profile/quilt
if [ "$profile" = debug ]; then
  "$ROOT/scripts/setup-nats.sh"
  # The debug binary does not embed the site, which cargo-leptos has built.
  export LEPTOS_SITE_ROOT="$ROOT/target/site"
fi
cd end2end
CHROMIUM=$chromium QUILT_BINARY=$binary NATS_SERVER=$TOOLS/nats-server npx playwright test "$@"
