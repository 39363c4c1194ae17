"""Fences: text of the application under review stands between marks that it can't write itself.

Source, comments, logs, pages and database values are somebody else's words. What could end the fence, or look like
the turn of a conversation, is written in other letters; what can't be seen is taken out.
"""

from __future__ import annotations

import re

OPEN, CLOSE = "<data>", "</data>"
_MARK = re.compile(r"[<＜﹤]\s*[/／]?\s*data\b[^>＞﹥]{0,40}[>＞﹥]?", re.IGNORECASE)
_TURN = re.compile(r"<\|([^|<>]{1,40})\|>|\[(/?INST|/?SYS)\]|<(/?(?:system|assistant|human|user))>", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")


def fence(text: str) -> str:
    """The text, unable to close the fence it stands in, to begin a turn, or to hold what nobody sees."""
    text = _UNSEEN.sub("", text.replace("\r\n", "\n"))
    text = _MARK.sub(lambda m: m.group(0).translate(_OTHER), text)
    return _TURN.sub(lambda m: m.group(0).translate(_OTHER), text)


_OTHER = str.maketrans({"<": "‹", ">": "›", "＜": "‹", "﹤": "‹", "＞": "›", "﹥": "›", "[": "⟦", "]": "⟧", "|": "¦"})


def fenced(text: str) -> str:
    """The text in its fence."""
    return f"{OPEN}\n{fence(text)}\n{CLOSE}"
