"""Held against all that a runbook claims: what a matrix run showed to work, and what nothing has shown. Pure.

A check that no fault makes fail may be unable to fail; a remediation that no fault needs is a guess. What was found by
mistake, about something that was not broken, exercises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops_core.drill.matrix.results import FaultResult, MatrixRun, Status
from ops_core.verdict import Judged

SCHEMA = "drill_coverage_v1"
HELD = (Status.PASSED, Status.FAILED)
CONTROL_PLANE = "control plane"


class Kind(StrEnum):
    """What can be exercised, in the order in which it is told."""

    CHECK = "check"
    FINDING = "finding"
    ROW = "row"
    REMEDIATION = "remediation"
    UNDO = "undo"
    FAULT = "fault"


WHY = {
    Kind.CHECK: "no fault made it fail",
    Kind.FINDING: "no fault raised it",
    Kind.ROW: "it never matched",
    Kind.REMEDIATION: "it was never applied",
    Kind.UNDO: "it was never taken back",
    Kind.FAULT: "no check saw it, and nothing says that it was refused",
}
PLURAL = {
    Kind.CHECK: "checks",
    Kind.FINDING: "findings",
    Kind.ROW: "rows",
    Kind.REMEDIATION: "remediations",
    Kind.UNDO: "undos",
    Kind.FAULT: "faults",
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the runbook claims to be able to do: its name, and where it is defined (`file:line`).

    `suite` tells checks of one name apart; it is empty for everything else.
    """

    kind: Kind
    name: str
    suite: str = ""
    where: str = ""

    @property
    def label(self) -> str:
        """Its name, with the suite where it has one."""
        return f"{self.suite}/{self.name}" if self.suite else self.name


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A claim that nothing has shown, and why."""

    claim: Claim
    why: str

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"kind": self.claim.kind.value, "name": self.claim.label, "where": self.claim.where, "why": self.why}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Of so many claims, so many were shown."""

    kind: str
    shown: int
    of: int

    @property
    def percent(self) -> float:
        """Rounded down to a tenth, so that 100 means all; nothing claimed is nothing left to show."""
        return (1000 * self.shown // self.of) / 10 if self.of else 100.0

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"kind": self.kind, "shown": self.shown, "of": self.of, "percent": self.percent}


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What a run has shown: a figure for each kind, one for all, and what is left.

    `refused` names faults that no check had to see, because they were refused at the door, and how.
    """

    run_id: str
    held: int
    planned: int
    figures: tuple[Figure, ...]
    overall: Figure
    gaps: tuple[Gap, ...]
    damaged: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "held": self.held,
            "planned": self.planned,
            "figures": [one.as_dict() for one in self.figures],
            "overall": self.overall.as_dict(),
            "gaps": [one.as_dict() for one in self.gaps],
            "damaged": list(self.damaged),
            "refused": [{"fault": fault, "how": how} for fault, how in self.refused],
        }


def measure(run: MatrixRun, claims: Sequence[Claim]) -> Coverage:
    """Hold a run against everything that is claimed.

    Args:
        run: a matrix run, as far as it came.
        claims: of every kind; see `claims.py`.
    """
    held = tuple(result for result in run.results if result.status in HELD)
    shown = frozenset(one for result in held for one in _shown_by(result))
    not_held = {
        result.fault: f"it was not held: {result.reason or result.status}"
        for result in run.results
        if result.status not in HELD
    }
    known = {result.fault for result in run.results}
    gaps, figures = [], []
    for kind in Kind:
        of = sorted((claim for claim in claims if claim.kind is kind), key=lambda claim: (claim.suite, claim.name))
        left = [claim for claim in of if (claim.kind, claim.suite, claim.name) not in shown]
        for claim in left:
            why = WHY[kind]
            if kind is Kind.FAULT:
                why = not_held.get(claim.name, why if claim.name in known else "it was not part of the run")
            gaps.append(Gap(claim=claim, why=why))
        figures.append(Figure(kind=PLURAL[kind], shown=len(of) - len(left), of=len(of)))
    overall = Figure(kind="overall", shown=sum(one.shown for one in figures), of=sum(one.of for one in figures))
    return Coverage(
        run_id=run.run_id,
        held=len(held),
        planned=len(run.planned) or len(run.results),
        figures=tuple(figures),
        overall=overall,
        gaps=tuple(gaps),
        damaged=run.damaged,
        refused=tuple((result.fault, result.refusal) for result in held if result.refusal),
    )


def _shown_by(result: FaultResult) -> Iterable[tuple[Kind, str, str]]:
    """What one fault has shown to work."""
    wrong = frozenset(result.false_alarms)
    for one in result.findings:
        if one not in wrong:
            yield Kind.FINDING, "", one.code
    mistaken = frozenset((one.code, one.target) for one in wrong)
    for judged in result.judged:
        if judged.judged == Judged.BAD and (judged.finding, judged.target) not in mistaken:
            yield Kind.CHECK, judged.suite, judged.check
    for row in result.rows:
        yield Kind.ROW, "", row
    for remedied in result.remedied or ((result.remediation,) if result.remediation else ()):
        if remedied.applied:
            yield Kind.REMEDIATION, "", remedied.name
        if remedied.undone:
            yield Kind.UNDO, "", remedied.name
    # What cannot be seen because of a fault is told as that: the fault was noticed. What was refused at the door is
    # proven by the refusal that was recorded.
    if set(result.findings) - wrong or result.unknown or result.refusal:
        yield Kind.FAULT, "", result.fault
