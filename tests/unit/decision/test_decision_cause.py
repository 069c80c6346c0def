"""Root cause along dependencies: nothing lost, nothing hidden, nothing enabled by what was not seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.decision.cause import Dependent, dependencies_of
from ops_core.decision.match import decide
from ops_core.decision.table import DecisionTable, Row, Severity
from ops_core.finding import Finding

AT = datetime(2026, 1, 4, 9, 5, tzinfo=UTC)
NEEDS = {"ingest": ("database", "redis"), "front": ("ingest",)}
CODES = ("away.away", "slow.slow", "payload.accepted", "disk.full", "own.own", "x.x")


def row(name: str, code: str, severity: Severity = Severity.HIGH, **more) -> Row:
    """A row for one code."""
    texts = {"cause": {"en": f"why {name}"}, "action": {"en": f"do {name}"}}
    return Row(id=name, when=(code,), severity=severity, category="availability", **{**texts, **more})


TABLE = DecisionTable.of(
    row("away", "away.away", Severity.CRITICAL, remediation="restart_service"),
    row("slow", "slow.slow", Severity.MEDIUM, remediation="lower_limits"),
    row("payload", "payload.accepted", remediation="rollback_config"),
    row("disk", "disk.full"),
    row("own", "own.own", Severity.LOW, independent=True, remediation="third_verb"),
)


def bad(code: str, target: str | None) -> Finding:
    """A finding with one piece of evidence."""
    return Finding(code=code, target=target, check="check_it", evidence=(f"{code.partition('.')[0]}[{target}]",))


def decided(*pairs, facts=None, unknown=(), needs=NEEDS):
    """Decisions by target, about (code, target) pairs."""
    found = decide(TABLE, [bad(*pair) for pair in pairs], facts or {}, list(unknown), AT, needs)
    return {decision.target: decision for decision in found}


def test_what_fails_because_of_a_dependency_is_named_there_and_gets_no_remedy_of_its_own():
    """One decision for the database: its remedy, and the service on top of it with what it shows."""
    found = decided(("slow.slow", "ingest"), ("away.away", "ingest"), ("away.away", "database"))
    assert list(found) == ["database"]
    assert found["database"].remediation == "restart_service"
    assert found["database"].findings == ("away.away",)
    assert found["database"].dependents == (
        Dependent(target="ingest", findings=("away.away", "slow.slow"), evidence=("away[ingest]", "slow[ingest]")),
    )
    assert found["database"].as_dict()["dependents"][0]["target"] == "ingest"


def test_a_chain_leads_to_its_lowest_end():
    """What fails because of something that itself fails because of the database is the database's matter."""
    found = decided(("away.away", "front"), ("away.away", "ingest"), ("away.away", "database"))
    assert list(found) == ["database"]
    assert [one.target for one in found["database"].dependents] == ["front", "ingest"]
    found = decided(("away.away", "front"), ("away.away", "database"))
    assert [one.target for one in found["database"].dependents] == ["front"]


@pytest.mark.parametrize(
    "unknown", [(), (("away.away", "database"), ("away.away", "redis"))], ids=["healthy", "unknown"]
)
def test_a_dependency_that_is_healthy_or_unknown_hides_nothing(unknown):
    """Where nothing bad was seen below, every target keeps its own decision."""
    found = decided(("away.away", "ingest"), unknown=unknown)
    assert found["ingest"].remediation == "restart_service"
    assert found["ingest"].dependents == ()


def test_nobody_answers_for_a_neighbour():
    """Without a dependency between them, two targets that are bad are two matters."""
    found = decided(("away.away", "redis"), ("away.away", "database"), ("away.away", None))
    assert sorted(found, key=str) == [None, "database", "redis"]


@pytest.mark.parametrize("code", ["payload.accepted", "disk.full", "own.own"])
def test_what_cannot_come_from_a_dependency_stays_where_it_is(code):
    """Security, disk, and what a row says is independent keep their own decision beside the attributed rest."""
    found = decided((code, "ingest"), ("away.away", "ingest"), ("away.away", "database"))
    assert found["ingest"].findings == (code,)
    assert found["ingest"].attributed == ()
    assert found["database"].dependents[0].findings == ("away.away",)


def test_a_weak_secret_below_explains_nothing_above():
    """A dependency with nothing but security findings does not make anything fail, so it must not hold up a remedy."""
    found = decided(("away.away", "ingest"), ("payload.accepted", "database"))
    assert found["ingest"].remediation == "restart_service"
    assert found["database"].dependents == ()


def test_a_full_disk_below_explains_what_fails_above():
    """A database without disk takes its service along."""
    found = decided(("away.away", "ingest"), ("disk.full", "database"))
    assert list(found) == ["database"]


def test_of_two_bad_dependencies_the_more_urgent_answers():
    """Each finding is in one decision: that of the dependency which is treated first."""
    found = decided(("slow.slow", "ingest"), ("slow.slow", "database"), ("away.away", "redis"))
    assert found["redis"].dependents[0].target == "ingest"
    assert found["database"].dependents == ()


def test_a_decision_is_as_urgent_as_what_it_covers():
    """A slow database that takes its service down is no matter for tomorrow."""
    found = decided(("away.away", "ingest"), ("slow.slow", "database"))
    assert (found["database"].severity, found["database"].remediation) == (Severity.CRITICAL, "lower_limits")


def test_a_circle_hides_nothing():
    """Where two depend on each other nobody can say who is to blame: both keep their decisions."""
    circle = {"a": ("b",), "b": ("a",)}
    found = decided(("away.away", "a"), ("away.away", "b"), needs=circle)
    assert sorted(found) == ["a", "b"]
    assert dependencies_of("a", circle) == {"b"}
    assert dependencies_of("a", {"a": ("a",)}) == frozenset()


NAMES = ("a", "b", "c", "d")
GRAPHS = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from((*NAMES, "elsewhere")), max_size=3, unique=True)
)
PAIRS = st.lists(st.tuples(st.sampled_from(CODES), st.sampled_from((None, *NAMES))), max_size=10)
UNKNOWN = st.lists(st.tuples(st.sampled_from(CODES), st.sampled_from((None, *NAMES))), max_size=4)


def places(decisions):
    """Every (code, target) that a decision speaks of, as often as it does."""
    told = [(code, one.target) for one in decisions for code in (*one.findings, *one.attributed)]
    return told + [(code, other.target) for one in decisions for other in one.dependents for code in other.findings]


@settings(deadline=None)
@given(pairs=PAIRS, needs=GRAPHS, unknown=UNKNOWN)
def test_every_finding_is_in_exactly_one_decision(pairs, needs, unknown):
    """Nothing is lost and nothing is told twice, whatever depends on whatever."""
    decisions = decide(TABLE, [bad(*pair) for pair in pairs], {}, unknown, AT, needs)
    assert sorted(places(decisions), key=str) == sorted(set(pairs), key=str)
    assert len({decision.target for decision in decisions}) == len(decisions)


@settings(deadline=None)
@given(pairs=PAIRS, needs=GRAPHS)
def test_only_a_dependency_with_findings_answers_for_others(pairs, needs):
    """Whoever has dependents was seen to be bad, is below all of them, and stands on nothing bad itself."""
    for decision in decide(TABLE, [bad(*pair) for pair in pairs], {}, [], AT, needs):
        for other in decision.dependents:
            assert decision.target in dependencies_of(other.target, needs)
            assert decision.target in {target for _, target in pairs}
            assert other.target not in dependencies_of(decision.target, needs)


@settings(deadline=None)
@given(pairs=PAIRS, needs=GRAPHS)
def test_dependencies_never_make_anything_less_urgent(pairs, needs):
    """The most urgent thing to do is as urgent with dependencies as without."""
    found = [bad(*pair) for pair in pairs]
    with_them, without = decide(TABLE, found, {}, [], AT, needs), decide(TABLE, found, {}, [], AT)
    assert [d.severity.rank for d in with_them[:1]] == [d.severity.rank for d in without[:1]]
    assert {(d.target, d.remediation) for d in with_them} <= {(d.target, d.remediation) for d in without} | {
        (d.target, d.remediation) for d in with_them if {*d.findings} <= {"payload.accepted", "disk.full", "own.own"}
    }


@settings(deadline=None)
@given(pairs=PAIRS, needs=GRAPHS, unknown=UNKNOWN, data=st.data())
def test_order_and_what_was_not_seen_change_nothing(pairs, needs, unknown, data):
    """The same findings in another order, the same dependencies in another order, unknowns or none: the same decisions."""
    found = [bad(*pair) for pair in pairs]
    decisions = decide(TABLE, found, {}, unknown, AT, needs)
    turned = {name: tuple(reversed(tuple(below))) for name, below in reversed(list(needs.items()))}
    shuffled = data.draw(st.permutations(found))
    assert decide(TABLE, shuffled, {}, unknown[::-1], AT, turned) == decisions
    without = decide(TABLE, found, {}, [], AT, needs)
    assert tuple(replace(d, unseen=()) for d in decisions) == without
