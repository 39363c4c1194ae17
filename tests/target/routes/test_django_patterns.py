"""Regular expressions of Django's URLs, read for the values that they take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfcrew.target.routes.inside.django_urls import _groups, _matched

GROUPS = {
    r"^archive/(?P<year>[0-9]{4})/(?:page-(?P<page>\d+)/)?$": {"year": "[0-9]{4}", "page": r"\d+"},
    r"^((?:[\w\-]+/)*)$": {"_0": r"(?:[\w\-]+/)*"},
    r"^(\d+)/([^()/]+)/\($": {"_0": r"\d+", "_1": "[^()/]+"},
    r"a(?P<x>[)]|\))b": {"x": r"[)]|\)"},
    r"(?i)(?=a)b": {},
    r"(": {"_0": ""},
    "": {},
}


@pytest.mark.parametrize("regex", GROUPS)
def test_groups(regex: str) -> None:
    assert _groups(regex) == GROUPS[regex]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@given(st.text(alphabet="()[]\\?P<x>:^$a+*{2}|", max_size=30))
def test_groups_of_any_valid_expression_are_expressions_themselves(regex: str) -> None:
    try:
        re.compile(regex)
    except re.error:
        _groups(regex)  # ends, whatever it finds
        return
    for group in _groups(regex).values():
        re.compile(group) if "(?P=" not in group and "(?(" not in group else None


KINDS = {
    r"\d+": ("integer", "int", False),
    r"[0-9]+": ("integer", "int", False),
    r"[0-9]{4}": ("string", "regex", False),
    r"\d*": ("string", "regex", True),
    r"[^/]+": ("string", "regex", False),
    r".+": ("string", "path", False),
    r".*": ("string", "path", True),
    r"(?:[\w-]+/)*": ("string", "path", True),
    r"[\w-]+": ("string", "regex", False),
}


@pytest.mark.parametrize("regex", KINDS)
def test_kinds(regex: str) -> None:
    found = _matched("x", regex)
    assert (found["schema"]["type"], found["converter"], found["empty"]) == KINDS[regex]
