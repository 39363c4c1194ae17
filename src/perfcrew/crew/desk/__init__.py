"""What a model has on its desk: evidence, the ledger by SQL, the project's source and notes, and the instruments.

Refuses: writing anything, another run's rows, files that are not the target's own or that keep secrets, and an answer
without an evidence id.
"""

from perfcrew.crew.desk.place import Desk, Measure

__all__ = ["Desk", "Measure"]
