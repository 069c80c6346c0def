"""One decision per target: total, deterministic, and never more daring because something was not seen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.decision.match import UNMATCHED_CAUSE, advice_for_unknown, decide, primary
from ops_core.decision.table import DecisionTable, Row, Severity
from ops_core.finding import Finding

AT = datetime(2026, 1, 4, 9, 5, tzinfo=UTC)
CODES = ("a.a", "b.b", "c.c", "d.d")
FACTS = ("f.f", "g.g")
TARGETS = (None, "api", "web")


def row(name: str, when: str, severity: Severity = Severity.HIGH, **more) -> Row:
    """A row of that id; `when` are codes with spaces between."""
    texts = {"cause": {"en": f"why {name}"}, "action": {"en": f"do {name}", "ko": f"조치 {name}"}}
    return Row(id=name, when=tuple(when.split()), severity=severity, category="control", **{**texts, **more})


def bad(code: str, target: str | None = "api", check: str = "check_it") -> Finding:
    """A finding with one piece of evidence."""
    return Finding(code=code, target=target, check=check, evidence=(f"{code.split('.')[0]}[{target}]",))


def test_decision_carries_all_that_led_to_it():
    """What decided, what steered it, what else is covered, the evidence, and the two deadlines."""
    table = DecisionTable.of(
        row("one", "a.a", given=("f.f",), remediation="restart_service", where="t.toml:3"),
        row("other", "b.b", Severity.LOW),
    )
    found = [bad("b.b"), bad("a.a"), replace(bad("a.a", check="check_again"), evidence=("z[api]", "a[api]"))]
    (decision,) = decide(table, found, {"api": ["f.f", "g.g"]}, [("c.c", "api"), ("c.c", "web")], AT)
    assert (decision.target, decision.row_id, decision.where) == ("api", "one", "t.toml:3")
    assert (decision.findings, decision.given, decision.attributed) == (("a.a",), ("f.f",), ("b.b",))
    assert (decision.unmatched, decision.unseen) == ((), ("c.c",))
    assert decision.evidence == ("a[api]", "z[api]")
    assert (decision.severity, decision.category, decision.remediation) == (Severity.HIGH, "control", "restart_service")
    assert (decision.decide_by, decision.recover_by) == ("2026-01-04T09:10:00.000Z", "2026-01-04T09:15:00.000Z")


def test_decision_speaks_the_language_or_english():
    """Where the table has no text in a language, English is better than nothing."""
    (decision,) = decide(DecisionTable.of(row("one", "a.a")), [bad("a.a")], {}, [], AT)
    assert (decision.cause("ko"), decision.action("ko")) == ("why one", "조치 one")
    assert (decision.cause(), decision.action()) == ("why one", "do one")


def test_decision_goes_into_json_as_it_is():
    """All of it is JSON values, and a decision can be put into a set."""
    (decision,) = decide(DecisionTable.of(row("one", "a.a")), [bad("a.a")], {}, [], AT)
    told = json.loads(json.dumps(decision.as_dict()))
    assert (told["severity"], told["act_within_s"]) == ("high", 300.0)
    assert told["action"] == {"en": "do one", "ko": "조치 one"}
    assert len({decision, replace(decision)}) == 1


def test_findings_of_different_targets_do_not_add_up():
    """All findings of a row have to be there on one target."""
    table = DecisionTable.of(row("both", "a.a b.b", Severity.CRITICAL), row("a", "a.a"), row("b", "b.b"))
    decisions = decide(table, [bad("a.a", "api"), bad("b.b", "web")], {"web": ["f.f"]}, [], AT)
    assert [(d.target, d.row_id) for d in decisions] == [("api", "a"), ("web", "b")]


def test_facts_of_another_target_do_not_steer():
    """A new release of one service says nothing about another."""
    table = DecisionTable.of(row("new", "a.a", given=("f.f",)), row("a", "a.a"))
    (decision,) = decide(table, [bad("a.a", "api")], {"web": ["f.f"], None: ["f.f"]}, [], AT)
    assert decision.row_id == "a"


def test_most_urgent_decision_comes_first():
    """By urgency, then by the order of the rows, then by name; what no row knows comes last among its equals."""
    table = DecisionTable.of(
        row("low", "a.a", Severity.LOW), row("b", "b.b"), row("c", "c.c"), row("urgent", "c.c a.a", Severity.CRITICAL)
    )
    found = [
        bad("a.a", "t1"),
        bad("x.x", "t2"),
        bad("c.c", "t3"),
        bad("b.b", "t5"),
        bad("b.b", "t4"),
        bad("b.b", None),
        bad("a.a", "t9"),
        bad("c.c", "t9"),
    ]
    decisions = decide(table, found, {}, [], AT)
    assert [d.target for d in decisions] == ["t9", None, "t4", "t5", "t3", "t2", "t1"]
    assert primary(decisions) is decisions[0]
    assert primary(()) is None


def test_nothing_found_is_nothing_to_decide():
    """Without findings there is no decision, whatever facts there are and whatever was not seen."""
    table = DecisionTable.of(row("a", "a.a"))
    assert decide(table, [], {"api": ["f.f"]}, [("a.a", "api")], AT) == ()


def test_what_no_row_knows_is_for_a_person():
    """Never nothing: somebody has to look, and soon; but no remediation runs."""
    (decision,) = decide(DecisionTable.of(row("b", "b.b")), [bad("a.a")], {}, [], AT)
    assert (decision.row_id, decision.severity, decision.remediation) == (None, Severity.HIGH, None)
    assert decision.cause() == "no row of the decision table matches: a person has to look"
    assert decision.cause("ko") == UNMATCHED_CAUSE["ko"]
    assert (decision.findings, decision.unmatched, decision.evidence) == (("a.a",), ("a.a",), ("a[api]",))


def test_what_no_row_knows_is_not_hidden_by_something_minor():
    """A finding without a row beside one of low urgency still asks for a person."""
    minor, urgent = row("b", "b.b", Severity.LOW, remediation="x"), row("c", "c.c", Severity.CRITICAL)
    table = DecisionTable.of(minor, urgent)
    (decision,) = decide(table, [bad("a.a"), bad("b.b")], {}, [], AT)
    assert (decision.row_id, decision.severity, decision.remediation) == (None, Severity.HIGH, None)
    assert (decision.findings, decision.attributed) == (("a.a",), ("b.b",))
    (decision,) = decide(table, [bad("a.a"), bad("c.c")], {}, [], AT)
    assert (decision.row_id, decision.attributed, decision.unmatched) == ("c", ("a.a",), ("a.a",))


def test_instant_without_a_zone_is_refused():
    """Deadlines of an instant that nobody can place would be made up."""
    with pytest.raises(ValueError, match="has no time zone"):
        decide(DecisionTable.of(row("a", "a.a")), [], {}, [], AT.replace(tzinfo=None))
    seoul = AT.astimezone(timezone(timedelta(hours=9)))
    (decision,) = decide(DecisionTable.of(row("a", "a.a")), [bad("a.a")], {}, [], seoul)
    assert decision.decide_by == "2026-01-04T09:10:00.000Z"


def test_what_could_not_be_seen_is_listed_by_target():
    """Where nothing bad was seen but not everything was, the advice is to change nothing."""
    advice = advice_for_unknown([("b.b", "web"), ("a.a", "web"), ("e.e", None), ("a.a", "web")])
    assert advice is not None
    assert advice.unseen == (("e.e", None), ("a.a", "web"), ("b.b", "web"))
    assert advice.cause() == "could not be seen: control plane: e.e; web: a.a, b.b"
    assert advice.action().startswith("remediate nothing on this observation")
    assert advice.cause("ko").startswith("관측하지 못했습니다: 제어 평면: e.e")
    assert advice_for_unknown([]) is None


ROWS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(CODES), min_size=1, unique=True).map(tuple),
        st.lists(st.sampled_from(FACTS), unique=True).map(tuple),
        st.sampled_from(Severity),
    ),
    max_size=6,
)
TABLES = ROWS.map(
    lambda rows: DecisionTable.of(
        *(row(f"r{n}", " ".join(when), severity, given=facts) for n, (when, facts, severity) in enumerate(rows))
    )
)
FOUND = st.lists(st.tuples(st.sampled_from((*CODES, "x.x")), st.sampled_from(TARGETS)), max_size=8).map(
    lambda pairs: [bad(*pair) for pair in pairs]
)
SEEN_FACTS = st.dictionaries(st.sampled_from(TARGETS), st.lists(st.sampled_from(FACTS)))
UNKNOWN = st.lists(st.tuples(st.sampled_from(CODES), st.sampled_from(TARGETS)), max_size=4)


@settings(deadline=None)
@given(table=TABLES, found=FOUND, facts=SEEN_FACTS, unknown=UNKNOWN, data=st.data())
def test_every_target_with_findings_gets_one_decision_in_whatever_order(table, found, facts, unknown, data):
    """Total and deterministic, for any table: the order of findings, facts and unknowns changes nothing."""
    decisions = decide(table, found, facts, unknown, AT)
    assert sorted(d.target or "" for d in decisions) == sorted({f.target or "" for f in found})
    assert [d.severity.rank for d in decisions] == sorted(d.severity.rank for d in decisions)
    for decision in decisions:
        assert {*decision.findings, *decision.attributed} == {f.code for f in found if f.target == decision.target}
    shuffled = data.draw(st.permutations(found))
    backwards = {target: seen[::-1] for target, seen in reversed(list(facts.items()))}
    assert decide(table, [*shuffled, *found[:1]], backwards, unknown[::-1], AT) == decisions


@settings(deadline=None)
@given(table=TABLES, found=FOUND, facts=SEEN_FACTS, unknown=UNKNOWN)
def test_what_was_not_seen_never_enables_anything(table, found, facts, unknown):
    """Unknowns are told and change no decision."""
    without = decide(table, found, facts, [], AT)
    assert tuple(replace(d, unseen=()) for d in decide(table, found, facts, unknown, AT)) == without


@settings(deadline=None)
@given(table=TABLES, found=FOUND, facts=SEEN_FACTS, more=st.sampled_from((*CODES, "x.x")))
def test_one_more_finding_never_lowers_the_severity(table, found, facts, more):
    """For any table, even one that leaves findings undecided."""
    before = {d.target: d.severity.rank for d in decide(table, found, facts, [], AT)}
    after = {d.target: d.severity.rank for d in decide(table, [*found, bad(more, "api")], facts, [], AT)}
    assert all(after[target] <= rank for target, rank in before.items())
