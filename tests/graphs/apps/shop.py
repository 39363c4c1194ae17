"""Two endpoints on a database of its own."""

import os
import sqlite3
from contextlib import closing

from fastapi import FastAPI

app = FastAPI()
FILE = os.environ.get("SHOP_DB", "sqlite:///shop.sqlite3").removeprefix("sqlite:///")


def rows(sql: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(FILE)) as db:
        return db.execute(sql, values).fetchall()


@app.get("/items")
def items(limit: int = 20) -> list[dict[str, object]]:
    return [{"item_id": i, "name": n} for i, n in rows("SELECT id, name FROM item LIMIT ?", limit)]


@app.get("/items/{item_id}")
def item(item_id: int) -> dict[str, object]:
    return {"item_id": item_id, "name": rows("SELECT name FROM item WHERE id = ?", item_id)[0][0]}
