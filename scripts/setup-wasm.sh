#!/bin/sh
# Installs the standard library for WebAssembly. Does nothing and prints nothing if it is installed.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

# Linking a library that uses std is more reliable than asking rustup, because it also detects a std of another compiler and a missing
# linker.
links_wasm() {
  scratch=$(mktemp -d)
  printf '#[unsafe(no_mangle)]\npub extern "C" fn probe() -> usize { std::env::args().count() }\n' >"$scratch/probe.rs"
  status=0
  "$@" --edition 2024 --target $WASM_TARGET --crate-type cdylib -O -C lto=fat \
    -o "$scratch/probe.wasm" "$scratch/probe.rs" >/dev/null 2>&1 || status=1
  rm -rf "$scratch"
  return $status
}

# Debian packages the compiler with the source of its std, so that std can be built from package registries alone. The result is a rustup
# toolchain for this checkout.
use_debian_toolchain() {
  if ! links_wasm /usr/bin/rustc; then
    say "rustup cannot download the WebAssembly target here; building it from Debian's packages (about 2 minutes)"
    debian_install rustc-web cargo-web rust-web-src rust-web-llvm rust-web-clippy rustfmt-web
    # rust-lld is a symbolic link into the versioned package of the linker.
    debian_install "$(readlink /usr/bin/rust-lld)"
    build_debian_std
    links_wasm /usr/bin/rustc || fail "the standard library built for $WASM_TARGET does not link. Please report this with the output of '/usr/bin/rustc -vV'."
  fi
  rustup toolchain link quilt-debian /usr
  rustup override set quilt-debian --path "$ROOT"
}

build_debian_std() {
  crate=$(mktemp -d)
  mkdir "$crate/src"
  : >"$crate/src/lib.rs"
  printf '[package]\nname = "std-builder"\nversion = "0.0.0"\nedition = "2024"\n' >"$crate/Cargo.toml"
  # RUSTC_BOOTSTRAP enables build-std. Release builds with LTO need bitcode.
  (
    cd "$crate"
    env -u RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$crate/target" \
      /usr/bin/cargo build --quiet --release --target $WASM_TARGET -Z build-std=std,panic_abort,proc_macro,test
  )
  libraries=/usr/lib/rustlib/$WASM_TARGET/lib
  rm -rf "$libraries"
  mkdir -p "$libraries"
  find "$crate/target/$WASM_TARGET/release/deps" -name 'lib*.rlib' ! -name 'libstd_builder*' -exec cp {} "$libraries/" \;
  rm -rf "$crate"
}

ensure_target() {
  have rustup || fail "rustup is not installed. Get it from https://rustup.rs and try again."
  links_wasm rustc && return
  say "adding the Rust target $WASM_TARGET"
  rustup target add $WASM_TARGET && links_wasm rustc && return
  use_debian_toolchain
  links_wasm rustc || fail "this checkout still cannot build for $WASM_TARGET. 'rustup show' tells which toolchain is in use."
}

ensure_target
