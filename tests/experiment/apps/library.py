"""A small library on SQLite. CHANGE names what it answers otherwise: fewer, order, text, shape, status.

Whatever it answers holds the time and a random id. Called with `seed`, it fills its database with titles by lot; a
second word is the number of rows.
"""

import json
import os
import random
import sqlite3
import sys
import time
import uuid

CHANGE = os.environ.get("CHANGE", "").split()
FILE = os.environ.get("LIBRARY", "sqlite:///library.db").removeprefix("sqlite:///")


def books():
    with sqlite3.connect(FILE, timeout=20) as db:
        return [{"id": id, "title": title} for id, title in db.execute("SELECT id, title FROM book ORDER BY id")]


def listing():
    return {"books": books()[:10] if "fewer" in CHANGE else books()}


def ordered():
    return {"books": books()[::-1] if "order" in CHANGE else books(), **({"new": 1} if "shape" in CHANGE else {})}


def first():
    return books()[0]


def clock():
    return {"day": time.strftime("%A")}


def page():
    told = "".join(f"<li>{book['title']}</li>" for book in books())
    return f"<html><h1>{'Our' if 'text' in CHANGE else 'The'} library</h1><ul>{told}</ul><i>{uuid.uuid4()}</i></html>"


PAGES = {"/books": listing, "/ordered": ordered, "/first": first, "/clock": clock, "/page": page}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    made = PAGES.get(scope["path"], dict)()
    kind, body = "text/html", made
    if isinstance(made, dict):
        kind, body = "application/json", json.dumps({**made, "at": time.time(), "trace": uuid.uuid4().hex})
    status = 500 if "status" in CHANGE and scope["path"] == "/clock" else 200
    headers = [(b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def seed(rows=40):
    with sqlite3.connect(FILE) as db:
        db.execute("CREATE TABLE IF NOT EXISTS book (id INTEGER PRIMARY KEY, title VARCHAR(40) NOT NULL)")
        titles = [(f"Book {random.randint(1, 10**9)}",) for _ in range(rows)]
        db.executemany("INSERT INTO book (title) VALUES (?)", titles)


if __name__ == "__main__":
    seed(*map(int, sys.argv[2:]))
