"""Mutants of decision rows: a row is removed, or chooses another action, and what was recorded is decided again. Pure.

The recorded findings and facts of every look of every drill are decided with the table as it is and with the mutant.
The matrix notices where a drill would not have what the fault catalogue promises: the row that has to match, the
remediation that has to be chosen, or that a person acts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ops_core.clock import parse_instant
from ops_core.decision.cause import Dependencies
from ops_core.decision.match import Decision, decide
from ops_core.decision.table import DecisionTable, Row
from ops_core.drill.fault import Fault
from ops_core.drill.mutants.model import Change, Fate, Mutant, Part
from ops_core.observation.record import Observation

PERSON = "a person acts"


@dataclass(frozen=True, kw_only=True)
class Drilled:
    """A fault that was held, what its looks saw, and who depends on whom there."""

    fault: Fault
    looks: tuple[Observation, ...]
    depends_on: Dependencies


@dataclass(frozen=True, kw_only=True)
class RowMutant:
    """A mutant of one row: the row as it becomes, or none."""

    mutant: Mutant
    row: Row
    becomes: Row | None


def row_mutants(table: DecisionTable, where: Callable[[Row], str]) -> list[RowMutant]:
    """All mutants of the rows in force: each removed, each with another action, and with none.

    Args:
        table: the rows in force.
        where: how a row's place is told.
    """
    chosen = sorted({row.remediation for row in table.rows if row.remediation is not None})
    made = []
    for row in table.rows:
        others = _others(row.remediation, chosen)
        changes: list[tuple[Change, Row | None]] = [(Change.ROW_REMOVED, None)]
        changes += [(Change.ACTION_SWAPPED, replace(row, remediation=other)) for other in others]
        for number, (change, becomes) in enumerate(changes):
            made.append(
                RowMutant(
                    mutant=Mutant(
                        id=f"row:{row.id}:{number}",
                        part=Part.ROW,
                        change=change,
                        name=row.id,
                        where=where(row),
                        was=row.remediation or PERSON,
                        becomes="no row" if becomes is None else becomes.remediation or PERSON,
                    ),
                    row=row,
                    becomes=becomes,
                )
            )
    return made


def judge_rows(table: DecisionTable, mutants: Sequence[RowMutant], drilled: Sequence[Drilled]) -> list[Fate]:
    """What becomes of each mutant."""
    usual = {id(one): _decided(table, one) for one in drilled}
    by_row: dict[str, list[Drilled]] = {}
    for one in drilled:
        for row in {decision.row_id for look in usual[id(one)] for decision in look if decision.row_id}:
            by_row.setdefault(row, []).append(one)
    return [_fate(table, made, by_row.get(made.row.id, []), usual) for made in mutants]


def _fate(
    table: DecisionTable,
    made: RowMutant,
    drilled: Sequence[Drilled],
    usual: Mapping[int, Sequence[Sequence[Decision]]],
) -> Fate:
    if not drilled:
        return Fate(mutant=made.mutant, how="no fault of the run makes it match")
    changed = _with(table, made)
    instead: list[str] = []
    for one in drilled:
        now = _decided(changed, one)
        noticed = next(_noticed(one.fault, usual[id(one)], now), "")
        if noticed:
            return Fate(mutant=made.mutant, killed_by=one.fault.name, how=noticed)
        other = _instead(made.row.id, usual[id(one)], now)
        instead.append(f"{one.fault.name}: {other}")
    told = "; ".join(instead[:2])
    return Fate(mutant=made.mutant, how=f"nothing that the faults promise depends on it ({told})")


def _noticed(fault: Fault, usual: Sequence[Sequence[Decision]], now: Sequence[Sequence[Decision]]) -> Iterator[str]:
    """What of a fault's promises does not come true any more."""
    before, after = _rows(usual), _rows(now)
    for part in fault.all_parts:
        if part.row is not None and not part.by_hand and part.row in before and part.row not in after:
            yield f"the row {part.row} would not match, but {', '.join(sorted(after - before)) or 'none'}"
        wanted = [name for name in (part.remediation, *part.then) if name is not None]
        for look, again in zip(usual, now, strict=True):
            there, then = _remedies(look), _remedies(again)
            lost = [name for name in wanted if name in there and name not in then]
            if lost and not part.by_hand:
                yield f"{lost[0]} would not be chosen, but {', '.join(sorted(then)) or 'that a person acts'}"
            new = sorted(then - there - set(wanted))
            if fault.remediation is None and not fault.parts and new:
                yield f"{new[0]} would be begun, where a person has to act"


def _decided(table: DecisionTable, drilled: Drilled) -> list[tuple[Decision, ...]]:
    return [
        decide(table, look.findings, look.facts, look.unknown, parse_instant(look.finished_at), drilled.depends_on)
        for look in drilled.looks
    ]


def _with(table: DecisionTable, made: RowMutant) -> DecisionTable:
    instead = () if made.becomes is None else (made.becomes,)
    files = []
    for file in table.files:
        rows = [row for one in file.rows for row in (instead if one is made.row else (one,))]
        files.append(replace(file, rows=tuple(rows)))
    return DecisionTable(tuple(files))


def _others(remediation: str | None, chosen: Sequence[str]) -> list[str | None]:
    """What a row might choose in place of what it does: nothing, and the next one there is."""
    if remediation is None:
        return [*chosen[:1]]
    following = [*chosen, *chosen][chosen.index(remediation) + 1]
    return [None, following] if following != remediation else [None]


def _rows(looks: Sequence[Sequence[Decision]]) -> set[str]:
    return {one.row_id for look in looks for one in look if one.row_id is not None}


def _remedies(look: Sequence[Decision]) -> set[str]:
    named = {name for one in look for name in (one.remediation, one.for_dependents)}
    return {name for name in named if name is not None}


def _instead(row: str, usual: Sequence[Sequence[Decision]], now: Sequence[Sequence[Decision]]) -> str:
    """What decides where the row did."""
    for look, again in zip(usual, now, strict=True):
        for one in look:
            if one.row_id == row:
                same = next((other for other in again if other.target == one.target), None)
                if same is None:
                    return "nothing is decided"
                return f"{same.row_id or 'no row'} decides, {same.remediation or PERSON}"
    return "decided as before"
