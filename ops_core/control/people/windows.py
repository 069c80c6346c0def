"""Windows as people ask for and approve them: the pure transitions, with proof of who it was.

An approval counts by its signature. It is verified in the transaction that records it, and once more whenever the
window is about to be used: against the window as it stands, this store, and the operators as they are then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ops_core.clock import isoformat, new_run_id
from ops_core.control import tickets
from ops_core.control.model import (
    KEYS_NEEDED,
    ControlState,
    Permit,
    RemediationPermit,
    Window,
    WindowStatus,
    window,
)
from ops_core.control.people.keys import signature_ok
from ops_core.control.people.names import fold_name
from ops_core.control.people.operators import known_operator
from ops_core.control.problems import StoreConflict
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import OpsError, Refused

REQUEST_TYPE = "REAL_ENABLE_WINDOW"
REQUESTED = "window.requested"
REQUESTS, APPROVALS = "requests", "approvals"


class _NothingToNoteError(Exception):
    """Takes a transaction back that would record nothing."""


def request_window(
    plane: ControlPlane,
    offer: Callable[[Transaction], Permit | RemediationPermit],
    *,
    operator: str,
    reason: str,
    duration_s: int,
) -> ControlState:
    """Open a window for what is offered now; it waits for its two keys.

    Args:
        plane: the control plane.
        offer: what is to be permitted, such as what would be sent, looked up in the store; asked again in the
            transaction that records it.
        operator: the name of who asks, known by a key or a token.
        reason: why; one line of at most 500 characters.
        duration_s: how long it stays open, in whole seconds, at most 8 hours.

    Raises:
        UsageError: no fit reason or duration.
        Refused: nobody in force asks, the stop is engaged, nothing is to be sent, or a window is open.
        StoreConflict: what would be sent changed meanwhile.
        StoreUnusable: the store cannot be changed.
    """
    name = fold_name(operator)
    note_expiry(plane)
    with plane.snapshot() as found:
        asker, permit, store_id = known_operator(found, name), offer(found), found.store_id
    window_id = "W-" + new_run_id(plane.clock.now())
    asked: list[Window] = []

    def transition(state: ControlState, now: datetime) -> ControlState:
        after = window.request_window(
            state,
            permit,
            window_id=window_id,
            store_id=store_id,
            requester=asker.name,
            requester_key=asker.public_key,
            reason=reason,
            duration_s=duration_s,
            now=now,
        )
        asked.append(_of(after))
        return after

    def within(change: Transaction) -> None:
        if known_operator(change, name) != asker or offer(change) != permit or change.store_id != store_id:
            raise StoreConflict("what would be sent changed meanwhile", next_step="look again, then ask again")
        _ticket(change, REQUESTS, asked[-1], asked[-1].requested_at, asker.name, reason=asked[-1].reason)

    return plane.change(REQUESTED, transition, actor=asker.name, detail={"window": window_id}, within=within)


def approve_window(plane: ControlPlane, *, operator: str, signature: str, digest: str | None = None) -> ControlState:
    """Give one of the two keys of the open window.

    Args:
        plane: the control plane.
        operator: the name of whose signature it is.
        signature: over the window's permit digest, 128 hexadecimal digits.
        digest: what was looked at; the open window's unless given. The signature decides in either case.

    Raises:
        Refused: no window is open, it permits something else, the person may not approve it, or the signature is not
            theirs; nothing was changed.
        StoreUnusable: the store cannot be changed.
    """
    name, signature = fold_name(operator), signature.strip().lower()
    with plane.snapshot() as found:
        person = known_operator(found, name)
    given: list[Window] = []

    def transition(state: ControlState, now: datetime) -> ControlState:
        shown = digest if digest is not None or state.window is None else state.window.permit_digest
        after = window.approve(
            state,
            operator=person.name,
            public_key=person.public_key,
            digest=shown or "",
            signature=signature,
            now=now,
        )
        given.append(_of(after))
        return after

    def within(change: Transaction) -> None:
        one = given[-1]
        known = known_operator(change, name)
        problem = _digest_problem(change, one)
        if problem:
            raise Refused(problem, where=f"window {one.id}", next_step=window.REVOKE_COMMAND)
        if known != person or not signature_ok(known.public_key, one.permit_digest, signature):
            raise Refused(
                f"the signature is not one of {name} over what the window permits",
                where=f"window {one.id}",
                allowed=f"an Ed25519 signature over the digest {one.permit_digest}",
                next_step=window.APPROVE_COMMAND,
            )
        _ticket(change, APPROVALS, one, one.approvals[-1].at, name, keys=len(one.approvals), signature=signature)

    return plane.change("window.approved", transition, actor=name, within=within)


def revoke_window(plane: ControlPlane, reason: str, actor: str | None = None) -> ControlState:
    """Take the open window back. Anybody who may change the store may do so.

    Raises:
        UsageError: no fit reason.
        Refused: no window is open.
        StoreUnusable: the store cannot be changed.
    """
    who = plane.actor if actor is None else actor
    note_expiry(plane)
    return plane.change("window.revoked", lambda state, now: window.revoke(state, reason, who, now), actor=who)


def note_expiry(plane: ControlPlane) -> None:
    """Record a window that ran out as EXPIRED, so that the audit tells its end before the next one begins.

    Raises:
        StoreUnusable: the store cannot be changed.
    """

    def transition(state: ControlState, now: datetime) -> ControlState:
        after = window.note_expiry(state, now)
        if after is state:
            raise _NothingToNoteError
        return after

    try:
        plane.change("window.expired", transition)
    except _NothingToNoteError:
        return


def keys_problem(found: Transaction, one: Window, now: datetime) -> str:
    """Why the keys of a window do not prove themselves at `now`; empty where they do.

    Everything is judged anew: the digest from the window itself and this store, both signatures, and that requester
    and approvers are three operators in force, with the keys that are recorded here. A clock that was put back since
    the window was requested proves nothing: what had run out by then would hold again.
    """
    problem = _digest_problem(found, one)
    if problem:
        return problem
    people = [(one.requested_by, one.requester_key), *((key.operator, key.public_key) for key in one.approvals)]
    if len(one.approvals) != KEYS_NEEDED:
        return f"{len(one.approvals)} of {KEYS_NEEDED} keys are given"
    if any(len(set(column)) != len(people) for column in zip(*people, strict=True)):
        return "one person stands for two"
    for name, public_key in people:
        try:
            if known_operator(found, name).public_key != public_key:
                return f"the key is not that of {name}"
        except OpsError as error:
            return error.what
    for key in one.approvals:
        if key.at > now:
            return f"the key of {key.operator} was given later than now"
        if key.permit_digest != one.permit_digest or not signature_ok(key.public_key, one.permit_digest, key.signature):
            return f"the signature of {key.operator} is not over what the window permits"
    return _clock_problem(found, now)


def _digest_problem(found: Transaction, one: Window) -> str:
    if window.permit_digest(one, found.store_id) == one.permit_digest:
        return ""
    return "the window's digest is not the one of what it permits"


def _clock_problem(found: Transaction, now: datetime) -> str:
    """Why `now` cannot be believed: something is recorded as later, since the latest window was requested."""
    from sqlalchemy import func, select

    from ops_core.control import schema

    audit = schema.audit
    requested = found.execute(select(func.max(audit.c.seq)).where(audit.c.action == REQUESTED)).scalar()
    newest = found.execute(select(func.max(audit.c.at)).where(audit.c.seq >= (requested or 0))).scalar()
    if newest is None or str(newest) <= isoformat(now):
        return ""
    return f"the clock was put back: {newest} is recorded, and now it is {isoformat(now)}"


def _of(state: ControlState) -> Window:
    if state.window is None:
        raise ValueError("there is no window")
    return state.window


def _ticket(change: Transaction, journal: str, one: Window, at: datetime, actor: str, **fields: object) -> None:
    tickets.record(
        change,
        journal,
        at=at,
        actor=actor,
        request_type=REQUEST_TYPE,
        window=one.id,
        status=(WindowStatus.REQUESTED if journal == REQUESTS else one.status).value,
        permit_digest=one.permit_digest,
        **fields,
    )
