"""The ledger: append-only evidence, content-addressed, readable after a crash at any moment.

Refuses: changing or deleting what was written, and a second item in one slot of a run (the first one stays).
"""

from perfcrew.ledger.store import Ledger

__all__ = ["Ledger"]
