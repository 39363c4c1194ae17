#!/bin/sh
# Tries the fixes of the bundled bookshop's planted faults, on a copy of it under .demo that is a git repository of its own.
set -eu
cd "$(dirname "$0")/.."

rm -rf .demo
mkdir .demo
git ls-files examples/bookshop | while read -r file; do
    mkdir -p ".demo/$(dirname "${file#examples/}")"
    cp "$file" ".demo/${file#examples/}"
done
cd .demo/bookshop
git init --quiet --initial-branch=main
git add --all
git -c user.name=perfcrew -c user.email=perfcrew@localhost commit --quiet --no-verify --message "the bookshop, with its faults"

printf '\033[1m==>\033[0m %s\n' "reviewing a copy of the bookshop, then trying each fix alone (an hour or more on two cores)"
status=0
../../.venv/bin/perfcrew optimize --all "$@" || status=$?
git log --oneline --all
# 1 means findings, which is what the demo is for.
[ "$status" -eq 1 ] && exit 0
exit "$status"
