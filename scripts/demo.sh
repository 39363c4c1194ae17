#!/bin/sh
# Reviews the bundled bookshop: started, seeded, measured and reported, with no key, no server and no question.
set -eu
cd "$(dirname "$0")/.."

printf '\033[1m==>\033[0m %s\n' "reviewing examples/bookshop (an application with fifteen faults planted in it)"
status=0
.venv/bin/perfcrew review examples/bookshop --all "$@" || status=$?
# 1 means findings, which is what the demo is for.
[ "$status" -eq 1 ] && exit 0
exit "$status"
