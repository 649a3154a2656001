#!/bin/sh
# Checks that the binary of a profile, `serve` or `release`, runs without other files.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

QUILT_BINARY=$(target_dir)/$1/quilt
export QUILT_BINARY
cargo test --package server --test site -- --ignored
