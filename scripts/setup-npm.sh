#!/bin/sh
# Installs the npm packages of the browser tests.
. "$(dirname "$0")/lib.sh"
cd "$ROOT/end2end"

have npm || fail "Node.js with npm is not installed. Get version 20.11 or newer from https://nodejs.org and try again."
# npm writes this file last, so it indicates a complete installation.
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say "installing the npm packages of the browser tests (under a minute)"
  npm ci --include=dev --loglevel=error --no-progress >&2
fi
