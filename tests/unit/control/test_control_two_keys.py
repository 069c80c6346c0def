"""A window for one remediation: what its digest covers, when it permits, and that a live fire cannot use it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.control.model import (
    Approval,
    Channel,
    ControlState,
    Permit,
    RemediationPermit,
    Window,
    WindowStatus,
    from_values,
    initial,
    release,
    two_keys,
    window,
)
from ops_core.control.model.live_fire import external_send
from ops_core.errors import Refused, UsageError

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PERMIT = RemediationPermit(remediation="rollback_schema", target="ingest", plan_digest="a" * 64)
MESSAGES = Permit(
    run_id="r",
    message_ids=("m",),
    outbox_digest="b" * 64,
    allowlist_digest="",
    channel=Channel.CONSOLE_ONLY,
    destination="",
)


def requested(permit=PERMIT, **changes):
    fields = {"window_id": "W-1", "store_id": "s", "requester": "kim", "requester_key": "k1", "reason": "bad"}
    state = release(initial("kim", NOW), "well", "kim", NOW)
    return window.request_window(state, permit, **{**fields, "duration_s": 3600, "now": NOW, **changes})


def active(permit=PERMIT):
    state = requested(permit)
    for name in ("lee", "park"):
        state = window.approve(
            state, operator=name, public_key=f"key of {name}", digest=state.window.permit_digest, signature="s", now=NOW
        )
    return state


def problem(state, permit=PERMIT, proof="", at=NOW):
    return two_keys.two_keys_problem(state, permit, proof, at)


def test_a_window_for_a_plan_is_recorded_and_read_back():
    """As JSON and back, to the letter; an older store's window for messages reads as before."""
    for permit in (PERMIT, MESSAGES):
        state = active(permit)
        assert from_values(state.as_dict(), state.version).window == state.window
    damaged = {**PERMIT.as_dict(), "target": 1}
    values = active().as_dict()
    with pytest.raises(ValueError, match="target"):
        from_values({**values, "window": {**values["window"], "permit": damaged}}, 1)


def test_the_digest_covers_the_plan_and_says_what_it_is_for():
    """Another remediation, target or plan is another digest; the purpose keeps it from being taken for messages."""
    one = requested().window
    digests = {window.permit_digest(one, "s"), window.permit_digest(one, "other")}
    for changed in ({"remediation": "x"}, {"target": "x"}, {"plan_digest": "b" * 64}):
        digests.add(window.permit_digest(replace(one, permit=replace(PERMIT, **changed)), "s"))
    assert len(digests) == 5
    assert '"purpose":"remediation"' in window.permit_text(one, "s")
    assert '"purpose":"live_fire"' in window.permit_text(requested(MESSAGES).window, "s")


def test_it_permits_while_it_is_active_and_once():
    """From the second key until it is used, ends or is revoked."""
    assert problem(ControlState()) == "no window was requested for it"
    assert "0 of 2 keys" in problem(requested())
    assert problem(active()) == ""
    used = two_keys.consume(active(), PERMIT, "", "incident 1", "kim", NOW)
    assert (used.window.status, used.window.closed_reason) == (WindowStatus.CONSUMED, "incident 1")
    assert "CONSUMED" in problem(used)
    with pytest.raises(Refused, match="CONSUMED"):
        two_keys.consume(used, PERMIT, "", "incident 2", "kim", NOW)
    assert "REVOKED" in problem(window.revoke(active(), "no", "lee", NOW))
    assert "EXPIRED" in problem(active(), at=NOW + timedelta(hours=1))
    assert problem(active(), at=NOW + timedelta(hours=1, milliseconds=-1)) == ""


def test_a_refusal_names_what_is_missing_and_what_to_type():
    """A window that waits for keys needs keys; anything else needs a window."""
    with pytest.raises(Refused) as caught:
        two_keys.consume(requested(), PERMIT, "", "u", "kim", NOW)
    assert caught.value.next_step == "ops approve"
    with pytest.raises(Refused) as caught:
        two_keys.consume(active(), replace(PERMIT, plan_digest="b" * 64), "", "u", "kim", NOW)
    assert caught.value.next_step.startswith("ops window request --remediation rollback_schema --target ingest")
    assert "not the one that was approved" in caught.value.what
    assert "the signature is not his" in problem(active(), proof="the signature is not his")


def test_neither_kind_of_window_stands_in_for_the_other():
    """Messages cannot leave under a plan's window, and no plan is carried out under that of a live fire."""
    assert "is for a live fire" in problem(active(MESSAGES))
    state = replace(active(), stopped=False)
    assert external_send(state, NOW) == "FORBIDDEN"
    assert window.is_active(state, NOW)
    assert state.window.run_id is None


def test_a_window_for_a_plan_needs_all_that_any_window_needs():
    """A reason, a duration, nobody who approves their own, one open at a time."""
    for changes in ({"reason": " "}, {"duration_s": 0}):
        with pytest.raises(UsageError):
            requested(**changes)
    state = requested()
    with pytest.raises(Refused, match="requested the window"):
        window.approve(state, operator="KIM", public_key="x", digest=state.window.permit_digest, signature="", now=NOW)
    with pytest.raises(Refused, match="still REQUESTED"):
        window.request_window(
            state, MESSAGES, window_id="W-2", store_id="s", requester="lee", requester_key="k2", reason="r",
            duration_s=60, now=NOW,
        )  # fmt: skip


TEXTS = st.sampled_from(["rollback_schema", "ingest", "a" * 64, "b" * 64])
PERMITS = st.builds(RemediationPermit, remediation=TEXTS, target=TEXTS, plan_digest=TEXTS) | st.just(PERMIT)
STATES = st.sampled_from(WindowStatus)


@given(held=PERMITS, wanted=PERMITS, status=STATES, ahead_s=st.integers(-10, 7200), proof=st.sampled_from(["", "no"]))
def test_nothing_but_the_very_same_plan_in_an_active_window_is_permitted(held, wanted, status, ahead_s, proof):
    """For any window: permitted exactly where it is active now, proven, and for this plan of this target."""
    one = Window(
        id="W",
        status=status,
        requested_by="kim",
        requester_key="k",
        requested_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        reason="r",
        permit=held,
        permit_digest="d",
        approvals=(Approval(operator="a", public_key="b", permit_digest="d", signature="", at=NOW),) * 2,
    )
    at = NOW + timedelta(seconds=ahead_s)
    permitted = problem(replace(initial("kim", NOW), window=one), wanted, proof, at) == ""
    assert permitted is (status is WindowStatus.ACTIVE and 0 <= ahead_s < 3600 and held == wanted and not proof)
