#!/bin/sh
# Compares worker processes on NATS with a single server, and with other queues if they are available.
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

peers=$TOOLS/peers
if have redis-server; then
  mkdir -p "$peers"
  is_as_before() { cmp -s "bench/peers/$1" "$peers/$1"; }
  if ! is_as_before requirements.txt || [ ! -x "$peers/venv/bin/celery" ]; then
    say "installing Celery for comparison (a minute, once)"
    python3 -m venv "$peers/venv" && "$peers/venv/bin/pip" --quiet --disable-pip-version-check install -r bench/peers/requirements.txt >&2 || rm -rf "$peers/venv"
  fi
  if ! is_as_before package-lock.json || [ ! -d "$peers/node_modules" ]; then
    say "installing BullMQ for comparison (a minute, once)"
    cp bench/peers/package*.json bench/peers/.npmrc "$peers/"
    (cd "$peers" && npm ci --silent --no-audit --no-fund >&2) || rm -rf "$peers/node_modules"
  fi
  cp bench/peers/*.py bench/peers/*.mjs bench/peers/requirements.txt "$peers/"
  if [ -x "$peers/venv/bin/celery" ]; then
    export PEER_CELERY="cd '$peers' && venv/bin/python celery_run.py"
  fi
  if [ -d "$peers/node_modules" ]; then
    export PEER_BULLMQ="cd '$peers' && python3 bullmq_run.py"
  fi
else
  say "Celery and BullMQ are skipped: there is no redis-server on the PATH"
fi
cargo bench --package server --bench cluster
