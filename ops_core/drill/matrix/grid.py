"""A matrix run as tables and figures: faults by checks, by decision rows, remediations by what became of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops_core.drill.matrix.results import About, FaultResult, JudgedCheck, MatrixRun, Remedied, Status
from ops_core.report.strict import encode
from ops_core.verdict import Judged

SCHEMA = "drill_matrix_v1"
SUFFIX = "[control plane]"


class Mark(StrEnum):
    """What a check said about a fault, the worst of its targets first."""

    FALSE_ALARM = "false_alarm"
    MISSED = "missed"
    UNKNOWN = "unknown"
    RAISED = "raised"
    GOOD = "good"
    SKIPPED = "skipped"
    NOT_ASKED = "not_asked"


class Outcome(StrEnum):
    """What a whole run came to."""

    AS_PROMISED = "as_promised"
    NOT_AS_PROMISED = "not_as_promised"
    NOT_HELD = "not_held"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One mark, and what it is about."""

    mark: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class GridLine:
    """A fault and its cells, one for each column."""

    fault: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of one suite: columns are checks or rows of the decision table, lines are faults."""

    suite: str
    columns: tuple[str, ...]
    lines: tuple[GridLine, ...]


@dataclass(frozen=True, kw_only=True)
class RemediationLine:
    """What became of a remediation over all faults; seconds are those until recovery was verified."""

    name: str
    applied: int
    verified: int
    undone: int
    neither: int
    median_s: float | None
    longest_s: float | None
    faults: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds from when a fault was in force, over the faults that came so far."""

    of: str
    count: int
    median_s: float | None
    p95_s: float | None
    longest_s: float | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The run in numbers. `complete` says that every fault that was to be held was held."""

    planned: int
    held: int
    passed: int
    failed: int
    errors: int
    skipped: int
    missing: int
    missed: int
    false_alarms: int
    unknown: int
    not_restored: int
    findings_raised: int
    checks_seen: int
    checks_raised: int
    rows_matched: int
    remediations_verified: int
    undos: int
    complete: bool
    outcome: str


@dataclass(frozen=True, kw_only=True)
class MatrixView:
    """All that is shown of a run."""

    schema: str
    run_id: str
    seed: int
    begun_at: str
    ended_at: str
    suites: tuple[str, ...]
    figures: Figures
    times: tuple[Times, ...]
    checks: tuple[Grid, ...]
    rows: tuple[Grid, ...]
    remediations: tuple[RemediationLine, ...]
    results: tuple[FaultResult, ...]
    missing: tuple[str, ...]
    damaged: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        encoded: dict[str, Any] = encode(self)
        return encoded


def view_of(run: MatrixRun) -> MatrixView:
    """What there is to be shown of a run."""
    held = [result for result in run.results if result.status in (Status.PASSED, Status.FAILED)]
    remediations = _remediations(held)
    checks = tuple(_grid(suite, held, _checks_of, _check_cell) for suite in _suites(held))
    rows = tuple(_grid(suite, held, _rows_of, _row_cell) for suite in _suites(held))
    return MatrixView(
        schema=SCHEMA,
        run_id=run.run_id,
        seed=run.seed,
        begun_at=run.begun_at,
        ended_at=max((result.ended_at for result in run.results), default=""),
        suites=run.suites,
        figures=_figures(run, held, checks, remediations),
        times=(
            times_of("detect", [result.detect_s for result in held]),
            times_of("decide", [result.decide_s for result in held]),
            times_of("recover", [result.recover_s for result in held]),
        ),
        checks=checks,
        rows=rows,
        remediations=remediations,
        results=run.results,
        missing=run.missing,
        damaged=run.damaged,
    )


def outcome_of(run: MatrixRun) -> Outcome:
    """What a run came to: what was not as promised counts more than what could not be held."""
    if run.of(Status.FAILED):
        return Outcome.NOT_AS_PROMISED
    if run.of(Status.ERROR) or run.missing or run.damaged or not run.results:
        return Outcome.NOT_HELD
    return Outcome.AS_PROMISED


def told(about: About) -> str:
    """`guard.open[core-api]`."""
    return f"{about.code}[{about.target}]" if about.target else f"{about.code}{SUFFIX}"


def _figures(
    run: MatrixRun, held: Sequence[FaultResult], checks: Sequence[Grid], remediations: Sequence[RemediationLine]
) -> Figures:
    found = {one.code for result in held for one in result.findings if one not in result.false_alarms}
    cells = [
        (grid.suite, column, cell.mark)
        for grid in checks
        for line in grid.lines
        for column, cell in zip(grid.columns, line.cells, strict=True)
    ]
    seen = {(suite, check) for suite, check, mark in cells if mark not in (Mark.SKIPPED, Mark.NOT_ASKED)}
    raised = {(suite, check) for suite, check, mark in cells if mark == Mark.RAISED}
    skipped = len(run.of(Status.SKIPPED))
    errors = len(run.of(Status.ERROR))
    return Figures(
        planned=len(run.planned),
        held=len(held),
        passed=len(run.of(Status.PASSED)),
        failed=len(run.of(Status.FAILED)),
        errors=errors,
        skipped=skipped,
        missing=len(run.missing),
        missed=sum(len(result.missed) for result in held),
        false_alarms=sum(len(result.false_alarms) for result in held),
        unknown=sum(len(result.unknown) for result in held),
        not_restored=sum(result.restored is False for result in held),
        findings_raised=len(found),
        checks_seen=len(seen),
        checks_raised=len(raised),
        rows_matched=len({row for result in held for row in result.rows}),
        remediations_verified=sum(line.verified > 0 for line in remediations),
        undos=sum(line.undone for line in remediations),
        complete=not (skipped or errors or run.missing or run.damaged),
        outcome=outcome_of(run).value,
    )


def _suites(held: Iterable[FaultResult]) -> list[str]:
    return sorted({result.suite for result in held})


def _grid(
    suite: str,
    held: Sequence[FaultResult],
    columns_of: Callable[[FaultResult], Iterable[str]],
    cell_of: Callable[[FaultResult, str], Cell],
) -> Grid:
    ours = sorted((result for result in held if result.suite == suite), key=lambda result: result.fault)
    columns = tuple(sorted({column for result in ours for column in columns_of(result)}))
    return Grid(
        suite=suite,
        columns=columns,
        lines=tuple(
            GridLine(fault=result.fault, cells=tuple(cell_of(result, column) for column in columns)) for result in ours
        ),
    )


def _checks_of(result: FaultResult) -> Iterable[str]:
    return (one.check for one in result.judged)


def _rows_of(result: FaultResult) -> Iterable[str]:
    return result.rows


def _row_cell(result: FaultResult, row: str) -> Cell:
    if row not in result.rows:
        return Cell(mark=Mark.NOT_ASKED.value)
    return Cell(mark=Mark.RAISED.value, about=" → ".join(result.rows))


def _check_cell(result: FaultResult, check: str) -> Cell:
    marks = [(_mark(result, one), one) for one in result.judged if one.check == check]
    if not marks:
        return Cell(mark=Mark.NOT_ASKED.value)
    order = list(Mark)
    worst = min((mark for mark, _ in marks), key=order.index)
    if worst in (Mark.GOOD, Mark.SKIPPED):
        return Cell(mark=worst.value)
    about = (told(About(code=one.finding or one.check, target=one.target)) for mark, one in marks if mark is worst)
    return Cell(mark=worst.value, about=", ".join(dict.fromkeys(about)))


def _mark(result: FaultResult, one: JudgedCheck) -> Mark:
    about = About(code=one.finding or "", target=one.target)
    if one.judged == Judged.BAD:
        return Mark.FALSE_ALARM if about in result.false_alarms else Mark.RAISED
    if one.judged == Judged.UNKNOWN:
        return Mark.UNKNOWN
    if one.judged == Judged.SKIPPED:
        return Mark.SKIPPED
    return Mark.MISSED if about in result.missed else Mark.GOOD


def _remediations(held: Iterable[FaultResult]) -> tuple[RemediationLine, ...]:
    by_name: dict[str, list[tuple[FaultResult, Remedied]]] = {}
    for result in held:
        for one in result.remedied:
            by_name.setdefault(one.name, []).append((result, one))
    lines = []
    for name, begun in sorted(by_name.items()):
        recovered = {result.fault: result.recover_s for result, one in begun if one.verified}
        times = sorted(seconds for seconds in recovered.values() if seconds is not None)
        lines.append(
            RemediationLine(
                name=name,
                applied=sum(one.applied for _, one in begun),
                verified=sum(one.verified for _, one in begun),
                undone=sum(one.undone for _, one in begun),
                neither=sum(not one.verified and not one.undone for _, one in begun),
                median_s=_quantile(times, 0.5),
                longest_s=times[-1] if times else None,
                faults=tuple(sorted({result.fault for result, _ in begun})),
            )
        )
    return tuple(lines)


def times_of(of: str, values: Iterable[float | None]) -> Times:
    """What seconds came to, over those that are known."""
    known = sorted(value for value in values if value is not None)
    return Times(
        of=of,
        count=len(known),
        median_s=_quantile(known, 0.5),
        p95_s=_quantile(known, 0.95),
        longest_s=known[-1] if known else None,
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest rank: a value that was measured, never one between two."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
