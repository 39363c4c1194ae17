"""One plausible value for a column, within what its type and its checks allow."""

from __future__ import annotations

import math
import random
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from perfcrew.target.rows import words
from perfcrew.target.rows.schema import Column

_ABSENT = re.compile(
    r"delet|remov|archiv|expir|revok|lock|disabl|cancel|banned|suspend|clos|trash|hidden|error|failed|parent_path", re.I
)
_OFF = re.compile(
    r"delet|remov|archiv|expir|revok|lock|disabl|cancel|banned|suspend|closed|trash|hidden|draft|admin|super|staff|"
    r"error|fail|spam|private|blocked|muted|test",
    re.I,
)
_LATER = re.compile(r"updat|modif|chang|end|finish|complet|due|until|last|deliver|ship|expir|stop", re.I)
_FAR = re.compile(r"expir|due|until|valid_to", re.I)
_EPOCH = re.compile(r"(_at|_on|_ts|time|timestamp|epoch)$", re.I)
_ENUM_LIKE = re.compile(
    r"(^|_)(type|kind|status|state|role|level|mode|method|stage|visibility|gender|scope|provider)$", re.I
)
_BIRTH = re.compile(r"birth|dob|^born", re.I)
_PLURAL = re.compile(
    r"(?<!setting)(?<!option)(?<!preference)(?<!attribute)(?<!propertie)(?<!param)(?<!header)s$|list$|array$", re.I
)

_NUMBERS: tuple[tuple[re.Pattern[str], float, float], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), low, high)
    for pattern, low, high in (
        (r"price|amount|cost|total|fee|salary|balance|subtotal|revenue|tax", 1, 200),
        (r"quantity|qty|stock|inventory", 1, 50),
        (r"rating|stars|score|priority", 1, 5),
        (r"year", 1990, 2025),
        (r"(^|_)age$", 18, 90),
        (r"percent|discount|progress", 0, 20),
        (r"lat(itude)?$", -60, 60),
        (r"(lon|lng)(gitude)?$", -179, 179),
        (r"view|like|hit|click|count|download|vote|visit|follower", 0, 500),
        (r"duration|seconds|minutes|length", 1, 600),
        (r"size|bytes|width|height|weight", 1, 2000),
        (r"month", 1, 12),
        (r"(^|_)day", 1, 28),
        (r"hour", 0, 23),
        (r"version|revision|attempt|retries", 1, 1),
    )
)


@lru_cache(maxsize=8192)
def _says(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.search(name) is not None


@lru_cache(maxsize=2048)
def _usual(name: str) -> tuple[float, float]:
    """The range that numbers of that name usually lie in."""
    return next(((low, high) for matcher, low, high in _NUMBERS if matcher.search(name)), (0.0, 100.0))


@dataclass
class Maker:
    """Makes values, always the same for the same seed. `today` is the end of the year that its times lie in."""

    table: str
    seed: int = 0
    today: datetime = field(
        default_factory=lambda: datetime.now(UTC).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    )

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed} {self.table}")

    def value(self, column: Column, position: float, counter: int) -> Any:
        """A value for the row at `position` (0 to 1) of the new ones. None where null is more plausible."""
        choices = self._choices(column)
        if choices and column.kind != "bool":
            return self.random.choice(choices)
        if column.nullable and (_says(_ABSENT, column.name) or column.kind in ("other", "tsvector")):
            return None
        default = literal(column.default)
        if column.kind in ("text", "int") and _says(_ENUM_LIKE, column.name):
            if default is not None:
                return default
            if column.nullable:
                return None
        return self._make(column, position, counter)

    def _choices(self, column: Column) -> tuple[Any, ...]:
        if column.domain.choices:
            known = set(column.choices) or None
            return tuple(c for c in column.domain.choices if known is None or c in known)
        return tuple(c for c in column.choices if c not in column.domain.excluded)

    def _make(self, column: Column, position: float, counter: int) -> Any:
        maker = getattr(self, f"_{column.kind}", None)
        return maker(column, position, counter) if maker else literal(column.default)

    def _int(self, column: Column, position: float, counter: int) -> int:
        if _says(_EPOCH, column.name) and column.digits != 4:
            return int(self._moment(column, position).replace(tzinfo=UTC).timestamp())
        low, high = self._range(column, 1.0)
        return self.random.randint(math.ceil(low), max(math.ceil(low), math.floor(high)))

    def _float(self, column: Column, position: float, counter: int) -> float:
        low, high = self._range(column, 0.01)
        return round(self.random.uniform(low, high), 4)

    def _decimal(self, column: Column, position: float, counter: int) -> str | float:
        places = column.places or 0
        step = 10.0**-places
        low, high = self._range(column, step)
        value = math.ceil(round(self.random.uniform(low, high) / step, 6)) * step
        shown = f"{min(value, max(low, math.floor(round(high / step, 6)) * step)):.{places}f}"
        return shown if column.native else float(shown)

    def _range(self, column: Column, step: float) -> tuple[float, float]:
        """The bounds by name, narrowed by what digits and checks allow; `step` keeps off an open bound."""
        low, high = _usual(column.name)
        most = 10.0 ** (column.digits - (column.places or 0)) - step if column.digits else math.inf
        allowed_low, allowed_high = -most, most
        if column.domain.low is not None:
            allowed_low = max(allowed_low, column.domain.low + (step if column.domain.low_open else 0))
        if column.domain.high is not None:
            allowed_high = min(allowed_high, column.domain.high - (step if column.domain.high_open else 0))
        if max(low, allowed_low) <= min(high, allowed_high):
            return max(low, allowed_low), min(high, allowed_high)
        if math.isinf(allowed_low):
            return allowed_high - 100, allowed_high
        return allowed_low, min(allowed_high, allowed_low + 100)

    def _bool(self, column: Column, position: float, counter: int) -> bool | int:
        default = literal(column.default)
        true = default if isinstance(default, bool) else not _says(_OFF, column.name)
        if isinstance(default, int):
            true = bool(default)
        return bool(true) if column.native else int(true)

    def _text(self, column: Column, position: float, counter: int) -> str:
        if column.length is not None and column.length <= 5 and words.pool_of(column.name) in ("code", "words"):
            return short(counter, column.length)
        texts = words.pool(words.pool_of(column.name, self.table), self.seed)
        return fitted(self.random.choice(texts), column)

    def _moment(self, column: Column, position: float) -> datetime:
        """Rows follow each other through the year; what comes later in a row's life is later."""
        moment = self.today - timedelta(days=365 * (1 - position), seconds=86400)
        if _says(_FAR, column.name):
            return self.today + timedelta(days=30 + self.random.randrange(300))
        return moment + timedelta(seconds=self.random.randrange(40_000, 80_000) if _says(_LATER, column.name) else 0)

    def _datetime(self, column: Column, position: float, counter: int) -> str:
        return self._moment(column, position).strftime("%Y-%m-%d %H:%M:%S.%f")

    def _date(self, column: Column, position: float, counter: int) -> str:
        if _says(_BIRTH, column.name):
            return (self.today - timedelta(days=self.random.randrange(7000, 25000))).strftime("%Y-%m-%d")
        return self._moment(column, position).strftime("%Y-%m-%d")

    def _time(self, column: Column, position: float, counter: int) -> str:
        return f"{self.random.randrange(24):02}:{self.random.randrange(60):02}:00.000000"

    def _interval(self, column: Column, position: float, counter: int) -> str | int:
        return "1 hour" if column.native else 3_600_000_000  # Django's microseconds

    def _json(self, column: Column, position: float, counter: int) -> str:
        default = literal(column.default)
        if isinstance(default, str) and default[:1] in ("{", "["):
            return default
        return "[]" if _says(_PLURAL, column.name) else "{}"

    def _uuid(self, column: Column, position: float, counter: int) -> str:
        made = uuid.UUID(int=self.random.getrandbits(128), version=4)
        return str(made) if column.dashed else made.hex

    def _bytes(self, column: Column, position: float, counter: int) -> bytes:
        return self.random.randbytes(32)

    def _array(self, column: Column, position: float, counter: int) -> str:
        return "{}"

    def _inet(self, column: Column, position: float, counter: int) -> str:
        return f"192.0.2.{self.random.randrange(1, 255)}"

    def _vector(self, column: Column, position: float, counter: int) -> str:
        numbers = (f"{self.random.gauss(0, 1):.4f}" for _ in range(column.length or 3))
        return f"[{','.join(numbers)}]"

    def _tsvector(self, column: Column, position: float, counter: int) -> str:
        return self.random.choice(words.pool("word", self.seed))


@lru_cache(maxsize=2048)
def literal(default: str | None) -> Any:
    """The constant of a column's DEFAULT, None where it is an expression."""
    if default is None:
        return None
    text = re.sub(r"::[\w \"\[\]().]+$", "", default.strip()).strip("()")
    if re.fullmatch(r"'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d+\.\d+", text) else None


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    text = ""
    while True:
        number, rest = divmod(number, 36)
        text = _DIGITS[rest] + text
        if not number:
            return text


def short(counter: int, length: int) -> str:
    """A code of exactly that many characters, different for each counter while there are enough of them."""
    return base36(counter % 36**length).upper().rjust(length, "A")


def fitted(text: str, column: Column) -> str:
    """The text as long as column and checks want it."""
    most = min((n for n in (column.length, column.domain.max_length) if n is not None), default=None)
    least = column.domain.min_length or 0
    if len(text) < least:
        text = (text + " " + "lorem ipsum dolor " * (least // 15 + 1))[: max(least, 1)].replace(" ", "x")
    text = text if most is None else text[:most]
    return text.replace("'", " ") if text.strip() or least == 0 else "x" * least


def varied(text: str, counter: int, column: Column) -> str:
    """The text made unlike all others by a counter, at the place where its form bears it."""
    most = min((n for n in (column.length, column.domain.max_length) if n is not None), default=10_000)
    mark = base36(counter)
    if most <= len(mark) + 1:
        return short(counter, most)
    name, at, host = text.partition("@")
    if at and "." in host and len(host) + len(mark) + 3 < most:
        return f"{name[: most - len(host) - len(mark) - 2]}-{mark}@{host}"
    return fitted(f"{text[: most - len(mark) - 1].rstrip('-')}-{mark}", column)
