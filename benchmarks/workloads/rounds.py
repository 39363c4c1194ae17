"""Work in rounds of some ten microseconds, a third each of JSON, SQL and plain Python.

As a program: `python rounds.py COUNT` does COUNT rounds, and EXTRA (environment) more of the same kind.
"""

import json
import os
import sqlite3
import sys

RECORD = {"id": 7, "title": "A book", "price": 12.5, "tags": ["a", "b"]}
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
DATABASE.execute("CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT)")
DATABASE.executemany("INSERT INTO book (title) VALUES (?)", [(f"title {n}",) for n in range(100)])


def work(rounds: int) -> int:
    """A sum over all that was done, so that nothing of it can be left out."""
    total = 0
    for number in range(rounds):
        total += len(json.loads(json.dumps(RECORD))["tags"])
        total += len(DATABASE.execute("SELECT title FROM book WHERE id = ?", (number % 100 + 1,)).fetchone()[0])
        for digit in str(number * 7919):
            total += ord(digit) & 3
    return total


if __name__ == "__main__":
    work(int(sys.argv[1]) + int(os.environ.get("EXTRA", "0")))
