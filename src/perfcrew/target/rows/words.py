"""Pools of plausible text, made once a seed: to ask Faker for every cell would take seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from faker import Faker

_POOL = 150
_TEXTS: tuple[tuple[str, str], ...] = (
    # what the column's name matches, the pool it draws from; the first match counts
    (r"e?mail", "email"),
    (r"pass(word|wd)|_hash$|^hash$", "password"),
    (r"user_?name|login|nick|handle|screen_?name", "user_name"),
    (r"first_?name|given", "first_name"),
    (r"(last|family|sur)_?name", "last_name"),
    (r"slug|permalink", "slug"),
    (r"(image|avatar|photo|thumbnail|picture|cover|logo|icon)", "image"),
    (r"file|path|attachment", "file"),
    (r"url|link|website|homepage|webhook|href|domain", "url"),
    (r"phone|mobile|fax", "phone"),
    (r"country_?code|country_iso", "country_code"),
    (r"country", "country"),
    (r"city|town", "city"),
    (r"(^|_)state$|province|region", "status"),
    (r"zip|post(al)?_?code", "postcode"),
    (r"street|address|location", "address"),
    (r"company|organi[sz]ation|publisher|brand|vendor|supplier", "company"),
    (r"currency", "currency"),
    (r"lang|locale", "language"),
    (r"time_?zone|^tz$", "time_zone"),
    (r"(^|_)ip(_|$)|ip_addr|remote_addr", "ip"),
    (r"user_?agent", "user_agent"),
    (r"colou?r", "color"),
    (r"mime|content_type|media_type", "mime"),
    (r"status", "status"),
    (r"sku|isbn|code|token|secret|(^|_)key|uuid|guid|number|reference|serial|barcode|digest|checksum|etag", "code"),
    (r"title|subject|headline|heading|caption", "title"),
    (r"body|content|text|markdown|html|article|story|essay", "body"),
    (r"descr|summary|bio|excerpt|about|abstract|blurb|message|comment|review|note|remark|detail|synopsis", "summary"),
    (r"tags?$|keywords?|categor", "word"),
    (r"author|full_?name|display_?name|customer|owner|person|contact|recipient|sender", "name"),
    (r"name|label", "label"),
)
_MATCHERS = tuple((re.compile(pattern, re.IGNORECASE), pool) for pattern, pool in _TEXTS)


@lru_cache(maxsize=4096)
def pool_of(column: str, table: str = "") -> str:
    """The pool that fits a column's name; a bare `name` of people's tables is a person's."""
    if column.lower() == "name" and re.search(
        r"user|author|person|people|customer|member|employee", table, re.IGNORECASE
    ):
        return "name"
    return next((pool for matcher, pool in _MATCHERS if matcher.search(column)), "words")


@lru_cache(maxsize=4)
def _faker(seed: int) -> Faker:
    faker = Faker("en_US", use_weighting=False)
    faker.seed_instance(seed)
    return faker


@lru_cache(maxsize=256)
def pool(name: str, seed: int) -> tuple[str, ...]:
    """Texts of one kind, the same for the same seed."""
    faker = _faker(seed)
    faker.seed_instance(f"{seed} {name}")
    makers: dict[str, Callable[[], str]] = {
        "email": lambda: str(faker.safe_email()),
        "password": lambda: "pbkdf2_sha256$600000$" + str(faker.sha1()) + "$" + str(faker.sha256()),
        "user_name": faker.user_name,
        "first_name": faker.first_name,
        "last_name": faker.last_name,
        "name": lambda: f"{faker.first_name()} {faker.last_name()}",
        "label": lambda: " ".join(faker.words(2)).capitalize(),
        "slug": lambda: "-".join(faker.words(3)).lower(),
        "image": lambda: f"images/{faker.word()}-{faker.random_int()}.jpg",
        "file": lambda: f"files/{faker.word()}-{faker.random_int()}.pdf",
        "url": lambda: f"https://example.com/{faker.word()}/{faker.random_int()}",
        "phone": lambda: "+1202555" + str(faker.numerify("####")),
        "country_code": faker.country_code,
        "country": faker.country,
        "city": faker.city,
        "postcode": faker.postcode,
        "address": faker.street_address,
        "company": faker.company,
        "color": faker.hex_color,
        "ip": faker.ipv4_private,
        "user_agent": lambda: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "code": lambda: str(faker.bothify("????-########")).upper(),
        "title": lambda: " ".join(faker.words(5)).capitalize(),
        "body": lambda: "\n\n".join(faker.paragraphs(4)),
        "summary": lambda: " ".join(faker.sentences(2)),
        "word": faker.word,
        "words": lambda: " ".join(faker.words(3)),
    }
    fixed = {
        "status": ("active",),
        "currency": ("EUR", "USD", "GBP"),
        "language": ("en",),
        "time_zone": ("UTC",),
        "mime": ("text/plain", "image/png", "application/pdf"),
    }
    if name in fixed:
        return fixed[name]
    count = 40 if name == "body" else _POOL
    return tuple(str(makers[name]()) for _ in range(count))
