"""Forks, and asks on both sides."""

import os
import sqlite3

connection = sqlite3.connect(":memory:")
connection.execute("select 'parent'").fetchall()  # mark: parent
pid = os.fork()
if pid == 0:
    connection = sqlite3.connect(":memory:")
    connection.execute("select 'child'").fetchall()  # mark: child
    os._exit(0)
os.waitpid(pid, 0)
