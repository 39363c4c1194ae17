"""Looks for a customer's entries in MariaDB, where no index has their column."""

import os
from urllib.parse import urlsplit

import pymysql
from fastapi import FastAPI

app = FastAPI()
URL = urlsplit(os.environ["SHOP_DB"])


@app.get("/entries")
def entries() -> list[int]:
    db = pymysql.connect(host=URL.hostname, port=URL.port or 3306, user=URL.username, database=URL.path[1:])
    with db, db.cursor() as cursor:
        cursor.execute("SELECT id FROM entries WHERE customer_id = %s ORDER BY id DESC LIMIT 10", (77,))
        return [row[0] for row in cursor.fetchall()]
