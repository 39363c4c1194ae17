"""What is handed over with a finding: a regression test and an alert, made from its budget."""

from __future__ import annotations

import re

from perfcrew.core.report import FindingSection
from perfcrew.core.units import read

COUNTED = ("DB101", "DB102", "DB110", "HT401", "CA201")
"""Rules whose fault shows in counts, which a test can hold exactly, without a clock."""

AGAIN = "HT404"
"""The rule whose fault shows in what is sent again, which a test can hold exactly too."""

_COUNT_TEST = '''\
def test_{name}_does_not_grow_with_the_data(client, add_rows, count_{what}{wanted}):
    """{rule}: `count_{what}` counts what one request sends (pytest-django: `django_assert_num_queries`).{given}"""
    with count_{what}() as few:
        client.{method}({target})
    add_rows()
    with count_{what}() as many:
        client.{method}({target})
    assert many.count <= few.count
'''
_TIME_TEST = '''\
def test_{name}_keeps_its_budget(benchmark, client{wanted}):
    """{rule}: with pytest-benchmark, on the machine that the budget was measured on.{given}"""
    benchmark.pedantic(lambda: client.{method}({target}), rounds=30, warmup_rounds=5)
    assert benchmark.stats["median"] < {seconds:g}
'''
_AGAIN_TEST = '''\
def test_{name}_is_not_sent_again(client{wanted}):
    """{rule}: who has the answer asks by its validator, and is sent none of it.{given}"""
    first = client.{method}({target})
    asked = {{"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}}
    known = {{name: first.headers[sent] for name, sent in asked.items() if sent in first.headers}}
    assert known
    assert client.{method}({target}, headers=known).status_code == 304
'''
_ALERT = """\
- alert: Slow{camel}
  expr: >-
    histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{{
    http_request_method="{verb}", http_route="{path}"}}[5m]))) > {seconds:g}
  for: 10m
  annotations:
    summary: "p95 of {verb} {path} is over its budget; {rule} was found here"
"""
_ID, _BARE = re.compile(r"{(\w+)[^{}]*}"), r"{\1}"


def regression_test(section: FindingSection) -> str:
    """A test in Python for the project's suite: of what is sent where the fault shows in that, of time otherwise.

    Empty where there is neither an endpoint nor a budget.
    """
    values = _values(section)
    if values is None:
        return ""
    if section.finding.rule in COUNTED:
        what = "calls" if section.finding.rule.startswith("HT") else "statements"
        return _COUNT_TEST.format(what=what, **values)
    again = section.finding.rule == AGAIN and any(h.metric == "conditional.bytes" for h in section.finding.hypotheses)
    return (_AGAIN_TEST if again else _TIME_TEST).format(**values)


def alert_rule(section: FindingSection) -> str:
    """A Prometheus rule on OpenTelemetry's server metric; empty where there is no endpoint or budget."""
    values = _values(section)
    return _ALERT.format(**values) if values else ""


def _values(section: FindingSection) -> dict[str, object] | None:
    budget = read(section.budget.text, "ms")
    if section.finding.endpoint is None or budget is None:
        return None
    verb, _, path = section.finding.endpoint.partition(" ")
    words = re.findall(r"[A-Za-z0-9]+", section.finding.endpoint.lower())
    path = path.replace("\\", "").replace('"', "")
    ids = list(dict.fromkeys(_ID.findall(path)))
    return {
        "verb": verb,
        "method": verb.lower(),
        "path": path,
        "target": f'f"{_ID.sub(_BARE, path)}"' if ids else f'"{path}"',
        "wanted": "".join(f", {name}" for name in ids),
        "given": f" {', '.join(ids)}: fixtures of yours, of rows that are there." if ids else "",
        "name": "_".join(words),
        "camel": "".join(w.capitalize() for w in words),
        "rule": section.finding.rule,
        "seconds": budget.value / 1000,
    }
