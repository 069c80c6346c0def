"""Errors as part of the interface: what is wrong, where, what is allowed, what to type next.

Every failure that a person can cause or meet is an `OpsError`. The edge of the program (the command line, the pytest
plugin) prints `str(error)` and ends with `error.exit_code`; a traceback that reaches a person is a bug.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_DONE = 0
EXIT_FINDINGS = 1
EXIT_REFUSED = 2
EXIT_FAILED = 3
EXIT_USAGE = 64


class OpsError(Exception):
    """Something went wrong in a way that we foresaw.

    Args:
        what: what is wrong, as one sentence without a final full stop.
        where: the file, key, line or target it concerns.
        allowed: what would have been accepted.
        next_step: what to type or do next.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, what: str, *, where: str = "", allowed: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.allowed = allowed
        self.next_step = next_step

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where    {self.where}")
        if self.allowed:
            lines.append(f"  allowed  {self.allowed}")
        if self.next_step:
            lines.append(f"  next     {self.next_step}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str]:
        """The same four parts for `--json`."""
        return {"error": self.what, "where": self.where, "allowed": self.allowed, "next": self.next_step}


class UsageError(OpsError):
    """The caller asked for something that cannot be: an unknown name, a bad option, an unreadable input."""

    exit_code = EXIT_USAGE


class ConfigError(UsageError):
    """`ops.toml` or the decision table says something that cannot be followed."""


class RecordError(UsageError):
    """A recorded observation is missing, damaged or of another version."""


class Refused(OpsError):
    """A guard said no. This is the guard working, not a failure."""

    exit_code = EXIT_REFUSED


class CannotLook(OpsError):
    """An instrument could not look. That is not the same as having seen a failure: the answer is UNKNOWN."""
