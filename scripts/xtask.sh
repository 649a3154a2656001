#!/bin/sh
# Runs `cargo xtask` for what needs the server as well: both are compiled at once, so what they share is compiled once.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

say "building the server and the program that builds the site (some minutes the first time)"
cargo build --profile serve --package xtask --bin xtask --package server --lib
exec "$(target_dir)/serve/xtask" "$@"
