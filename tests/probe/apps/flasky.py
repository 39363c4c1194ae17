"""A Flask application with raw sqlite3, a template and a streamed answer."""

import os
import sqlite3
from collections.abc import Iterator

from flask import Flask, Response, g, render_template_string

app = Flask(__name__)


def database() -> sqlite3.Connection:
    if "db" not in g:
        g.db = sqlite3.connect(os.environ["APP_DATABASE"])
        g.db.row_factory = sqlite3.Row
    return g.db


@app.get("/items/<int:count>")
def items(count: int) -> str:
    database().execute("create table if not exists item (id integer primary key)")
    for number in range(count):
        database().execute("select ? as n", (number,)).fetchone()["n"]  # mark: each
    return render_template_string("{{ count }} items", count=count)


@app.get("/stream")
def stream() -> Response:
    def parts() -> Iterator[str]:
        connection = sqlite3.connect(os.environ["APP_DATABASE"])
        for _ in range(3):
            connection.execute("select 1").fetchall()  # mark: stream
            yield "x" * 50

    return Response(parts())


@app.get("/fail")
def fail() -> None:
    raise ValueError("as intended")
