# `make demo` and `make test` are all that a stranger needs; both begin from python3 >= 3.11 and git alone.
.PHONY: help setup demo demo-fix demo-llm test check fix bench clean

BIN := .venv/bin

help:
	@echo "make demo    set up, review the bundled application, try three fixes on a copy (no key, no server, no question)"
	@echo "make demo-fix  set up, then try each fix alone and keep what is proven (an hour or more)"
	@echo "make demo-llm  set up, then the whole path with a language model that is a script (ARGS=--dies-half-way: it dies)"
	@echo "make test    set up, then run the tests, lint, types and the import contract"
	@echo "make check   lint, format, types, import contract"
	@echo "make fix     mend what lint and format can mend by themselves"
	@echo "make bench   print the figures that the documentation quotes"

setup:
	@PYTHON="$(PYTHON)" sh scripts/setup.sh

demo: setup
	@sh scripts/demo.sh

demo-fix: setup
	@sh scripts/demo_fix.sh

demo-llm: setup
	@sh scripts/demo_llm.sh $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ALONE = $(shell grep -rlF pytest.mark.alone tests --include=test_*.py)
# What measures runs alone, after the rest: two cores can't time one thing while they do another. The rest waits much.
test: check
	$(BIN)/pytest -m "not alone" -n 3 --dist loadfile --no-loadscope-reorder
	$(BIN)/pytest -m alone $(ALONE)

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Those that take an hour are run by hand: compare_power, compare_aa, kill_and_resume, kill_and_optimize.
bench: setup
	@for f in benchmarks/cli.py benchmarks/probe.py benchmarks/load.py benchmarks/review.py benchmarks/compare.py benchmarks/model_fanout.py benchmarks/model_faults.py; do echo "==> $$f"; $(BIN)/python $$f || exit 1; done

clean:
	rm -rf .venv build dist .cache/compiled .mypy_cache .ruff_cache .pytest_cache .hypothesis
