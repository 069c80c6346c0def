"""The static proof of a decision table: what holds for whatever can be seen, or the smallest exception to it.

It asks the functions that decide at night, and no description of them: `decide`, with the table in force. Which
combinations have to be tried so that all are covered, and why, stands in `combinations.py`; what a law means, in `Law`.
An exception is made as small as it can be before anybody is told: every part of it is tried, the smallest first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import Any

from ops_core.decision.cause import HARMLESS_SUBJECTS, INDEPENDENT_SUBJECTS, Dependencies
from ops_core.decision.combinations import (
    STATES_MAX,
    Combination,
    Group,
    Step,
    asked_by,
    beside_rows,
    equal_rank,
    groups,
    pairs,
)
from ops_core.decision.match import Decision, advice_for_unknown, decide
from ops_core.decision.table import DecisionTable
from ops_core.decision.validate import SHIPPED_FACTS
from ops_core.finding import Finding

TARGET, BELOW = "the target", "below it"
AT = datetime(2026, 1, 1, tzinfo=UTC)

Decide = Callable[
    [
        DecisionTable,
        Sequence[Finding],
        Mapping[str | None, Sequence[str]],
        Sequence[tuple[str, str | None]],
        datetime,
        Dependencies | None,
    ],
    Sequence[Decision],
]


class Law(StrEnum):
    """What is proven. Each is looked for in a combination, or between it and one with one thing less."""

    TOTAL = "every combination has exactly one decision, by a row of the table, and no finding is lost"
    SEEN = "a row decides only where everything that it asks for was seen"
    UNAMBIGUOUS = "no decision depends on the order of what was seen, or of rows that their conditions tell apart"
    FINDING = "one more finding never makes anything less urgent"
    FACT = "one more fact never makes anything less urgent"
    UNKNOWN = "one more thing that could not be seen never enables an action, and makes nothing less urgent"


ALONE = (Law.TOTAL, Law.SEEN, Law.UNAMBIGUOUS)
_LAW_OF = {"found": Law.FINDING, "below": Law.FINDING, "facts": Law.FACT, "unknown": Law.UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Counterexample:
    """The smallest combination for which a law does not hold; `told` says what was decided, line by line."""

    law: Law
    combination: Combination
    told: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        seen = {kind: sorted(things) for kind, things in self.combination._asdict().items()}
        return {"law": self.law.value, "seen": seen, "told": list(self.told)}


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was tried, and what does not hold.

    Attributes:
        rows: how many rows are in force.
        codes: how many findings there are.
        facts: how many facts.
        combinations: how many different ones were decided.
        counterexamples: one for each law that does not hold.
        too_large: groups with more states than are tried, for which nothing is proven.
        by_place: pairs of rows that only their place in the files tells apart, and that do not do the same.
    """

    rows: int
    codes: int
    facts: int
    combinations: int
    counterexamples: tuple[Counterexample, ...]
    too_large: tuple[Group, ...]
    by_place: tuple[tuple[str, str], ...]

    @property
    def holds(self) -> bool:
        """Whether every law holds for everything."""
        return not self.counterexamples and not self.too_large

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "holds": self.holds,
            "laws": {law.value: all(one.law is not law for one in self.counterexamples) for law in Law},
            "rows": self.rows,
            "codes": self.codes,
            "facts": self.facts,
            "combinations": self.combinations,
            "counterexamples": [one.as_dict() for one in self.counterexamples],
            "too_large": [list(group.codes) for group in self.too_large],
            "by_place": [list(pair) for pair in self.by_place],
        }


def prove(table: DecisionTable, codes: Collection[str], decide_: Decide = decide) -> Proof:
    """Try everything that has to be tried.

    Args:
        table: the rows in force.
        codes: the findings that checks can raise; those that rows ask for belong to them in any case.
        decide_: what decides.
    """
    named = {code for row in table.rows for code in row.when}
    known = tuple(sorted(named.union(codes)))
    facts = tuple(sorted({fact for row in table.rows for fact in row.given} | table.facts | SHIPPED_FACTS))
    court = _Court(table, decide_)
    found: dict[Law, Counterexample] = {}
    made = groups(table, known)
    too_large = tuple(group for group in made if group.states > STATES_MAX)
    small = [group for group in made if group.states <= STATES_MAX]
    alone = (Combination(found=frozenset({code})) for code in known)
    for combination in sorted(chain(alone, *(group.combinations() for group in small)), key=lambda one: one.size):
        for kind, before in combination.steps():
            court.compare(found, Step(kind, before, combination))
        court.look(found, combination)
    for step in beside_rows(table.rows, known, facts):
        court.compare(found, step)
        if step.kind == "found":
            court.look(found, step.after, ALONE if not step.after.facts else ALONE[:2])
    for combination in _beside_below(court, small, known):
        for kind, before in combination.steps():
            court.compare(found, Step(kind, before, combination))
        court.look(found, combination)
    by_place = []
    for first, second, both in pairs(table.rows):
        court.look(found, both)
        if first.remediation != second.remediation:
            by_place.append((first.id, second.id))
    court.look_at_order(found)
    return Proof(
        rows=len(table.rows),
        codes=len(known),
        facts=len(facts),
        combinations=len(court.answers),
        counterexamples=tuple(found[law] for law in Law if law in found),
        too_large=too_large,
        by_place=tuple(by_place),
    )


def violated(
    table: DecisionTable, law: Law, combination: Combination, decide_: Decide = decide
) -> tuple[str, ...] | None:
    """What is decided where a law does not hold for one combination, of any size; None where it holds."""
    return _Court(table, decide_).broken(law, combination)


class _Court:
    """Asks what decides, remembers the answers, and holds them against the laws."""

    def __init__(self, table: DecisionTable, decide_: Decide) -> None:
        self.table = table
        self.answers: dict[Combination, tuple[Decision, ...]] = {}
        self._decide = decide_
        self._row = {row.id: row for row in table.rows}
        self._finding: dict[tuple[str, str], Finding] = {}

    def of(self, combination: Combination) -> tuple[Decision, ...]:
        """What is decided."""
        known = self.answers.get(combination)
        if known is None:
            known = self.answers[combination] = self._ask(combination)
        return known

    def look(self, found: dict[Law, Counterexample], combination: Combination, laws: Sequence[Law] = ALONE) -> None:
        """Hold a combination against laws that speak of one alone."""
        for law in laws:
            if _smaller(found, law, combination) and self._alone(law, combination):
                found[law] = self._smallest(law, combination)

    def compare(self, found: dict[Law, Counterexample], step: Step) -> None:
        """Hold two combinations against the law about what one thing more may do."""
        law = _LAW_OF[step.kind]
        if _smaller(found, law, step.after) and self._worse(step):
            found[law] = self._smallest(law, step.after)

    def look_at_order(self, found: dict[Law, Counterexample]) -> None:
        """Whether the place of a row in its file counts where anything else tells two rows apart."""
        if Law.UNAMBIGUOUS in found:
            return
        kind = type(self.table)
        for number, one in enumerate(self.table.rows):
            for other in self.table.rows[:number]:
                if equal_rank(one, other) or kind.of(one, other).rows == kind.of(other, one).rows:
                    continue
                combination = Combination(*map(frozenset.union, asked_by(one), asked_by(other)))
                told = (f'rows "{other.id}" and "{one.id}" come in the order in which they stand in the file',)
                found[Law.UNAMBIGUOUS] = Counterexample(law=Law.UNAMBIGUOUS, combination=combination, told=told)
                return

    def broken(self, law: Law, combination: Combination) -> tuple[str, ...] | None:
        """What is decided where the law does not hold, for people; None where it does."""
        if law in ALONE:
            return self._alone(law, combination)
        for kind, before in combination.steps():
            if _LAW_OF[kind] is law and (told := self._worse(Step(kind, before, combination))):
                return told
        return None

    def _smallest(self, law: Law, combination: Combination) -> Counterexample:
        smaller = ((part, self.broken(law, part)) for part in combination.parts())
        part, told = next((part, told) for part, told in smaller if told)
        return Counterexample(law=law, combination=part, told=told)

    def _alone(self, law: Law, combination: Combination) -> tuple[str, ...] | None:
        decisions = self.of(combination)
        if law is Law.UNAMBIGUOUS:
            turned = self._ask(combination, turned=True)
            return None if turned == decisions else (_told(combination, decisions), f"the other way: {_row_of(turned)}")
        holds = self._total(combination, decisions) if law is Law.TOTAL else self._seen(combination, decisions)
        return None if holds else (_told(combination, decisions),)

    def _total(self, combination: Combination, decisions: tuple[Decision, ...]) -> bool:
        targets = [one.target for one in decisions]
        answered = {TARGET: set[str](), BELOW: set[str]()}
        for one in decisions:
            answered[str(one.target)].update(one.findings, one.attributed)
            for other in one.dependents:
                answered[other.target].update(other.findings)
        unseen = [(code, TARGET) for code in sorted(combination.unknown)]
        advice = advice_for_unknown(unseen)
        return (
            len(targets) == len(set(targets))
            and all(one.row_id is not None for one in decisions)
            and answered == {TARGET: combination.found, BELOW: combination.below}
            and (advice is not None and len(advice.unseen) == len(unseen) if unseen else advice is None)
        )

    def _seen(self, combination: Combination, decisions: tuple[Decision, ...]) -> bool:
        seen = {TARGET: (combination.found, combination.facts), BELOW: (combination.below, frozenset[str]())}
        rows = ((self._row.get(one.row_id or ""), seen[str(one.target)]) for one in decisions)
        return all(row is None or row.matches(*there) for row, there in rows)

    def _worse(self, step: Step) -> tuple[str, ...] | None:
        """What is decided before and after, where one thing more made it worse."""
        before, after = self.of(step.before), self.of(step.after)
        worse = _rank(after) > _rank(before) or (step.kind == "unknown" and not _acts(after) <= _acts(before))
        return (_told(step.before, before), _told(step.after, after)) if worse else None

    def _ask(self, combination: Combination, *, turned: bool = False) -> tuple[Decision, ...]:
        way = -1 if turned else 1
        findings = [self._bad(code, TARGET) for code in sorted(combination.found)]
        findings += [self._bad(code, BELOW) for code in sorted(combination.below)]
        twice = findings if turned else []
        facts: dict[str | None, Sequence[str]] = {TARGET: tuple(sorted(combination.facts))[::way]}
        unknown: list[tuple[str, str | None]] = [(code, TARGET) for code in sorted(combination.unknown)[::way]]
        depends_on = {TARGET: (BELOW,)} if combination.below else None
        return tuple(self._decide(self.table, findings[::way] + twice, facts, unknown, AT, depends_on))

    def _bad(self, code: str, target: str) -> Finding:
        made = self._finding.get((code, target))
        if made is None:
            made = self._finding[code, target] = Finding(code=code, target=target, check="check")
        return made


def _beside_below(court: _Court, small: Sequence[Group], codes: Sequence[str]) -> Iterator[Combination]:
    """Everything found in a group, beside one finding of each kind that there is below."""
    kinds: dict[tuple[bool, bool, int], str] = {}
    for code in codes:
        subject = code.partition(".")[0]
        rank = _rank(court.of(Combination(found=frozenset({code}))))
        kinds.setdefault((subject in HARMLESS_SUBJECTS, subject in INDEPENDENT_SUBJECTS, rank), code)
    for group in small:
        for combination in group.combinations():
            if combination.found and not combination.unknown:
                for code in kinds.values():
                    yield combination._replace(below=frozenset({code}))


def _smaller(found: Mapping[Law, Counterexample], law: Law, combination: Combination) -> bool:
    """Whether a combination would be a smaller exception than the one that is known, if there is one."""
    return law not in found or combination.size < found[law].combination.size


def _rank(decisions: Sequence[Decision]) -> int:
    """How urgent the most urgent of them is; what needs no decision is the least urgent."""
    return min((one.severity.rank for one in decisions), default=1 << 8)


def _acts(decisions: Sequence[Decision]) -> set[tuple[str | None, str]]:
    """What the program would do by itself, and to whom."""
    named = ((one.target, name) for one in decisions for name in (one.remediation, one.for_dependents))
    return {(target, name) for target, name in named if name is not None}


def _told(combination: Combination, decisions: Sequence[Decision]) -> str:
    return f"{combination}: {_row_of(decisions)}"


def _row_of(decisions: Sequence[Decision]) -> str:
    told = []
    for one in decisions:
        about = "" if one.target == TARGET else f" ({one.target})"
        remedy = one.remediation or "a person acts"
        told.append(f"{one.severity.value}, {one.row_id or 'no row'}, {remedy}{about}")
    return " + ".join(told) or "no decision"
