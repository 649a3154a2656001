#!/bin/sh
# Runs the same commands alternately with `quilt run` and GNU parallel, and prints their times and the ratio.
. "$(dirname "$0")/lib.sh"

if ! command -v parallel >/dev/null || ! parallel --version 2>/dev/null | grep -q "GNU parallel"; then
  sudo=$(command -v sudo || true)
  $sudo apt-get install -y -q parallel >/dev/null || fail "GNU parallel is missing; please install it"
fi
quilt=$(cd "$ROOT" && target_dir)/release/quilt
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
jobs=$(nproc)
seconds() { # seconds COMMAND...: how long it takes, and the processor time of it and its children
  /usr/bin/env python3 - "$@" <<'PY'
import os, subprocess, sys, time
started, before = time.time(), os.times()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
after = os.times()
cpu = after.children_user + after.children_system - before.children_user - before.children_system
print(f"{time.time() - started:.3f} {cpu:.3f}")
PY
}
compare() { # compare NAME ITEMS COMMAND...
  name=$1 items=$2
  shift 2
  i=0
  while [ $i -lt 3 ]; do
    rm -rf .quilt
    ours=$(seconds "$quilt" run --quiet --jobs "$jobs" command --items "$items" -- "$@")
    theirs=$(seconds parallel --will-cite --quote --jobs "$jobs" --arg-file "$items" "$@")
    echo "$ours $theirs" | awk -v name="$name" '{ printf "%-28s quilt %7.2f s (%7.2f s of CPU)   parallel %7.2f s (%7.2f s of CPU)   %.1fx faster, %.1fx less CPU\n", name, $1, $2, $3, $4, $3 / $1, $4 / $2 }'
    i=$((i + 1))
  done
}
seq 10000 >tiny
seq 100 >busy
compare "10,000 times true" tiny true
compare "100 times 0.1 s of computing" busy sh -c 'i=0; while [ $i -lt 150000 ]; do i=$((i + 1)); done'
