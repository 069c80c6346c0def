"""The proof, made when the table is loaded, that it can be relied on at night.

Every finding has a row of its own, every row can be reached, and everything that a row names exists. Because a row
that matches some findings also matches when there are more of them, a row can be reached exactly where no earlier row
asks for a part of what it asks for: looking at pairs of rows is enough, no combination of findings has to be tried.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping

from ops_core.decision.problems import Problem, TableError
from ops_core.decision.scan import Raised
from ops_core.decision.table import DecisionTable, Row

SHIPPED_FACTS = frozenset(
    {
        "config.unproven",
        "degraded.on",
        "image.unproven",
        "limits.lowered",
        "release.unproven",
        "rollout.running",
        "schema.reversible",
        "schema.unproven",
    }
)
LISTED_MAX = 20


def validate(
    table: DecisionTable,
    findings: Mapping[str, Raised] | Mapping[str, str],
    remediations: Collection[str],
    facts: Collection[str] = SHIPPED_FACTS,
) -> None:
    """Refuse a table that could leave someone without an answer, or with the wrong one.

    Args:
        table: as `load_table` returned it.
        findings: every code that a check can raise, with the place where it does.
        remediations: the names of all remediations there are.
        facts: the facts that probes are known to report, besides those that the files declare.

    Raises:
        TableError: with everything that is wrong, each with file and line and what to do about it.
    """
    known_facts = table.facts.union(facts)
    problems = list(_duplicates(table))
    for row in _in_file_order(table):
        problems.extend(_unknown_codes(row, findings, known_facts))
        problems.extend(_unknown_facts(row, findings, known_facts))
        problems.extend(_unknown_remediation(row, remediations))
    problems.extend(_hidden(table))
    problems.extend(_undecided(table, findings))
    if problems:
        raise TableError(problems)


def _in_file_order(table: DecisionTable) -> Iterator[Row]:
    in_force = set(map(id, table.rows))
    return (row for file in table.files for row in file.rows if id(row) in in_force)


def _duplicates(table: DecisionTable) -> Iterator[Problem]:
    for file in table.files:
        first: dict[str, Row] = {}
        for row in file.rows:
            if row.id in first:
                yield Problem(
                    where=row.where,
                    what=f'the id "{row.id}" is taken by the row at {first[row.id].where}',
                    next_step="give one of the two another id",
                )
            first.setdefault(row.id, row)


def _unknown_codes(row: Row, findings: Collection[str], facts: Collection[str]) -> Iterator[Problem]:
    for code in row.when:
        if code not in findings:
            yield Problem(
                where=row.where,
                what=f'row "{row.id}" waits for the finding "{code}", which no check raises',
                next_step="it is a fact: name it in given"
                if code in facts
                else _one_of(code, findings, "checks raise"),
            )


def _unknown_facts(row: Row, findings: Collection[str], facts: Collection[str]) -> Iterator[Problem]:
    for fact in row.given:
        if fact not in facts:
            hint = _one_of(fact, facts, 'declare it at the top of your file, facts = ["…"], or use one of')
            yield Problem(
                where=row.where,
                what=f'row "{row.id}" is given the fact "{fact}", which nothing reports',
                next_step="it is a finding: name it in when" if fact in findings else hint,
            )


def _unknown_remediation(row: Row, remediations: Collection[str]) -> Iterator[Problem]:
    for named in (row.remediation, row.for_dependents):
        if named is not None and named not in remediations:
            yield Problem(
                where=row.where,
                what=f'row "{row.id}" names the remediation "{named}", which does not exist',
                next_step=_one_of(named, remediations, "there are"),
            )


def _hidden(table: DecisionTable) -> Iterator[Problem]:
    """Rows that an earlier row in force keeps from ever matching."""
    file_of = {id(row): number for number, file in enumerate(table.files) for row in file.rows}
    asked = [(frozenset(row.when), frozenset(row.given)) for row in table.rows]
    for number, row in enumerate(table.rows):
        when, given = asked[number]
        for earlier, (earlier_when, earlier_given) in zip(table.rows[:number], asked, strict=False):
            if not (earlier_when <= when and earlier_given <= given):
                continue
            apart = file_of[id(row)] - file_of[id(earlier)]
            if (earlier_when, earlier_given) != (when, given):
                yield _never_reached(row, earlier, theirs_first=apart > 0)
            elif apart:
                yield _same_in_two_files(*((earlier, row) if apart > 0 else (row, earlier)))
            elif row.id != earlier.id:
                yield Problem(
                    where=row.where,
                    what=f'row "{row.id}" has the same conditions as row "{earlier.id}" ({earlier.where})',
                    next_step="remove one of the two, or tell them apart by when or given",
                )
            break


def _never_reached(row: Row, earlier: Row, *, theirs_first: bool) -> Problem:
    # A row that asks for less comes first only where it is more urgent, so urgency is always what has to change.
    if theirs_first:
        return Problem(
            where=earlier.where,
            what=f'row "{earlier.id}" hides row "{row.id}" ({row.where}): '
            f"it is more urgent and matches whenever that one does",
            next_step=f'add a row with id = "{row.id}" and severity = "{earlier.severity}" to this file',
        )
    return Problem(
        where=row.where,
        what=f'row "{row.id}" is never reached: row "{earlier.id}" ({earlier.where}) '
        f"is more urgent and matches whenever it does",
        next_step=f'give it severity = "{earlier.severity}" too, or remove it',
    )


def _same_in_two_files(theirs: Row, shipped: Row) -> Problem:
    return Problem(
        where=theirs.where,
        what=f'row "{theirs.id}" has the same conditions as row "{shipped.id}" ({shipped.where})',
        next_step=f'to replace that row give this one its id: id = "{shipped.id}"',
    )


def _undecided(table: DecisionTable, findings: Mapping[str, Raised] | Mapping[str, str]) -> Iterator[Problem]:
    for code, where in findings.items():
        if table.first_match((code,), ()) is None:
            yield Problem(
                where=str(where),
                what=f'no row decides the finding "{code}" alone',
                next_step=f'add a row with when = ["{code}"] and without given to a decision table',
            )


def _one_of(name: str, known: Collection[str], introduction: str) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    listed = sorted(known)
    more = f" and {len(listed) - LISTED_MAX} more" if len(listed) > LISTED_MAX else ""
    return f"{introduction}: {', '.join(listed[:LISTED_MAX]) or 'none'}{more}"
