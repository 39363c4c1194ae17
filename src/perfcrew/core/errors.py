"""What can go wrong, said so that the reader can act on it."""

from __future__ import annotations

from collections.abc import Sequence


class PerfcrewError(Exception):
    """Something that we could not do: what was wrong, where, and what to do about it."""

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.do = what, where, do

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.do:
            parts.append(f"  to do: {self.do}")
        return "\n".join(parts)


class UsageError(PerfcrewError):
    """An argument or a configuration is wrong."""

    exit_code = 2


class NotDetected(UsageError):
    """A fact about the target could not be found out; says what was looked for, where, and the line to add."""


class Unmeasurable(PerfcrewError):
    """A measurement is impossible or would not mean anything here."""


class NothingToReview(PerfcrewError):
    """What changed touches no endpoint: that is an answer, not a failure."""

    exit_code = 0


class CommandError(PerfcrewError):
    """An outside command did not do its work: carries the command, its exit and the tail of its output."""

    def __init__(
        self,
        what: str,
        *,
        command: Sequence[str] = (),
        exit: int | None = None,
        tail: str = "",
        where: str = "",
        do: str = "",
    ) -> None:
        super().__init__(what, where=where, do=do)
        self.command, self.exit, self.tail = tuple(command), exit, tail

    def __str__(self) -> str:
        parts = [super().__str__()]
        if self.command:
            import shlex  # only where it is needed: the command line must answer at once

            parts.append(f"  command: {shlex.join(self.command)}")
        if self.exit is not None:
            parts.append(f"  exit: {self.exit}")
        if self.tail:
            parts.append("  output ends with:\n" + "\n".join("    " + line for line in self.tail.splitlines()))
        return "\n".join(parts)


class ToolMissing(CommandError):
    """A program that an instrument needs is not installed."""


class ToolFailed(CommandError):
    """A program ran and failed, or its output can't be read."""


class TargetFailed(CommandError):
    """The application under review did not start, died, or stopped answering."""


class LedgerError(PerfcrewError):
    """The ledger can't be read or written, or holds no such evidence."""
