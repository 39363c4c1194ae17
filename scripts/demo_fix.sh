#!/bin/sh
# Tries the fixes of the bundled bookshop's planted faults, on a copy of it under .demo that is a git repository of its own.
#   --endpoint 'GET /x'   those of this endpoint alone; given as often as wanted
set -eu
cd "$(dirname "$0")/.."
. scripts/bookshop.sh

copied .demo
committed
[ "$#" -gt 0 ] || set -- --all
say "reviewing a copy of the bookshop, then trying each fix alone$([ "$1" != --all ] || printf ' (an hour or more on two cores)')"
status=0
../../.venv/bin/perfcrew optimize "$@" || status=$?
git log --oneline --all
found "$status"
