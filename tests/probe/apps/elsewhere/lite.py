"""SQLite's C classes under another name."""

from _sqlite3 import *  # noqa: F403
