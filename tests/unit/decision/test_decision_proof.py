"""The proof of a decision table finds every kind of defect, says the smallest exception, and covers what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.cli.proving import prove_table
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.decision.combinations import STATES_MAX, Combination, groups
from ops_core.decision.inforce import raised_findings, table_in_force
from ops_core.decision.match import decide
from ops_core.decision.proof import Law, Proof, prove, violated
from ops_core.decision.table import DecisionTable, Row, Severity, TableFile
from ops_core.finding import Finding

CODES = ("a.a", "b.b", "c.c", "disk.d", "guard.e", "secret.f")
FACTS = ("f.f", "g.g")


def row(name: str, when: str, severity: Severity = Severity.HIGH, **more) -> Row:
    """A row of that id; `when` are codes with spaces between."""
    texts = {"cause": {"en": f"why {name}"}, "action": {"en": f"do {name}"}}
    return Row(id=name, when=tuple(when.split()), severity=severity, category="control", **{**texts, **more})


GOOD = DecisionTable.of(
    row("a", "a.a", Severity.CRITICAL, remediation="restart_service"),
    row("a-new", "a.a", Severity.CRITICAL, given=("f.f",), remediation="rollback_release"),
    row("b", "b.b", Severity.LOW),
    row("both", "a.a b.b", Severity.CRITICAL),
)


def exception(proof: Proof, law: Law) -> tuple[Combination, tuple[str, ...]]:
    """The counterexample to a law."""
    (found,) = [one for one in proof.counterexamples if one.law is law]
    return found.combination, found.told


def combination(found: str = "", facts: str = "", unknown: str = "", below: str = "") -> Combination:
    """A combination; codes with spaces between."""
    return Combination(*(frozenset(text.split()) for text in (found, facts, unknown, below)))


def test_shipped_table_is_proven():
    """Every law holds for the table as it is shipped, with every finding that a shipped check can raise."""
    shipped = load_settings(content_dir() / "ops.toml", environ={})
    proof = prove(table_in_force(shipped), raised_findings(shipped))
    assert proof.holds, proof.counterexamples
    assert proof.combinations > 10_000
    assert len(proof.as_dict()["laws"]) == len(Law)


def test_sound_table_is_proven():
    """A small table with a row of two findings and one of a fact holds."""
    proof = prove(GOOD, ())
    assert proof.holds, proof.counterexamples
    assert (proof.rows, proof.codes) == (4, 2)


def test_finding_without_row_is_the_smallest_exception_to_totality():
    """A finding that no row decides alone is named alone, whatever else is there."""
    table = DecisionTable.of(*GOOD.rows, row("c", "c.c", given=("f.f",)))
    assert exception(prove(table, ()), Law.TOTAL) == (
        combination("c.c"),
        ("found c.c: high, no row, a person acts",),
    )


def test_finding_that_a_check_raises_belongs_to_the_proof():
    """A finding that no row names at all is found too."""
    assert exception(prove(GOOD, ("x.x",)), Law.TOTAL)[0] == combination("x.x")


def test_lost_finding_is_found():
    """A decision that does not cover what was found beside it is no answer to all of it."""

    def forgetful(*asked):
        return [replace(one, attributed=()) for one in decide(*asked)]

    apart = DecisionTable.of(*(one for one in GOOD.rows if one.id != "both"))
    assert exception(prove(apart, (), forgetful), Law.TOTAL)[0] == combination("a.a b.b")


def test_acting_on_what_was_not_seen_is_found():
    """Who takes what could not be seen for something found acts on a guess."""

    def guessing(table, findings, facts, unknown, at, depends_on):
        guessed = [Finding(code=code, target=target, check="check") for code, target in unknown]
        return decide(table, [*findings, *guessed], facts, unknown, at, depends_on)

    proof = prove(GOOD, (), guessing)
    assert exception(proof, Law.SEEN)[0].size == 1
    assert exception(proof, Law.UNKNOWN) == (
        combination(unknown="a.a"),
        ("nothing: no decision", "not seen a.a: critical, a, restart_service"),
    )


def test_unknown_that_enables_an_action_is_found():
    """Nothing is done where something could not be seen that would not have been done otherwise."""

    def daring(table, findings, facts, unknown, at, depends_on):
        made = decide(table, findings, facts, unknown, at, depends_on)
        return [replace(one, remediation="restart_service") for one in made] if unknown else made

    combined, told = exception(prove(GOOD, (), daring), Law.UNKNOWN)
    assert (combined.size, len(told)) == (2, 2)
    assert combined.found == {"b.b"}


def test_decision_by_the_first_finding_is_found():
    """What comes first in a list must not decide."""

    def hasty(table, findings, *rest):
        return decide(table, findings[:1], *rest)

    proof = prove(GOOD, (), hasty)
    assert exception(proof, Law.UNAMBIGUOUS)[0] == combination("a.a b.b")


def test_rows_in_the_order_of_the_file_are_found():
    """A table that goes by place alone lets something minor come before something urgent."""

    @dataclass(frozen=True)
    class ByPlace(DecisionTable):
        @cached_property
        def rows(self):
            return tuple(one for file in self.files for one in file.rows)

    table = ByPlace((TableFile(path=content_dir(), rows=tuple(reversed(GOOD.rows))),))
    proof = prove(table, ())
    assert exception(proof, Law.FINDING)[0] == combination("a.a b.b")
    assert "in the order in which they stand in the file" in exception(proof, Law.UNAMBIGUOUS)[1][0]


def test_row_that_matches_exactly_is_found():
    """A row that stops matching where there is more makes one finding more less urgent."""

    class Exact(Row):
        def matches(self, codes, facts):
            return set(codes) == set(self.when) and set(facts) == set(self.given)

    table = DecisionTable.of(*(Exact(**vars(one)) for one in GOOD.rows if one.id != "both"))
    proof = prove(table, ())
    assert exception(proof, Law.FINDING)[0].size == 2
    assert exception(proof, Law.TOTAL)[0].size == 2


def test_fact_that_calms_is_found():
    """A fact may steer a decision, not make it less urgent: here a row is reached only with it."""
    table = DecisionTable.of(row("a", "a.a", Severity.LOW, given=("f.f",)))
    assert exception(prove(table, ()), Law.FACT) == (
        combination("a.a", "f.f"),
        ("found a.a: high, no row, a person acts", "found a.a; given f.f: low, a, a person acts"),
    )


def test_row_taken_apart_by_what_is_below_is_found():
    """Where one of two findings comes from below and the other cannot, the urgent row of both is lost."""
    table = DecisionTable.of(
        row("weak", "secret.weak", Severity.LOW),
        row("slow", "health.slow", Severity.LOW),
        row("both", "secret.weak health.slow", Severity.CRITICAL),
    )
    combined, told = exception(prove(table, ()), Law.FINDING)
    assert combined == combination("health.slow secret.weak", below="health.slow")
    assert "critical, both" in told[0]
    assert "critical" not in told[1]


def test_group_that_is_too_large_is_not_taken_for_proven():
    """Where not everything can be tried, nothing is claimed."""
    codes = [f"a.c{number}" for number in range(9)]
    table = DecisionTable.of(
        row("some", " ".join(codes[:8])), row("more", " ".join(codes[1:])), *(row(code, code) for code in codes)
    )
    (group,) = groups(table, codes)
    assert group.states > STATES_MAX
    proof = prove(table, ())
    assert not proof.holds
    assert proof.too_large == (group,)
    assert not proof.counterexamples


def test_rows_that_only_their_place_tells_apart_are_told():
    """Place settles it, as the table says; how often is told."""
    table = DecisionTable.of(row("a", "a.a", remediation="restart_service"), row("b", "b.b"))
    proof = prove(table, ())
    assert proof.holds
    assert proof.by_place == (("a", "b"),)


def test_command_says_what_was_proven(capsys):
    """What is proven is told law by law, with how much was tried."""
    shipped = load_settings(content_dir() / "ops.toml", environ={})
    assert prove_table(shipped, json=False) == 0
    told = capsys.readouterr().out
    assert told.count("  proven  ") == len(Law)
    assert "combinations decided in" in told


def test_command_ends_with_the_counterexample(tmp_path, capsys):
    """A table of somebody's own that leaves a finding without a row is told, and the exit code says so."""
    (tmp_path / "remediations").mkdir()
    (tmp_path / "remediations" / "decisions.toml").write_text(
        '[[row]]\nid = "health-slow"\nwhen = ["health.slow"]\ngiven = ["config.unproven"]\nseverity = "low"\n'
        'category = "performance"\ncause.en = "why"\naction.en = "do"\n',
        encoding="utf-8",
    )
    (tmp_path / "ops.toml").write_text((content_dir() / "ops.toml").read_text(encoding="utf-8"), encoding="utf-8")
    settings_ = load_settings(tmp_path / "ops.toml", environ={})
    assert prove_table(settings_, json=False) == 1
    told = capsys.readouterr()
    assert "  NO          every combination has exactly one decision" in told.out
    assert "found health.slow: high, no row, a person acts" in told.out
    assert 'no row decides the finding "health.slow" alone' in told.err
    assert prove_table(settings_, json=True) == 1
    assert json.loads(capsys.readouterr().out)["counterexamples"][0]["seen"]["found"] == ["health.slow"]


ROWS = st.builds(
    lambda number, when, given_, severity, remediation, independent: Row(
        id=f"r{number}",
        when=tuple(when),
        given=tuple(given_),
        severity=severity,
        category="control",
        cause={"en": "why"},
        action={"en": "do"},
        remediation=remediation,
        independent=independent,
    ),
    st.integers(0, 999_999),
    st.lists(st.sampled_from(CODES), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(FACTS), max_size=2, unique=True),
    st.sampled_from(Severity),
    st.sampled_from((None, "restart_service", "rollback_config")),
    st.booleans(),
)
SOME = st.frozensets(st.sampled_from(CODES))
COMBINATIONS = st.builds(Combination, SOME, st.frozensets(st.sampled_from(FACTS)), SOME, SOME)


@st.composite
def tables(draw) -> DecisionTable:
    """Tables of a few rows; most have a row for each finding alone, so that something holds at all."""
    some = draw(st.lists(ROWS, max_size=5, unique_by=lambda one: one.id))
    severities = [draw(st.sampled_from(Severity)) for _ in CODES]
    alone = [row(f"alone-{code}", code, severity) for code, severity in zip(CODES, severities, strict=True)]
    return DecisionTable.of(*some, *alone[draw(st.sampled_from((0, 0, 0, 1))) :])


@settings(max_examples=30, deadline=None)
@given(table=tables(), data=st.data())
def test_what_is_proven_holds_for_every_larger_combination(table: DecisionTable, data):
    """The combinations that are tried suffice: a law without a counterexample has none among all others either."""
    proof = prove(table, CODES)
    if proof.too_large:
        return
    broken = {one.law for one in proof.counterexamples}
    for combined in data.draw(st.lists(COMBINATIONS, min_size=10, max_size=30)):
        for law in set(Law) - broken:
            assert violated(table, law, combined) is None, (law, str(combined))


@settings(max_examples=15, deadline=None)
@given(table=tables())
def test_a_counterexample_is_one_and_nothing_smaller_is(table: DecisionTable):
    """What is told is really so, and no part of it would do."""
    for one in prove(table, CODES).counterexamples:
        if one.law is Law.UNAMBIGUOUS:
            continue
        assert violated(table, one.law, one.combination) == one.told
        for part in one.combination.parts():
            assert part == one.combination or violated(table, one.law, part) is None


@pytest.mark.parametrize("law", list(Law))
@settings(max_examples=10, deadline=None)
@given(combined=COMBINATIONS)
def test_laws_hold_for_random_combinations_of_a_sound_table(law: Law, combined: Combination):
    """No law is so narrow that a sound table breaks it."""
    table = DecisionTable.of(*(row(code, code) for code in CODES))
    assert violated(table, law, combined) is None
