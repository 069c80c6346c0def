"""Which combinations of what was seen have to be tried so that what holds for them holds for all.

Sixty findings, each of them absent, present or unknown, and eight facts are more combinations than can ever be tried.
They need not be, because of how the decision is made. Three things are taken for granted here, and `proof.py` and the
tests try each of them with larger combinations too:

1. A row matches where everything is there that it asks for, and goes on matching when there is more.
2. The first row that matches, in one order of all rows, is the decision.
3. What is attributed to a target below depends on that target only by whether it has a finding that can be a cause.

From 1 and 2 follows: what decides a combination also decides the part of it that this row asks for. So where one thing
more makes a decision worse than it was, it does so already beside what a single row asks for (`beside_rows`); where
the order of rows counts, it counts for two rows that match together (`pairs`); and where a combination has no row, one
of its findings has none alone. Attribution takes findings apart that a row asks for together: only findings that a row
names together, directly or over others, can have to do with each other there. Such a group (`groups`) is tried with
every state of every finding and every choice of the facts that its rows ask for, beside every kind of target below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, product
from typing import NamedTuple

from ops_core.decision.table import DecisionTable, Row

STATES_MAX = 1 << 13
NOTHING: frozenset[str] = frozenset()


class Combination(NamedTuple):
    """What was seen about one target, and what was found about another one that it depends on."""

    found: frozenset[str] = NOTHING
    facts: frozenset[str] = NOTHING
    unknown: frozenset[str] = NOTHING
    below: frozenset[str] = NOTHING

    @property
    def size(self) -> int:
        """How many things were seen or could not be seen."""
        return sum(map(len, self))

    def without(self, kind: str, one: str) -> Combination:
        """The combination with one thing less; `kind` is the name of a field."""
        return self._replace(**{kind: getattr(self, kind) - {one}})

    def steps(self) -> Iterator[tuple[str, Combination]]:
        """Every combination with one thing less, and what kind of thing that is."""
        for kind in self._fields:
            for one in sorted(getattr(self, kind)):
                yield kind, self.without(kind, one)

    def parts(self) -> Iterator[Combination]:
        """Every combination that can be made by taking things away, the smallest first, itself last."""
        things = [(kind, one) for kind in self._fields for one in sorted(getattr(self, kind))]
        for size in range(len(things) + 1):
            for chosen in combinations(things, size):
                yield Combination(*(frozenset(one for name, one in chosen if name == kind) for kind in self._fields))

    def __str__(self) -> str:
        told = [
            f"{word} {', '.join(sorted(things))}"
            for word, things in zip(("found", "given", "not seen", "below it"), self, strict=True)
            if things
        ]
        return "; ".join(told) or "nothing"


class Step(NamedTuple):
    """A combination, and one with one thing less; of which kind that thing is."""

    kind: str
    before: Combination
    after: Combination


class Group(NamedTuple):
    """Findings that rows name together, directly or over others, and the facts that these rows ask for."""

    codes: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def states(self) -> int:
        """How many combinations there are of it."""
        return int(3 ** len(self.codes) * 2 ** len(self.facts))

    def combinations(self) -> Iterator[Combination]:
        """All of them: every finding absent, present or unknown, with every choice of the facts."""
        for states in product(range(3), repeat=len(self.codes)):
            found = frozenset(code for code, state in zip(self.codes, states, strict=True) if state == 1)
            unknown = frozenset(code for code, state in zip(self.codes, states, strict=True) if state == 2)
            for chosen in product((False, True), repeat=len(self.facts)):
                facts = frozenset(fact for fact, there in zip(self.facts, chosen, strict=True) if there)
                yield Combination(found=found, facts=facts, unknown=unknown)


def groups(table: DecisionTable, codes: Collection[str]) -> tuple[Group, ...]:
    """All findings in groups, those that no row names each in one of its own."""
    of: dict[str, set[str]] = {code: {code} for code in codes}
    for row in table.rows:
        merged = set().union(*(of.get(code, {code}) for code in row.when))
        for code in merged:
            of[code] = merged
    made: dict[tuple[str, ...], set[str]] = {tuple(sorted(members)): set() for members in of.values()}
    for row in table.rows:
        made[tuple(sorted(of[row.when[0]]))].update(row.given)
    return tuple(Group(members, tuple(sorted(facts))) for members, facts in sorted(made.items()))


def asked_by(row: Row) -> Combination:
    """What a row asks for, and nothing more."""
    return Combination(found=frozenset(row.when), facts=frozenset(row.given))


def beside_rows(rows: Sequence[Row], codes: Collection[str], facts: Collection[str]) -> Iterator[Step]:
    """One thing more beside what a single row asks for: a finding, a fact, or something that could not be seen."""
    for row in rows:
        asked = asked_by(row)
        yield from (
            Step("found", asked, asked._replace(found=asked.found | {one})) for one in codes if one not in asked.found
        )
        yield from (
            Step("facts", asked, asked._replace(facts=asked.facts | {one})) for one in facts if one not in asked.facts
        )
        yield from (Step("unknown", asked, asked._replace(unknown=frozenset({one}))) for one in codes)


def equal_rank(one: Row, other: Row) -> bool:
    """Whether nothing but their place tells which of two rows comes first."""
    return (one.severity, len(one.when), len(one.given)) == (other.severity, len(other.when), len(other.given))


def pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row, Combination]]:
    """Two rows that only their place tells apart, the first one first, and a combination that both match."""
    for number, first in enumerate(rows):
        for second in rows[number + 1 :]:
            if not equal_rank(first, second):
                break  # rows come in order of urgency and of what they ask for
            one, other = asked_by(first), asked_by(second)
            yield first, second, Combination(found=one.found | other.found, facts=one.facts | other.facts)
