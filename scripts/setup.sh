#!/bin/sh
# Makes .venv with everything that perfcrew, its demo and its tests need. Run again, it only mends what is missing.
set -eu
cd "$(dirname "$0")/.."

say() { printf '\033[1m==>\033[0m %s\n' "$1"; }

for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
  if command -v "$candidate" >/dev/null 2>&1 &&
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "${python:-}" ]; then
  echo "perfcrew needs Python 3.11 or later; install it (Debian: apt-get install python3 python3-venv," >&2
  echo "macOS: brew install python@3.12), or name it: make demo PYTHON=/path/to/python3" >&2
  exit 2
fi

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing python3-venv, which this Python lacks"
    apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv
  else
    echo "this Python has no venv module; on Debian: sudo apt-get install python3-venv" >&2
    exit 2
  fi
fi

if [ ! -x .venv/bin/python ]; then
  say "making .venv with $("$python" --version)"
  "$python" -m venv .venv
fi
if [ ! -x .venv/bin/uv ]; then
  say "installing uv into .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
fi
say "installing what uv.lock names"
.venv/bin/uv sync --locked --inexact --quiet
# The tests of MySQL and MariaDB want a real server; no wheel brings one. Where nobody is root on Debian they are skipped.
if [ -n "${CI:-}" ] && ! PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null 2>&1 &&
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  say "installing mariadb-server-core for the tests"
  { apt-get update -q && apt-get install -y -q --no-install-recommends mariadb-server-core; } >/dev/null ||
    say "it could not be installed: its tests will fail"
fi
say "ready: $(.venv/bin/perfcrew --version)"
