#!/bin/sh
# Runs `cargo xtask` commands that also need the server. Builds both at once, so that shared dependencies are compiled once.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

say "building the server and the program that builds the site (some minutes the first time)"
# With an explicit target, Cargo compiles procedural macros without the flags of .cargo/config.toml, as for the browser, so that both builds
# share them.
cargo build --profile serve --target host-tuple --package xtask --bin xtask --package server --lib
exec "$(target_dir)/$(rustc --print host-tuple)/serve/xtask" "$@"
