#!/bin/sh
# Runs `cargo leptos watch`, with a cargo-leptos of our own where there is none.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

CARGO_LEPTOS=0.3.11
PATH=$TOOLS/cargo-leptos-$CARGO_LEPTOS/bin:$TOOLS/wasm-bindgen-$(locked_version wasm-bindgen)/bin:$PATH
if ! have cargo-leptos; then
  if have cargo-binstall; then
    say "installing cargo-leptos $CARGO_LEPTOS"
    cargo binstall --no-confirm --root "$TOOLS/cargo-leptos-$CARGO_LEPTOS" "cargo-leptos@$CARGO_LEPTOS" || true
  fi
  install_cargo_tool cargo-leptos cargo-leptos "$CARGO_LEPTOS" "about 8 minutes on 2 cores"
fi
exec cargo leptos watch "$@"
