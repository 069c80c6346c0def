"""A mutant of the runbook, what became of it, and what all of them come to. Plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SCHEMA = "drill_mutants_v1"


class Part(StrEnum):
    """Which part of the runbook is weakened."""

    CHECK = "check"
    ROW = "row"
    REMEDIATION = "remediation"


class Change(StrEnum):
    """How it is weakened."""

    ASSERTION_DROPPED = "assertion dropped"
    THRESHOLD_WIDENED = "threshold x10"
    STATUS_WIDENED = "expected status widened"
    ROW_REMOVED = "row removed"
    ACTION_SWAPPED = "action swapped"
    STEP_DROPPED = "step dropped"


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """The runbook, weakened in one place.

    Attributes:
        id: tells it apart from all others of a run.
        part: what is weakened.
        change: how.
        name: of the check, row or remediation.
        where: `file:line`.
        was: what stood there.
        becomes: what stands there now.
        suite: of a check.
        codes: of the findings that the checks stand for which it concerns.
    """

    id: str
    part: Part
    change: Change
    name: str
    where: str
    was: str
    becomes: str
    suite: str = ""
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a mutant: the fault whose drill noticed it, or why none did.

    Attributes:
        mutant: which.
        killed_by: the fault; empty where nothing noticed it.
        how: what was otherwise then; for a survivor, the explanation.
        not_held: faults that have to notice it, and were not held: nobody knows whether it would survive.
    """

    mutant: Mutant
    killed_by: str = ""
    how: str = ""
    not_held: tuple[str, ...] = ()

    @property
    def killed(self) -> bool:
        """Whether it was noticed."""
        return bool(self.killed_by)

    @property
    def asked(self) -> bool:
        """Whether everything that has to notice it was held, or something noticed it all the same."""
        return self.killed or not self.not_held

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        one = self.mutant
        return {
            "id": one.id,
            "part": one.part.value,
            "change": one.change.value,
            "name": one.name,
            "where": one.where,
            "was": one.was,
            "becomes": one.becomes,
            "killed_by": self.killed_by or None,
            "how": self.how,
            "not_held": list(self.not_held),
        }


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Of so many mutants that the run was asked about, so many were noticed."""

    of: str
    killed: int
    made: int

    @property
    def percent(self) -> float:
        """Rounded down to a tenth; where no mutant was made nothing was shown."""
        return (1000 * self.killed // self.made) / 10 if self.made else 0.0

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"of": self.of, "killed": self.killed, "made": self.made, "percent": self.percent}


@dataclass(frozen=True, kw_only=True)
class Fates:
    """What became of all mutants of a matrix run, in a stable order. `not_judged` says what could not be judged."""

    run_id: str
    fates: tuple[Fate, ...]
    took_s: float
    replays: int
    drills: int
    not_judged: tuple[str, ...] = ()

    @property
    def survivors(self) -> tuple[Fate, ...]:
        """Those that nothing noticed."""
        return tuple(one for one in self.fates if one.asked and not one.killed)

    @property
    def not_asked(self) -> tuple[Fate, ...]:
        """Those that faults have to notice which were not held."""
        return tuple(one for one in self.fates if not one.asked)

    @property
    def overall(self) -> Tally:
        """All of them."""
        return _tally("overall", self.fates)

    def by_part(self) -> tuple[Tally, ...]:
        """For checks, rows and remediations, as far as there are mutants of them."""
        parts = ((part, [one for one in self.fates if one.mutant.part is part]) for part in Part)
        return tuple(_tally(f"{part.value}s", some) for part, some in parts if any(one.asked for one in some))

    def by_change(self) -> tuple[Tally, ...]:
        """For each way of weakening, as far as there are such mutants."""
        changes = ((change, [one for one in self.fates if one.mutant.change is change]) for change in Change)
        return tuple(_tally(change.value, some) for change, some in changes if any(one.asked for one in some))

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "overall": self.overall.as_dict(),
            "not_asked": len(self.not_asked),
            "by_part": [one.as_dict() for one in self.by_part()],
            "by_change": [one.as_dict() for one in self.by_change()],
            "took_s": self.took_s,
            "replays": self.replays,
            "drills": self.drills,
            "survivors": [one.as_dict() for one in self.survivors],
            "not_judged": list(self.not_judged),
            "mutants": [one.as_dict() for one in self.fates],
        }


def _tally(of: str, fates: Sequence[Fate]) -> Tally:
    return Tally(of=of, killed=sum(one.killed for one in fates), made=sum(one.asked for one in fates))
