#!/bin/sh
# Reviews the bundled bookshop: started, seeded, measured and reported, with no key, no server and no question. Then
# tries the fixes of two of its endpoints on a copy, each alone, and keeps on a branch of that copy what is proven.
set -eu
cd "$(dirname "$0")/.."
. scripts/bookshop.sh

say "reviewing examples/bookshop (an application with fifteen faults planted in it)"
status=0
.venv/bin/perfcrew review examples/bookshop --all || status=$?
found "$status"
say "now the fixes of two of its endpoints, on a copy under .demo (of all of them: make demo-fix)"
exec sh scripts/demo_fix.sh --endpoint 'GET /orders/recent' --endpoint 'GET /books/bargains'
