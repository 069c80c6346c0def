"""Windows in the store: who asked and approved is proven by keys, when it is recorded and whenever it is used."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from ops_core.control import schema
from ops_core.control.model import Channel, Permit, WindowStatus, window
from ops_core.control.people import (
    add_operator,
    approve_window,
    keys_problem,
    request_window,
    revoke_operator,
    revoke_window,
    sign,
)
from ops_core.control.problems import StoreConflict
from ops_core.errors import Refused, UsageError

PERMIT = Permit(
    run_id="run-1",
    message_ids=("m1",),
    outbox_digest="b" * 64,
    allowlist_digest="a" * 64,
    channel=Channel.TELEGRAM_ONLY,
    destination="d" * 64,
)
NAMES = ("kim", "lee", "park", "choi")


@pytest.fixture
def plane(plane_anywhere):
    """The store lies in a file once, and once in a database."""
    return plane_anywhere


@pytest.fixture
def keys(plane, tmp_path):
    """The key files of four operators, on a plane that is released."""
    plane.release("all well")
    found = {name: tmp_path / f"{name}.pem" for name in NAMES}
    for name, path in found.items():
        add_operator(plane, name, key_file=path, scopes=["window", "approve"])
    return found


def requested(plane, **values):
    return request_window(
        plane, lambda _: PERMIT, **{"operator": "kim", "reason": "weekly", "duration_s": 3600, **values}
    ).window


def approved(plane, keys, name, key=None):
    digest = plane.state().window.permit_digest
    return approve_window(plane, operator=name, signature=sign(keys[key or name], digest), digest=digest).window


def problem(plane, one=None, now=None):
    with plane.snapshot() as found:
        return keys_problem(found, one or found.state.window, now or plane.clock.now())


def tickets(plane, journal):
    table = schema.ticket
    with plane.snapshot() as found:
        rows = found.execute(select(table.c.line).where(table.c.journal == journal).order_by(table.c.seq))
        return [json.loads(row.line) for row in rows]


def test_one_asks_and_two_others_open(plane, keys):
    """Requested, approved, active; each act with its audit row and its entry in the journal, in whose name it was."""
    one = requested(plane)
    assert (one.status, one.requested_by) == (WindowStatus.REQUESTED, "kim")
    assert approved(plane, keys, "lee").status is WindowStatus.REQUESTED
    assert "1 of 2 keys" in problem(plane)
    done = approved(plane, keys, "park")
    assert done.status is WindowStatus.ACTIVE
    assert problem(plane) == ""
    acts = [(row.action, row.actor) for row in plane.audit_rows() if row.action.startswith("window.")]
    assert acts == [("window.requested", "kim"), ("window.approved", "lee"), ("window.approved", "park")]
    assert [(one["actor"], one["permit_digest"]) for one in tickets(plane, "requests")] == [("kim", done.permit_digest)]
    given = tickets(plane, "approvals")
    assert [(one["actor"], one["keys"], one["status"]) for one in given] == [
        ("lee", 1, "REQUESTED"),
        ("park", 2, "ACTIVE"),
    ]
    assert plane.verify_chain()


def test_the_digest_need_not_be_named_but_the_signature_decides(plane, keys):
    """A signature over this window, written in capitals, counts without the digest beside it."""
    digest = requested(plane).permit_digest
    assert approve_window(plane, operator="LEE", signature=sign(keys["lee"], digest).upper()).window.approvals


def test_a_signature_of_somebody_else_or_over_something_else_changes_nothing(plane, keys):
    """Another person's key, another digest, another window of the same content, garbage: refused and not recorded."""
    first = requested(plane)
    old = sign(keys["lee"], first.permit_digest)
    revoke_window(plane, "again", "kim")
    digest = requested(plane).permit_digest
    before = len(plane.audit_rows())
    for signature in (sign(keys["park"], digest), sign(keys["lee"], "0" * 64), old, "", "00" * 64, "é", "x" * 10_000):
        with pytest.raises(Refused, match="signature"):
            approve_window(plane, operator="lee", signature=signature, digest=digest)
    with pytest.raises(Refused, match="something else"):
        approve_window(plane, operator="lee", signature=old, digest=first.permit_digest)
    assert len(plane.audit_rows()) == before
    assert plane.state().window.approvals == ()
    assert tickets(plane, "approvals") == []


def test_the_requester_the_revoked_and_strangers_open_nothing(plane, keys):
    """Neither who asked, nor who was revoked, nor who was never added."""
    digest = requested(plane).permit_digest
    with pytest.raises(Refused, match="requested the window"):
        approved(plane, keys, "kim")
    revoke_operator(plane, "choi")
    with pytest.raises(Refused, match="revoked"):
        approved(plane, keys, "choi")
    with pytest.raises(Refused, match="no operator"):
        approve_window(plane, operator="nobody", signature=sign(keys["lee"], digest))
    approved(plane, keys, "lee")
    with pytest.raises(Refused, match="given a key already"):
        approved(plane, keys, "lee")
    for name in ("choi", "nobody"):
        with pytest.raises(Refused):
            requested(plane, operator=name)


def test_one_window_at_a_time_and_an_end_is_noted_before_the_next(plane, keys, clock):
    """A second request is refused to the millisecond; the one that ran out is EXPIRED in the audit, once."""
    first = requested(plane, duration_s=60)
    clock.sleep(59.999)
    with pytest.raises(Refused, match="still REQUESTED"):
        requested(plane, operator="lee")
    clock.sleep(0.001)
    second = requested(plane, operator="lee")
    assert (second.requested_by, second.id != first.id) == ("lee", True)
    rows = [row for row in plane.audit_rows() if row.action.startswith("window.")]
    assert [row.action for row in rows] == ["window.requested", "window.expired", "window.requested"]
    assert rows[1].data["state"]["window"]["id"] == first.id
    assert rows[1].data["state"]["window"]["status"] == "EXPIRED"


def test_a_clock_that_goes_back_opens_nothing(plane, keys, clock):
    """Before it was requested a window is shut, and a key that was given later than now proves nothing."""
    requested(plane)
    clock.sleep(10)
    approved(plane, keys, "lee")
    approved(plane, keys, "park")
    clock.sleep(-5)
    assert "given later than now" in problem(plane)
    clock.sleep(-5.001)
    assert not window.is_active(plane.state(), clock.now())
    with pytest.raises(Refused, match="no window is open"):
        revoke_window(plane, "r", "kim")
    assert plane.state().window.status is WindowStatus.EXPIRED


def test_while_stopped_nothing_is_requested_or_approved(plane, keys, store_path):
    """Neither by the stop in the store nor by the latch beside it; taking back is always allowed."""
    digest = requested(plane).permit_digest
    store_path.parent.mkdir(exist_ok=True)
    (store_path.parent / "EMERGENCY_STOP").touch()
    with pytest.raises(Refused, match="emergency stop"):
        approve_window(plane, operator="lee", signature=sign(keys["lee"], digest))
    assert revoke_window(plane, "stopped", "lee").window.status is WindowStatus.REVOKED
    with pytest.raises(Refused, match="emergency stop"):
        requested(plane)


@pytest.mark.parametrize(
    "values", [{"reason": ""}, {"reason": "a\nb"}, {"duration_s": 0}, {"duration_s": 8 * 3600 + 1}]
)
def test_a_mistake_in_a_request_is_told(plane, keys, values):
    """No reason, or a span that cannot be."""
    with pytest.raises(UsageError):
        requested(plane, **values)
    assert plane.state().window is None


def test_nothing_to_send_needs_no_window(plane, keys):
    """An empty outbox is refused."""
    with pytest.raises(Refused, match="nothing to send"):
        request_window(plane, lambda _: replace(PERMIT, message_ids=()), operator="kim", reason="r", duration_s=60)


def test_what_is_offered_may_not_change_meanwhile(plane, keys):
    """Looked up once to be shown and once to be recorded: if these differ, nothing is."""
    offers = iter([PERMIT, replace(PERMIT, message_ids=("m1", "m2"))])
    with pytest.raises(StoreConflict, match="changed meanwhile"):
        request_window(plane, lambda _: next(offers), operator="kim", reason="r", duration_s=60)
    assert plane.state().window is None
    assert tickets(plane, "requests") == []


@pytest.mark.parametrize("name", ["kim", "lee", "park"])
def test_revoking_one_of_the_three_makes_the_window_worthless(plane, keys, name):
    """Keys that stand are worth nothing once their operator, or who asked, is not in force."""
    requested(plane)
    approved(plane, keys, "lee")
    approved(plane, keys, "park")
    revoke_operator(plane, name)
    assert f"{name} was revoked" in problem(plane)


def test_every_part_of_a_window_is_proven_when_it_is_used(plane, keys):
    """A window with anything changed, or of another store, does not prove itself."""
    requested(plane)
    approved(plane, keys, "lee")
    one = approved(plane, keys, "park")
    lee, park = one.approvals
    changes = [
        {"id": "W-2"},
        {"reason": "other"},
        {"expires_at": one.expires_at.replace(year=2027)},
        {"requested_by": "choi"},
        {"permit": replace(one.permit, message_ids=("m1", "m2"))},
        {"permit_digest": "0" * 64},
        {"approvals": (lee,)},
        {"approvals": (lee, lee)},
        {"approvals": (lee, replace(lee, operator="choi"))},
        {"approvals": (lee, replace(park, operator="choi"))},
        {"approvals": (lee, replace(park, public_key="0" * 64))},
        {"approvals": (lee, replace(park, signature=lee.signature))},
        {"approvals": (lee, replace(park, signature=""))},
        {"approvals": (lee, replace(park, permit_digest="0" * 64))},
    ]
    for change in changes:
        assert problem(plane, replace(one, **change)), change
    forged = replace(one, permit=replace(one.permit, message_ids=("m1", "m2")))
    with plane.snapshot() as found:
        forged = replace(forged, permit_digest=window.permit_digest(forged, found.store_id))
    assert "signature" in problem(plane, forged)
    assert problem(plane) == ""


def test_an_operators_key_exchanged_in_the_table_proves_nothing(plane, keys):
    """Who writes another key into the table has not become that person."""
    requested(plane)
    approved(plane, keys, "lee")
    approved(plane, keys, "park")
    table = schema.operator
    with plane.transaction() as change:
        change.execute(update(table).where(table.c.name == "lee").values(public_key="0" * 64))
    assert "lee" in problem(plane)
