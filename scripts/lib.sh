# Sourced by the other scripts: the root of the repository, messages, and the installation of tools.
set -eu

ROOT=$(cd "$(dirname "$0")/.." && pwd)
# All clones of a user share the tools, which are separate from the user's own.
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/quilt/tools
WASM_TARGET=wasm32-unknown-unknown

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Prints the target directory of Cargo, which may be configured in several places.
target_dir() {
  cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# Prints the exact version of a package in Cargo.lock.
locked_version() {
  awk -v want="\"$1\"" '$1 == "name" { found = ($3 == want) } found && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' "$ROOT/Cargo.lock"
}

# Installs Debian packages, or prints how to install them.
debian_install() {
  have apt-get || fail "this needs the Debian packages: $*. There is no apt-get here; please install their equivalents by hand."
  [ "$(id -u)" = 0 ] || fail "this needs the Debian packages: $*. Run 'sudo apt-get install $*' and try again."
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 update >&2
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >&2
}

# install_cargo_tool BINARY PACKAGE VERSION DURATION: installs a tool in $TOOLS/BINARY-VERSION/bin, unless it exists.
install_cargo_tool() {
  prefix=$TOOLS/$1-$3
  [ -x "$prefix/bin/$1" ] && return
  say "installing $2 $3 ($4, once)"
  # Tools run briefly, so a fast build is more important than a fast program.
  cargo_install() {
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
      CARGO_TARGET_DIR="$TOOLS/build" cargo install --quiet --ignore-rust-version --root "$prefix" "$@"
  }
  # A registry mirror may lack a version in the package's own lock file. If the second attempt fails too, its errors are printed.
  cargo_install --locked "$2" --version "$3" 2>/dev/null || cargo_install "$2" --version "$3" ||
    fail "could not install $2 $3. Check that cargo can reach crates.io, then try again."
  rm -rf "$TOOLS/build"
}
