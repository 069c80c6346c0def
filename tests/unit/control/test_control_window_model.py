"""Windows, sender and lock-down as pure functions, and what a tampered record of them comes to."""

import copy
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_core.control import model
from ops_core.control.model import Channel, Permit, WindowStatus, live_fire, window
from ops_core.errors import Refused, UsageError

NOW = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
SECOND, MS = timedelta(seconds=1), timedelta(milliseconds=1)
STORE = "5" * 32
RELEASED = model.release(model.initial("kim", NOW), "all well", "kim", NOW)
PERMIT = Permit(
    run_id="run-1",
    message_ids=("m1", "m2"),
    outbox_digest="b" * 64,
    allowlist_digest="a" * 64,
    channel=Channel.TELEGRAM_ONLY,
    destination="d" * 64,
)


def key_of(person):
    return hashlib.sha256(person.encode()).hexdigest()


def signed(public_key, digest):
    """Stands for a signature: nobody else could have made it, and it fits this digest only."""
    return hashlib.sha512(f"{public_key} {digest}".encode()).hexdigest()


def requested(state=RELEASED, now=NOW, **changed):
    values = {
        "window_id": "W-1",
        "store_id": STORE,
        "requester": "kim",
        "requester_key": key_of("kim"),
        "reason": "weekly",
        "duration_s": 3600,
        "now": now,
    }
    return window.request_window(state, changed.pop("permit", PERMIT), **{**values, **changed})


def approved(state, person, now=NOW, **changed):
    digest = state.window.permit_digest
    values = {"operator": person, "public_key": key_of(person), "digest": digest, "now": now}
    return window.approve(state, signature=signed(key_of(person), digest), **{**values, **changed})


def active():
    return approved(approved(requested(), "lee"), "park")


def test_two_other_people_make_a_window_active_to_the_millisecond():
    """One key is not enough; it holds in [start, end), and a clock set back before the start finds it shut."""
    one = approved(requested(), "lee")
    assert window.window_status(one.window, NOW) is WindowStatus.REQUESTED
    state = active()
    for at, wanted in (
        (NOW - MS, WindowStatus.EXPIRED),
        (NOW, WindowStatus.ACTIVE),
        (NOW + 3600 * SECOND - MS, WindowStatus.ACTIVE),
        (NOW + 3600 * SECOND, WindowStatus.EXPIRED),
    ):
        assert window.window_status(state.window, at) is wanted
        assert window.is_active(state, at) == (wanted is WindowStatus.ACTIVE)
    assert [window.remaining_s(state.window, NOW + left * MS) for left in (0, 1, 3_599_000, 3_600_000)] == [
        3600,
        3599,
        1,
        0,
    ]


def test_the_requester_is_no_key_and_nobody_is_two():
    """Neither the requester, nor the same person twice, nor one key under two names, nor a third key."""
    state = requested()
    with pytest.raises(Refused, match="requested the window"):
        approved(state, "kim")
    with pytest.raises(Refused, match="requested the window"):
        approved(state, "lee", public_key=key_of("kim").upper())
    state = approved(state, "lee")
    with pytest.raises(Refused, match="has given a key already"):
        approved(state, "lee", public_key=key_of("other"))
    with pytest.raises(Refused, match="has given a key already"):
        approved(state, "other", public_key=key_of("lee"))
    with pytest.raises(Refused, match="both keys are given"):
        approved(active(), "choi")


@pytest.mark.parametrize("name", ["", " ", "lee ", "l\nee", "x" * 101])
def test_a_name_that_is_none_is_refused(name):
    """A blank more does not make another person of somebody."""
    with pytest.raises(UsageError, match="nobody with a key"):
        approved(requested(), "lee", operator=name)
    with pytest.raises(UsageError, match="nobody with a key"):
        requested(requester=name)


def test_nothing_is_requested_or_approved_while_stopped():
    """A stop holds for permissions to come as well."""
    stopped = model.engage(requested(), "fire", "lee", NOW)
    with pytest.raises(Refused, match="emergency stop"):
        approved(stopped, "lee")
    with pytest.raises(Refused, match="emergency stop"):
        requested(model.engage(RELEASED, "fire", "lee", NOW))


@pytest.mark.parametrize("count", [0, model.OUTBOX_MAX + 1])
def test_a_window_permits_something_and_not_too_much(count):
    """What could not be read back is never recorded: no messages, or more than a record may hold."""
    with pytest.raises(Refused):
        requested(permit=replace(PERMIT, message_ids=tuple(map(str, range(count)))))


def test_another_digest_is_not_approved():
    """What was looked at is what is approved: a window with one message more is another one."""
    seen = requested().window.permit_digest
    other = requested(permit=replace(PERMIT, message_ids=("m1", "m2", "m3")))
    with pytest.raises(Refused, match="something else"):
        approved(other, "lee", digest=seen)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "W-2"},
        {"requested_by": "lee"},
        {"requester_key": "c" * 64},
        {"requested_at": NOW + MS},
        {"expires_at": NOW + 3601 * SECOND},
        {"reason": "other"},
        *(
            {"permit": replace(PERMIT, **part)}
            for part in (
                {"run_id": "run-2"},
                {"message_ids": ("m2", "m1")},
                {"outbox_digest": "c" * 64},
                {"allowlist_digest": ""},
                {"channel": Channel.CONSOLE_ONLY},
                {"destination": ""},
            )
        ),
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_digest_covers_everything_that_is_permitted(changed):
    """Whatever is changed about a window, its digest is another one; the approvals do not enter it."""
    one = requested().window
    assert window.permit_digest(replace(one, **changed), STORE) != one.permit_digest
    assert window.permit_digest(active().window, STORE) == one.permit_digest


def test_a_window_that_ran_out_is_noted_once_and_never_comes_back():
    """After it was noted, a clock that goes back does not open it again."""
    state = active()
    late = NOW + 3600 * SECOND
    assert window.note_expiry(state, late - MS) is state
    noted = window.note_expiry(state, late)
    assert (noted.window.status, noted.window.closed_at) == (WindowStatus.EXPIRED, late)
    assert window.note_expiry(noted, late) is noted
    assert not window.is_active(noted, NOW)


def test_lock_down_never_refuses_and_can_be_read_back():
    """Whatever the state and the reason, nothing is open afterwards, and the record of it is believed."""
    sending = model.enable_sender(active(), "TELEGRAM_ONLY", "weekly", "kim", NOW)
    for state in (model.initial("kim", NOW), RELEASED, requested(), sending):
        for reason in ("", "interrupted", "x" * 700, "a\nb\x00"):
            after = live_fire.lock_down(state, reason, "", NOW + SECOND)
            assert not model.sender_on(after, NOW + SECOND)
            assert not window.is_open(after, NOW + SECOND)
            assert model.from_values(after.as_dict(), 0) == after


# -- tampering -----------------------------------------------------------------------------------------------------


def states():
    """One state of every kind that the transitions leave."""
    sending = model.enable_sender(active(), "TELEGRAM_ONLY", "weekly", "kim", NOW)
    sending = model.set_gate(sending, "REAL_ENABLED", "weekly", "kim", NOW, ttl_s=3600)
    return [
        model.initial("kim", NOW),
        RELEASED,
        requested(),
        approved(requested(), "lee"),
        sending,
        window.close(sending, WindowStatus.CONSUMED, "live fire", "ops", NOW + SECOND),
        window.revoke(sending, "no", "lee", NOW + SECOND),
        window.note_expiry(sending, NOW + 4000 * SECOND),
    ]


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*path, index)
            yield from leaves(inner, (*path, index))


CASES = [(number, path) for number, state in enumerate(states()) for path in leaves(state.as_dict())]
INSTANTS = [
    f"2026-01-05T{hour}Z" for hour in ("00:59:59.999", "01:00:00.001", "01:59:59.999", "02:00:00.000", "09:00:00.001")
]
VALUES = st.sampled_from(
    [
        None, True, False, 0, 1, "", " ", "x", " kim", "kim\n", "x" * 501, [], {}, ["m1"], ["m1", "m2", "m3"], [None],
        "2026-01-05T01:00:00Z", "2026-01-05T01:00:00.0005Z", "2026-01-05T10:00:00.000+09:00", "never", *INSTANTS,
        *model.Gate, *Channel, *WindowStatus, "kim", "lee", "park", "choi", *map(key_of, ("kim", "lee", "choi")),
        *("a" * 64, "f" * 128),
    ]
)  # fmt: skip
PROBED = [NOW + moved for moved in (-SECOND, -MS, 0 * MS, MS, SECOND, 3599 * SECOND, 3600 * SECOND, 7 * 3600 * SECOND)]


def proves_itself(one):
    """What `keys_problem` asks of a window, in other words."""
    keys = {one.requester_key: one.requested_by, **{key.public_key: key.operator for key in one.approvals}}
    return (
        all(public_key == key_of(person) for public_key, person in keys.items())
        and window.permit_digest(one, STORE) == one.permit_digest
        and all(key.signature == signed(key.public_key, one.permit_digest) for key in one.approvals)
    )


def tampered(told, path, value, how):
    told = copy.deepcopy(told)
    place = told
    for part in path[:-1]:
        place = place[part]
    last = path[-1]
    if how == "set":
        place[last] = value
    elif how == "remove":
        del place[last]
    elif how == "double" and isinstance(place, list):
        place.append(place[last])
    elif isinstance(place[last], list):
        place[last].reverse()
    return told


@settings(max_examples=3000, deadline=None)
@given(
    case=st.sampled_from(CASES), value=VALUES, how=st.sampled_from(["set", "set", "set", "remove", "double", "swap"])
)
def test_one_changed_field_is_refused_or_permits_nothing_new(case, value, how):
    """Any field set to anything, removed, doubled or swapped: not believed, or a state that permits no more silently."""
    number, path = case
    original = states()[number]
    told = tampered(original.as_dict(), path, value, how)
    try:
        read = model.from_values(json.loads(json.dumps(told)), 1)
    except ValueError:
        return
    assert {**told, **read.as_dict()} == told
    assert read.stopped_at is not None
    if read.gate is model.Gate.REAL_ENABLED:
        assert timedelta(0) < read.gate_until - read.gate_at <= timedelta(hours=8)
    if read.sender.enabled:
        assert timedelta(0) < read.sender.until - read.sender.at <= timedelta(hours=1)
    for at in PROBED:
        if window.is_active(read, at) and not window.is_active(original, at):
            assert not proves_itself(read.window)
        if window.is_active(read, at) and read.window.permit != original.window.permit:
            assert not proves_itself(read.window)


def test_the_tampering_has_something_to_find():
    """Green on nothing is a defect: untouched states are believed, and those with two keys prove themselves."""
    for state in states():
        assert model.from_values(json.loads(json.dumps(state.as_dict())), state.version) == state
        assert state.window is None or proves_itself(state.window)
    assert len(CASES) > 150


@pytest.mark.parametrize(
    "change",
    [
        {"status": "REQUESTED"},
        {"status": "CONSUMED"},
        {"closed_by": "kim"},
        {"closed_reason": "x"},
        {"closed_at": "2026-01-05T01:00:01.000Z"},
        {"approvals": None},
        {"approvals": []},
        {"expires_at": "2026-01-05T01:00:00.000Z"},
        {"requested_at": "2026-01-05T01:00:00Z"},
        {"more": "x"},
    ],
    ids="-".join,
)
def test_a_window_that_no_transition_leaves_is_damage(change):
    """An active window with a field that does not go with it is not believed."""
    told = active().as_dict()
    with pytest.raises(ValueError, match=r"."):
        model.from_values({**told, "window": {**told["window"], **change}}, 1)
