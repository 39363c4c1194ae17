#!/bin/sh
# The whole path with language models, played by a script on loopback: specialists, reviewer, narrator, a patch, the lab,
# the gate. On a copy of the bookshop under .demo-llm that is a git repository of its own; no key, and nothing goes out.
#   --dies-half-way   the model's provider dies after the specialists have concluded; the rule book finishes
set -eu
cd "$(dirname "$0")/.."
. scripts/bookshop.sh

die="" finding=HT900 # what the model brings up, and writes a change for
if [ "${1:-}" = "--dies-half-way" ]; then
    # Two specialists, two answers each: reviewer, patches and narrator meet a dead provider; a rule's change is tried.
    die="--dies-after 4" finding=HT401
    shift
fi

copied .demo-llm

# As a project of one's own would: fewer instruments, short trials; and what the model's tokens would cost elsewhere.
mkdir -p .perfcrew/workflows
cat >.perfcrew/workflows/optimize.yaml <<'POLICY'
name: optimize
specialists: [database, inference]
reviewer: reviewer
instruments: [baseline, traces]
rewrites: 2
specialist_seconds: 120
experiments: {budget_s: 400, trial_s: 30, most: 1, variants: 1, margin: 0.1, error: 0.1, suite_s: 200}
POLICY
cat >>perfcrew.toml <<'PRICES'

# A scripted model costs nothing. These are the prices of claude-opus-5, so that the column shows what they come to.
[models.prices.scripted-anthropic]
input = 5.0
output = 25.0
cached = 0.5
PRICES
sed -i.bak 's/^sizes = .*/sizes = [100, 200]/' perfcrew.toml && rm perfcrew.toml.bak
committed

say "THE MODEL IS A SCRIPT: a stand-in on loopback that computes its answers from the prompt; no language model is asked"
[ -z "$die" ] || say "its provider dies after four answers, and the rule book has to finish"
status=0
# shellcheck disable=SC2086 # two words, or none
../../.venv/bin/python -m perfcrew.testing ../../scripts/demo_llm.yaml anthropic $die -- \
    ../../.venv/bin/perfcrew optimize --offline --endpoint 'GET /wholesale/stock' "$@" "$finding" || status=$?
say "the model was a script, and so is every text marked (scripted); the money is what such tokens would have cost"
say "kept, if anything was: git -C .demo-llm/bookshop log --all"
found "$status"
