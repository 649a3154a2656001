#!/bin/sh
# Runs all static checks. Warnings are errors.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

say "format"
cargo fmt --check

say "lints, for the server and for the browser"
cargo clippy --all-targets -- --deny warnings
cargo clippy --package xtask --all-targets -- --deny warnings
cargo clippy --package frontend --target $WASM_TARGET -- --deny warnings

say "documentation"
RUSTDOCFLAGS="--deny warnings --cfg erase_components" cargo doc --quiet --no-deps --document-private-items
RUSTDOCFLAGS="--deny warnings --cfg erase_components" cargo doc --quiet --no-deps --document-private-items --package xtask

say "rules of our own"
cargo xtask lint

say "browser tests"
"$ROOT/scripts/setup-npm.sh"
(cd end2end && npx tsc)

if have cargo-deny; then
  say "dependencies"
  cargo deny --log-level error check bans licenses sources
else
  say "dependencies: skipped, cargo-deny is not installed ('cargo install cargo-deny --locked' installs it)"
fi

say "all clean"
