"""Grows a clone's data: rows made from the schema, or after the pattern of the rows that are there.

Refuses: anything but a clone, frameworks' own tables, and to crash on a table that it can't fill: it says so.
"""

from perfcrew.target.rows.grow import grow

__all__ = ["grow"]
