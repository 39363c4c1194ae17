"""A desk in a book shop: the ledger of a finished review, and a project's folder with source, notes and secrets."""

from __future__ import annotations

from pathlib import Path

from perfcrew.core.evidence import Evidence
from perfcrew.crew.desk import Desk
from perfcrew.ledger import Ledger
from tests.report.make_ledger import RUN, make

SOURCE = '''\
"""The shop's interface."""


def list_authors(session):
    authors = session.scalars(select(Author)).all()
    return [(a.name, [b.title for b in a.books]) for a in authors]
'''
FILES = {
    "src/bookshop/api.py": SOURCE,
    "CLAUDE.md": "Listings are paged. Run the tests with make test.\n",
    "docs/baseline.md": "GET /authors took 40 ms in March.\n",
    ".env": "DATABASE_PASSWORD=opensesame1\n",
    "config/secrets.yaml": "stripe: sk_live_0123456789abcdefghij\n",
    "deploy/server.pem": "-----BEGIN PRIVATE KEY-----\nabc\n",
    ".git/config": "[remote]\n",
    "node_modules/x/index.js": "authors\n",
}


def shop(folder: Path) -> Ledger:
    """The ledger of the shop, its project around it."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return make(folder, load_steps=(), without=("POST /login", "GET /recommendations", "GET /health"))


def desk(ledger: Ledger, **more: object) -> Desk:
    root = ledger.where.parent.parent
    return Desk("database", ledger, RUN, root, endpoints=("GET /authors", "GET /books"), **more)  # type: ignore[arg-type]


def one(ledger: Ledger, kind: str, subject: str | None = None) -> Evidence:
    """The first item of a kind."""
    return ledger.find(RUN, kind, subject)[0]
