"""Means and rates of incidents, with the arithmetic beside them; what did not recover is not left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.slo.availability import Verdict
from ops_core.slo.recovery import Happened, is_security, recovery_of, security_verdict

T0 = datetime(2026, 11, 10, 3, tzinfo=UTC)
START, END, NOW = T0 - timedelta(days=1), T0 + timedelta(days=1), T0 + timedelta(days=2)


def after(seconds):
    return None if seconds is None else T0 + timedelta(seconds=seconds)


def happened(name, *, began=0, detected=10, recovered=60, ended=None, **more):
    """An incident by its seconds after T0."""
    ended = recovered if ended is None else ended
    state = "recovered" if recovered is not None else "escalated" if ended is not None else "open"
    return Happened(
        id=name, began_at=after(began), detected_at=after(detected), recovered_at=after(recovered), ended_at=after(ended),
        state=state, **{"automatic": recovered is not None, **more},
    )  # fmt: skip


def figures(*incidents):
    return recovery_of(incidents, START, END, NOW)


def test_means_are_of_what_is_known_and_name_their_incidents():
    """MTTD (10 + 30) / 2 = 20 s; MTTR (50 + 250) / 2 = 150 s."""
    found = figures(happened("a"), happened("b", detected=30, recovered=280))
    assert (found.mttd.seconds, found.mttr.seconds) == (20, 150)
    assert found.mttr.incidents == ("a", "b")
    assert found.automatic_rate == 1
    assert found.mttr_verdict(300) is Verdict.MET
    assert found.mttr_verdict(150) is Verdict.MISSED  # less than is promised, and not as much as


def test_an_incident_without_recovery_keeps_the_mean_from_being_met():
    """One recovered in 50 s, one was handed over after 100 s: the mean of all is 75 s at least, and may be anything."""
    found = figures(happened("a"), happened("b", recovered=None, ended=110))
    assert found.mttr.seconds == 50
    assert found.mttr_at_least.seconds == 75
    assert found.unrecovered == found.escalated == ("b",)
    assert found.automatic_rate == 0.5
    assert found.mttr_verdict(300) is Verdict.UNKNOWN
    assert found.mttr_verdict(75) is Verdict.MISSED
    assert found.automatic_verdict(0.5) is Verdict.MISSED


def test_an_incident_that_goes_on_is_not_over():
    """It counts for no rate, and for the mean with how long it has been: 2 days less 10 s."""
    found = figures(happened("a", recovered=None))
    assert found.open == ("a",)
    assert found.automatic_rate is None
    assert found.automatic_verdict(0.95) is Verdict.UNKNOWN
    assert found.mttr_at_least.seconds == 2 * 86400 - 10
    assert found.mttr_verdict(300) is Verdict.MISSED


def test_no_incident_proves_nothing_about_recovery():
    """No figure, and neither met nor missed."""
    found = figures()
    assert (found.mttd.seconds, found.mttr.seconds, found.automatic_rate) == (None, None, None)
    assert found.mttr_verdict(300) is found.automatic_verdict(0.95) is Verdict.UNKNOWN


def test_nineteen_of_twenty_is_not_more_than_95_percent():
    """Above 95 % is what is promised; 19 / 20 is 95 % exactly."""
    names = [f"i{n:02}" for n in range(20)]
    nineteen = figures(*(happened(name, automatic=name != "i07") for name in names))
    assert nineteen.automatic_rate == 0.95
    assert nineteen.automatic_verdict(0.95) is Verdict.MISSED
    assert figures(*(happened(name) for name in names)).automatic_verdict(0.95) is Verdict.MET


def test_an_incident_belongs_to_the_period_in_which_it_was_found():
    """Half-open: found at the very end, it belongs to the next one."""
    edge = happened("edge", began=-100, detected=0)
    assert recovery_of([edge], T0, END, NOW).incidents == (edge,)
    assert recovery_of([edge], START, T0, NOW).incidents == ()


def test_a_clock_that_was_put_back_makes_no_negative_times():
    """Found before it began, recovered before it was found: nothing, and not less."""
    odd = happened("odd", began=50, detected=20, recovered=10)
    assert (odd.detection, odd.recovery) == (timedelta(0), timedelta(0))


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ((), False), (("health.not_ok",), False), (("health.not_ok", "guard.open"), True), (("secret.weak",), True),
        (("payload.body_accepted",), True), (("integrity.chain",), True), (("guardian.asleep",), False),
    ],
)  # fmt: skip
def test_what_is_about_security(codes, wanted):
    """Who gets in, what is let in, and what nobody may change."""
    assert is_security(codes) is wanted


def test_no_security_incident_is_only_good_where_somebody_looked():
    """None found in a month without observations is unknown."""
    assert security_verdict(0, 0, observed=False) is Verdict.UNKNOWN
    assert security_verdict(0, 0, observed=True) is Verdict.MET
    assert security_verdict(1, 0, observed=False) is Verdict.MISSED


offsets = st.one_of(st.none(), st.integers(-100_000, 100_000))


@given(
    st.lists(
        st.builds(happened, st.sampled_from("abcdefgh"), began=st.integers(-99, 99), detected=st.integers(-90_000, 90_000),
                  recovered=offsets, ended=offsets),
        max_size=8, unique_by=lambda one: one.id,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_order_and_repetition_change_no_figure(incidents, chance):
    """An incident that is read twice counts once, and every incident of the period is somewhere."""
    again = [*incidents, *incidents[:3]]
    chance.shuffle(again)
    found = figures(*incidents)
    assert figures(*again) == found
    assert set(found.ended) | set(found.open) == {one.id for one in found.incidents}
    assert set(found.automatic) <= set(found.ended)
    assert found.automatic_rate is None or 0 <= found.automatic_rate <= 1
    if found.mttr.seconds is not None:
        assert found.mttr.seconds >= 0
