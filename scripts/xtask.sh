#!/bin/sh
# Runs `cargo xtask` for what needs the server as well: both are compiled at once, so what they share is compiled once.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

say "building the server and the program that builds the site (some minutes the first time)"
# With a target that is named, procedural macros are compiled without the flags of .cargo/config.toml, as for the browser: once for both.
cargo build --profile serve --target host-tuple --package xtask --bin xtask --package server --lib
exec "$(target_dir)/$(rustc --print host-tuple)/serve/xtask" "$@"
