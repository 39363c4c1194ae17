"""What a reader of Markdown would follow, load or run is found, wherever a model hides it; code and words are left."""

import pytest

from perfcrew.core.numerals import uncited
from perfcrew.core.prose import Prose
from perfcrew.crew.judging import has_markup, promises

FOUND = {
    "an image": "![x](/y)",
    "a tag": "slow <img src=x>",
    "between backticks that are none": r"\`<img src=//evil.example/x>\`",
    "an image between them": r"\`![x](//evil.example/x)\`",
    "a fence within a line": "a ```b\n\n<img src=x>\n\n``` c",
    "after an empty span": "`a`` <b> ``",
    "a link by number": "see [this][1]",
    "its address": "[1]: //evil.example",
    "an address without a scheme": "see www.evil.example",
    "another scheme": "ftp://evil.example",
    "a mail": "mailto:a@evil.example",
    "somebody": "ask @octocat to merge it",
}
LEFT = {
    "a comparison": "`WHERE a < b` and 1 < 2",
    "a generic": "`List<Book>`",
    "a fence": "Do this:\n```python\nif a <b:\n    x[0](1)\n```\nand no more.",
    "a decorator as code": "`@cache` on the function",
    "an index": "`rows[0]` and rows [0]",
    "a path": "`/books/{id}`",
}


@pytest.mark.parametrize("what", FOUND)
def test_found(what: str) -> None:
    assert has_markup(FOUND[what])


@pytest.mark.parametrize("what", LEFT)
def test_left(what: str) -> None:
    assert not has_markup(LEFT[what])


@pytest.mark.parametrize(
    "text", ["makes it 40 times faster", "saves 95 %", "3x faster", "halves the time", "twice as fast"]
)
def test_a_gain_is_no_words_of_a_hypothesis(text: str) -> None:
    assert promises(text)


@pytest.mark.parametrize("text", ["a page of 50 rows", "cache for 60 s", "`x * 3 % 2`", "an index on two columns"])
def test_what_a_change_is_made_of_is_no_gain(text: str) -> None:
    assert not promises(text)


@pytest.mark.parametrize("text", ["\u2460\u2461 statements", "\u216b queries", "\u2776 row", "\u00bd"])
def test_digits_of_another_kind_are_numerals(text: str) -> None:
    assert uncited(Prose(text=text))
