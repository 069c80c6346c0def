"""What facts mean: each trouble has its risk, more trouble never looks better, and nothing known is never OK."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from summary_facts import LATE, NOW, RUN, WELL, WORSE

from ops_core.control.audit import canonical
from ops_core.decision.table import Severity
from ops_core.summary.model import Facts, Handled, Overall, Run, Seen, Unread
from ops_core.summary.risks import EVIDENCE_MAX, overall_of, risks_of
from ops_core.summary.summary import RECEIPT_MAX_CHARS, TOP_MAX, summary_of

# One run or pull has one outcome: another one takes its place, and is held against the place being well.
IN_THE_PLACE_OF = {
    "CYCLE_F": "cycle",
    "CYCLE_B": "cycle",
    "CYCLE_W": "cycle",
    "LIVE_C": "live_cycle",
    "PULL_": "handoff",
}
TROUBLES = st.lists(st.sampled_from(sorted(WORSE)), max_size=12)


def made(codes: list[str]) -> Facts:
    """The facts with all of that trouble, one after the other."""
    facts = WELL
    for code in codes:
        facts = WORSE[code](facts)
    return facts


def codes_of(facts: Facts) -> list[str]:
    """The codes of the risks, in their order."""
    return [one.code for one in risks_of(facts)]


def test_host_on_which_everything_is_well_is_ok() -> None:
    """No risk, and OK: the measure that the other tests start from."""
    assert codes_of(WELL) == []
    assert overall_of(risks_of(WELL)) is Overall.OK


@pytest.mark.parametrize("code", WORSE)
def test_each_trouble_has_its_risk(code: str) -> None:
    """One thing that is wrong is told as itself, with evidence and what to type, and the whole is not OK."""
    risks = risks_of(WORSE[code](WELL))
    mine = [one for one in risks if one.code == code]
    assert len(mine) == 1
    assert mine[0].evidence
    assert mine[0].next_step
    assert overall_of(risks) is not Overall.OK


@given(TROUBLES, st.sampled_from(sorted(WORSE)))
def test_more_trouble_never_looks_better(before: list[str], added: str) -> None:
    """Whatever was wrong already, adding trouble leaves the whole as it was or makes it worse."""
    facts = made(before)
    for beginning, field in IN_THE_PLACE_OF.items():
        if added.startswith(beginning):
            facts = replace(facts, **{field: getattr(WELL, field)})
    assert overall_of(risks_of(WORSE[added](facts))).rank >= overall_of(risks_of(facts)).rank


@given(TROUBLES)
def test_everything_told_can_be_looked_up(codes: list[str]) -> None:
    """No risk is without evidence or without a next step, and no text is without limits."""
    for one in risks_of(made(codes)):
        assert 0 < len(one.evidence) <= EVIDENCE_MAX
        assert all(one.evidence)
        assert one.next_step
        assert one.what
        assert "\n" not in one.what


@given(TROUBLES, st.integers(0, 2**16))
def test_same_facts_give_the_same_summary(codes: list[str], seed: int) -> None:
    """In whatever order the parts were read, the summary is the same, to the letter."""
    facts = made(codes)

    def shuffled(values: tuple[object, ...]) -> tuple[object, ...]:
        return tuple(random.Random(seed).sample(values, len(values)))

    parts = ("expected", "seen", "breaches", "incidents", "budgets", "unread")
    other = replace(facts, **{name: shuffled(getattr(facts, name)) for name in parts})
    assert canonical(summary_of(facts)) == canonical(summary_of(other))


@given(TROUBLES)
def test_most_urgent_stands_first(codes: list[str]) -> None:
    """Risks stand by severity, then by code."""
    order = [(one.severity.rank, one.code) for one in risks_of(made(codes))]
    assert order == sorted(order)


def test_empty_host_is_not_ok() -> None:
    """A host of which nothing at all is known is stopped, and nobody takes that for health."""
    assert overall_of(risks_of(Facts(asof=NOW))) is Overall.BLOCKED
    released = Facts(asof=NOW, control=WELL.control)
    assert codes_of(released) == ["CYCLE_NONE", "OBSERVATION_MISSING"]
    assert overall_of(risks_of(released)) is Overall.WARN


@pytest.mark.parametrize(
    ("area", "code"), [("slo", "SLO_UNKNOWN"), ("integrity", "INTEGRITY_UNREADABLE"), ("cycle", "CYCLE_UNREADABLE")]
)
def test_what_could_not_be_read_is_a_risk_of_its_own(area: str, code: str) -> None:
    """Unread is never good, and nothing is claimed about what was not read."""
    facts = replace(WELL, bundles=False, cycle=None, unread=(Unread(area=area, why="it is damaged", where="there"),))
    risks = {one.code: one for one in risks_of(facts)}
    assert risks[code].evidence == ("there",)
    assert "it is damaged" in risks[code].what
    assert ("CYCLE_NONE" in risks) is (area != "cycle")


def test_observation_that_is_bad_and_old_is_both() -> None:
    """Age takes nothing away from what was found."""
    seen = Seen(suite="observe", run_id=RUN, finished_at=LATE, verdict="UNHEALTHY", bad=("a.b",), evidence=("a",))
    risks = risks_of(replace(WELL, seen=(seen,)))
    assert [one.code for one in risks] == ["OBSERVATION_UNHEALTHY", "OBSERVATION_OLD"]
    assert risks[0].evidence == (f"observe/{RUN}:a",)


@pytest.mark.parametrize(("verdict", "bad"), [("UNHEALTHY", ()), ("HEALTHY", ("a.b",)), ("UNKNOWN", ("a.b",))])
def test_whatever_says_bad_is_bad(verdict: str, bad: tuple[str, ...]) -> None:
    """A record whose verdict and judgements disagree is as bad as the worse of them."""
    seen = Seen(suite="observe", run_id=RUN, finished_at=NOW, verdict=verdict, bad=bad)
    assert "OBSERVATION_UNHEALTHY" in codes_of(replace(WELL, seen=(seen,)))


@pytest.mark.parametrize("verdict", ["UNKNOWN", "SKIPPED", "", "something new"])
def test_verdict_that_is_not_healthy_is_never_good(verdict: str) -> None:
    """Only HEALTHY is."""
    seen = Seen(suite="observe", run_id=RUN, finished_at=NOW, verdict=verdict)
    assert codes_of(replace(WELL, seen=(seen,))) == ["OBSERVATION_UNKNOWN"]


@pytest.mark.parametrize("minutes", [0, 26 * 60, 26 * 60 + 1])
def test_look_is_old_after_a_day(minutes: int) -> None:
    """Up to 26 hours a look is of today; beyond that nobody knows how it is now."""
    at = NOW - timedelta(minutes=minutes)
    seen = Seen(suite="observe", run_id=RUN, finished_at=at, verdict="HEALTHY")
    assert codes_of(replace(WELL, seen=(seen,))) == (["OBSERVATION_OLD"] if minutes > 26 * 60 else [])


@pytest.mark.parametrize(
    ("code", "overall", "severity"),
    [
        ("TAMPERED", Overall.FAIL, Severity.CRITICAL),
        ("REPLAYED", Overall.FAIL, Severity.CRITICAL),
        ("INCOMPLETE", Overall.FAIL, Severity.HIGH),
        ("something new", Overall.FAIL, Severity.HIGH),
        ("HELD_BACK", Overall.WARN, Severity.MEDIUM),
        ("STALE", Overall.WARN, Severity.MEDIUM),
    ],
)
def test_refused_bundle_weighs_what_its_reason_weighs(code: str, overall: Overall, severity: Severity) -> None:
    """What was held back on purpose is looked at; what somebody tampered with is a failure."""
    assert WELL.handoff is not None
    refused = replace(WELL.handoff, pull_outcome="REFUSED", pull_code=code)
    risks = risks_of(replace(WELL, handoff=refused))
    assert [(one.code, one.weighs, one.severity) for one in risks] == [("BUNDLE_REFUSED", overall, severity)]


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("kind", ["cycle", "live_fire", "live_cycle"])
def test_what_still_runs_is_no_trouble(kind: str, alive: bool) -> None:
    """An open run whose process goes on is at work; one whose process is gone is a failure."""
    changes: dict[str, Any] = {kind: Run(id="x", result="OPEN", alive=alive)}
    facts = replace(WELL, **changes)
    assert overall_of(risks_of(facts)) is (Overall.OK if alive else Overall.FAIL)


def test_refused_live_fire_is_the_normal_answer() -> None:
    """Whoever may not fire was refused: the guard works."""
    assert codes_of(replace(WELL, live_fire=Run(id="f", result="BLOCKED"))) == []


def test_host_without_bundles_has_no_risk_of_bundles() -> None:
    """Where nobody else produces, the day is the cycle."""
    facts = replace(WELL, bundles=False, handoff=None, live_cycle=None)
    assert codes_of(facts) == []
    assert codes_of(replace(facts, cycle=None)) == ["CYCLE_NONE"]


def test_only_the_first_risks_are_told_and_the_others_counted() -> None:
    """Twenty at most; how many there are by severity is told of all, and all of them weigh."""
    many = tuple(Handled(id=f"i{number:03}", severity="SEV-3", title="t") for number in range(50))
    told = summary_of(replace(WELL, incidents=many, control=replace(WELL.control, stopped=True)))
    assert len(told["top_risks"]) == TOP_MAX
    assert told["more_risks"] == 51 - TOP_MAX
    assert told["risk_counts"] == {"high": 51}
    assert told["overall_status"] == "BLOCKED"


def test_longest_texts_fit_into_a_receipt() -> None:
    """However long what others say is, the summary stays a receipt."""
    long = "\u00e4" * 5000
    many = tuple(Handled(id=f"{number}{long}", severity="SEV-1", title=long, overdue=True) for number in range(40))
    told = summary_of(replace(WELL, incidents=many))
    assert all(len(one["what"]) <= 240 for one in told["top_risks"])
    assert len(canonical(told)) < 4 * RECEIPT_MAX_CHARS
