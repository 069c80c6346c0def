"""What the outcomes of checks add up to.

passed = seen and good; failed = seen and bad; error = could not be seen. Nothing that was not seen is ever green, and
nothing judged at all is not green either.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS


class Judged(StrEnum):
    """What one check said about one target."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """What an observation as a whole says."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"


def verdict_of(judgements: Iterable[Judged]) -> Verdict:
    """The verdict over all judgements: one bad makes UNHEALTHY, one unseen UNKNOWN, none judged SKIPPED."""
    seen = set(judgements)
    if Judged.BAD in seen:
        return Verdict.UNHEALTHY
    if Judged.UNKNOWN in seen:
        return Verdict.UNKNOWN
    if Judged.GOOD in seen:
        return Verdict.HEALTHY
    return Verdict.SKIPPED


def exit_code_of(verdict: Verdict) -> int:
    """The exit code of `ops observe`: only HEALTHY is 0; not having seen is an operational failure."""
    return {Verdict.HEALTHY: EXIT_DONE, Verdict.UNHEALTHY: EXIT_FINDINGS}.get(verdict, EXIT_FAILED)
