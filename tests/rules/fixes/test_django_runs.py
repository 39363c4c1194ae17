"""What is written for Django, run by Django on a real database: the same answers and rows by fewer statements."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .cases import FILE, At
from .database import asked, fixed

MODELS = """
from django.db import models


class Book(models.Model):
    title = models.TextField()
    price = models.IntegerField(default=1)
    body = models.TextField(default="long")
"""
APP = """
from shop.models import Book


def top(limit: int) -> list[dict[str, int | None]]:
    rows = Book.objects.values("price").order_by("-price")[:limit]
    return [dict(row) for row in rows]


def sell(title):
    Book.objects.create(title=title, price=99)


def rise(rate):
    for book in Book.objects.filter(price__gt=2):
        book.price = book.price * rate
        book.save(update_fields=["price"])


def titles():
    return [book.title for book in Book.objects.order_by("id")]
"""
DRIVER = """
import importlib, json
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["shop"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from shop.models import Book

with connection.schema_editor() as editor:
    editor.create_model(Book)


def used(name):
    shop = importlib.import_module(name)
    cache.clear()
    Book.objects.all().delete()
    Book.objects.bulk_create([Book(id=n, title=f"t{n}", price=n) for n in range(1, 7)])
    answers = []
    with CaptureQueriesContext(connection) as sent:
        answers += [shop.top(3), shop.top(3), shop.top(2), shop.titles()]
        shop.sell("new")
        answers += [shop.top(3), shop.top(3)]
        shop.rise(3)
        answers.append(list(Book.objects.order_by("id").values_list("price", flat=True)))
    texts = [q["sql"] for q in sent.captured_queries]
    return {"answers": answers, "sent": len(texts), "bodies": sum("body" in t for t in texts if "SELECT" in t),
            "updates": sum(t.startswith("UPDATE") for t in texts)}


print(json.dumps({name: used(f"shop.{name}") for name in ("app", "kept", "saved", "only")}))
"""
TITLES = At("return [book.title", "titles")
READ = "SELECT shop_book.price FROM shop_book ORDER BY shop_book.price DESC LIMIT ?"


@pytest.mark.target
def test_the_same_answers_by_fewer_statements(tmp_path: Path) -> None:
    files = {"shop/__init__.py": "", "shop/models.py": MODELS, FILE: APP}
    found = {
        "kept": asked(tmp_path, "CA201", files, At("Book.objects.values", "top"), READ, framework="django"),
        "saved": asked(tmp_path, "DB110", files, At("book.save", "rise"), framework="django"),
        "only": asked(tmp_path, "DB106", files, TITLES, subject="Book.body", framework="django"),
    }
    names = {"kept": "kept in Django's cache", "saved": "bulk", "only": "only"}
    for name, answers in found.items():
        (tmp_path / f"shop/{name}.py").write_text(fixed(answers, names[name])[FILE])
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    before = seen["app"]
    for name in names:
        assert seen[name]["answers"] == before["answers"]
    assert seen["kept"]["sent"] == before["sent"] - 2
    assert (before["updates"], seen["saved"]["updates"]) == (5, 1)
    assert (before["bodies"] - seen["only"]["bodies"]) == 1
