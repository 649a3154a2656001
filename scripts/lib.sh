# Sourced by the other scripts: the repository's root, messages, and where tools are kept.
set -eu

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# Tools are shared by every clone of one user, and kept apart from the user's own.
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/quilt/tools
WASM_TARGET=wasm32-unknown-unknown

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Where cargo puts what it builds, whoever has configured that.
target_dir() {
  cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# The exact version of a package in Cargo.lock.
locked_version() {
  awk -v want="\"$1\"" '$1 == "name" { found = ($3 == want) } found && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' "$ROOT/Cargo.lock"
}

# Installs Debian packages, or says who can.
debian_install() {
  have apt-get || fail "this needs the Debian packages: $*. There is no apt-get here; please install their equivalents by hand."
  [ "$(id -u)" = 0 ] || fail "this needs the Debian packages: $*. Run 'sudo apt-get install $*' and try again."
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 update >&2
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >&2
}

# install_cargo_tool BINARY PACKAGE VERSION HOW_LONG: into $TOOLS/BINARY-VERSION/bin, once.
install_cargo_tool() {
  prefix=$TOOLS/$1-$3
  [ -x "$prefix/bin/$1" ] && return
  say "installing $2 $3 ($4, once)"
  # For a tool, a quick build is worth more than a quick program.
  cargo_install() {
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
      CARGO_TARGET_DIR="$TOOLS/build" cargo install --quiet --ignore-rust-version --root "$prefix" "$@"
  }
  # The package's own lock file can name a version that a registry mirror does not have yet. Should the second try fail too,
  # it says why.
  cargo_install --locked "$2" --version "$3" 2>/dev/null || cargo_install "$2" --version "$3" ||
    fail "could not install $2 $3. Check that cargo can reach crates.io, then try again."
  rm -rf "$TOOLS/build"
}
