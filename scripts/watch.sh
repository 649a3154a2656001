#!/bin/sh
# Runs `cargo leptos watch`. Installs cargo-leptos and wasm-bindgen if they are missing.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

CARGO_LEPTOS=0.3.11
WASM_BINDGEN=$(locked_version wasm-bindgen)
[ -n "$WASM_BINDGEN" ] || fail "Cargo.lock names no version of wasm-bindgen"
PATH=$TOOLS/cargo-leptos-$CARGO_LEPTOS/bin:$TOOLS/wasm-bindgen-$WASM_BINDGEN/bin:$PATH
install_cargo_tool wasm-bindgen wasm-bindgen-cli "$WASM_BINDGEN" "1 to 3 minutes"
if ! have cargo-leptos; then
  if have cargo-binstall; then
    say "installing cargo-leptos $CARGO_LEPTOS"
    cargo binstall --no-confirm --root "$TOOLS/cargo-leptos-$CARGO_LEPTOS" "cargo-leptos@$CARGO_LEPTOS" || true
  fi
  install_cargo_tool cargo-leptos cargo-leptos "$CARGO_LEPTOS" "about 8 minutes on 2 cores"
fi
exec cargo leptos watch "$@"
