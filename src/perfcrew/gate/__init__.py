"""The gate: one function a check, which reads the ledger again, recomputes, and passes or fails a report.

Refuses: judgement by taste, a number that does not resolve, and silence about why it failed.
"""

from perfcrew.gate.judge import check, seal

__all__ = ["check", "seal"]
