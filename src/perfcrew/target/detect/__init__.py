"""Finds out what a project is and how it is run: framework, interpreter, start command, database, and the rest.

It reads the project's files, and asks the project's own interpreter, in processes of their own and in time.
It refuses to import anything of the target, to write anything, and to guess between equals: where several answers
are equally likely it raises NotDetected with the line that settles it.
"""

from __future__ import annotations

from perfcrew.target.detect.survey import detect

__all__ = ["detect"]
