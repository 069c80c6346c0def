"""Root cause along what targets depend on: what fails because of something below it is one matter, with one remedy.

When a database is away, the service on top of it fails as well. To restart or roll back that service would cure nothing
and cost what still works. So its findings are attributed to the database and named there, and it gets no remedy of its
own until the database is well. What cannot come from a dependency stays with its target, and where no dependency was
seen to be bad (it is healthy, or nobody could look) nothing is attributed at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ops_core.decision.table import DecisionTable
from ops_core.finding import Finding

# A weak secret or an open guard is a target's own, whatever fails below it, and makes nothing above it fail.
HARMLESS_SUBJECTS = frozenset({"certificate", "guard", "payload", "secret"})
# A full disk is a target's own too, but what stands on that target may well fail because of it.
INDEPENDENT_SUBJECTS = HARMLESS_SUBJECTS | {"disk"}

Dependencies = Mapping[str, Sequence[str]]
ByTarget = Mapping[str | None, Sequence[Finding]]


@dataclass(frozen=True, kw_only=True)
class Dependent:
    """A target that fails because of another one: the codes that are attributed, and the evidence behind them."""

    target: str
    findings: tuple[str, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Findings by what has to be decided about them.

    Attributes:
        own: what each target is decided on; a target whose findings all come from elsewhere is not here.
        roots: by dependent, the targets that its other findings may come from. All of them have findings of their own,
            and none of them fails because of another one.
        moved: by dependent, those other findings.
    """

    own: Mapping[str | None, tuple[Finding, ...]]
    roots: Mapping[str, tuple[str, ...]]
    moved: Mapping[str, tuple[Finding, ...]]


def attribute(
    table: DecisionTable,
    found: ByTarget,
    facts: Mapping[str | None, Sequence[str]],
    depends_on: Dependencies,
) -> Attribution:
    """Tell what each target has of its own from what comes from the targets it depends on.

    Args:
        table: the rows in force; some say that what they speak of is `independent`.
        found: what was seen and is bad, by target.
        facts: what steers the rows, by target.
        depends_on: by target, the names of those it depends on directly.
    """
    below = {name: dependencies_of(name, depends_on) for name in found if name is not None}
    causes = {name for name in below if any(_subject(one.code) not in HARMLESS_SUBJECTS for one in found[name])}
    own: dict[str | None, tuple[Finding, ...]] = {}
    roots: dict[str, tuple[str, ...]] = {}
    moved: dict[str, tuple[Finding, ...]] = {}
    for target, findings in found.items():
        above = () if target is None else _roots(below[target], causes, below)
        codes = frozenset(finding.code for finding in findings)
        kept = independent_codes(table, codes, facts.get(target, ())) if above else codes
        if target is not None and kept != codes:
            roots[target] = above
            moved[target] = tuple(one for one in findings if one.code not in kept)
        if kept:
            own[target] = tuple(one for one in findings if one.code in kept)
    return Attribution(own=own, roots=roots, moved=moved)


def dependencies_of(name: str, depends_on: Dependencies) -> frozenset[str]:
    """Everything that a target depends on, directly or through others; never itself, not even in a circle."""
    reached: set[str] = set()
    waiting = [*depends_on.get(name, ())]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting.extend(depends_on.get(one, ()))
    return frozenset(reached - {name})


def independent_codes(table: DecisionTable, codes: Collection[str], facts: Collection[str]) -> frozenset[str]:
    """Those of a target's codes that cannot come from what it depends on: by subject, or because a row says so."""
    said = {code for row in table.rows if row.independent and row.matches(codes, facts) for code in row.when}
    return frozenset(code for code in codes if code in said or _subject(code) in INDEPENDENT_SUBJECTS)


def dependent(target: str, findings: Iterable[Finding]) -> Dependent:
    """What is told of a target whose findings are attributed."""
    known = tuple(findings)
    return Dependent(
        target=target,
        findings=tuple(sorted({one.code for one in known})),
        evidence=tuple(sorted({item for one in known for item in one.evidence})),
    )


def _roots(reached: frozenset[str], causes: set[str], below: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Those below a target that are bad and stand on nothing bad themselves. In a circle there is none."""
    return tuple(sorted(name for name in reached & causes if not below[name] & causes))


def _subject(code: str) -> str:
    return code.partition(".")[0]
