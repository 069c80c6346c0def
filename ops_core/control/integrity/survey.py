"""One look at everything that somebody could have changed behind the program's back. Changes nothing.

Looking takes no lock. What looks wrong is looked at again in a second snapshot, and counts only if nothing was exported
or accepted in between: a file that an exporter was just writing is nobody's doing.
"""

from __future__ import annotations

import hashlib
import platform
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control import checkpoint, contracts, files, logs, mirrors, schema, tickets
from ops_core.control.audit import AuditRow
from ops_core.control.integrity import looking
from ops_core.control.integrity.comparing import PENDING
from ops_core.control.integrity.planning import plan
from ops_core.control.integrity.shown import GATE, PREFLIGHT, SNAPSHOTS_MAX, STOP, TICKETS
from ops_core.control.location import location_of
from ops_core.control.model import effective_gate, why_stopped
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import CannotLook, OpsError
from ops_core.evidence import Breach, IntegrityEvidence

LOOKED_AT = "integrity.accepted"
FIRE_BLOCKED = "live_fire.blocked"
CYCLE_ENDED = "cycle.ended"
NOT_PERMITTED = frozenset({"ALLOWLIST_VIOLATION", "WINDOW_NOT_ACTIVE"})
BREACHES_MAX = 200


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What one snapshot showed: each breach with what it depends on, so that two looks can be compared."""

    now: dict[Breach, object]
    past: tuple[Breach, ...] = ()
    pending: tuple[str, ...] = ()
    rows: int = 0
    head: str = ""
    effect: str = "a history that does not prove itself counts for nothing"
    accepted_at: str = ""


def read_integrity(settings: Settings, clock: Clock) -> IntegrityEvidence:
    """What was changed behind the program's back, and what was tried without permission, since the last accepted look.

    Raises:
        CannotLook: the store is missing or unusable, so there is nothing to compare with.
    """
    try:
        plane = ControlPlane(location_of(settings), clock)
        first = _look(plane, settings)
        suspected = set(first.now)
        if suspected:
            second = _look(plane, settings)
            # What both saw, and what nobody exported or accepted meanwhile.
            suspected = {one for one, why in first.now.items() if second.now.get(one, None) == why}
            first = second
    except OpsError as error:
        raise CannotLook(error.what, where=error.where, next_step=error.next_step) from None
    breaches = sorted({*suspected, *first.past}, key=lambda one: (one.put_right, one.area, one.where, one.at))
    return IntegrityEvidence(
        store=location_of(settings).shown,
        audit_rows=first.rows,
        head_hash=first.head,
        effect=first.effect,
        breaches=tuple(breaches[:BREACHES_MAX]),
        pending=first.pending[:BREACHES_MAX],
        accepted_at=first.accepted_at,
    )


def _look(plane: ControlPlane, settings: Settings) -> _Look:
    with plane.snapshot() as tx:
        try:
            tx.verify_chain()
        except OpsError as error:
            # What does not prove itself proves nothing else.
            return _Look(now={Breach(area="chain", where="table audit", what=error.what): ""})
        rows = tx.audit_rows()
        work = plan(tx, settings, snapshots=SNAPSHOTS_MAX)
        now: dict[Breach, object] = {
            Breach(
                area=area_of(one.path),
                where=looking.printable(one.path),
                what=f"{one.what} ({one.first_difference})" if one.first_difference else one.what,
                at=one.changed_at,
                by=owner_name(one.owner),
            ): work.notes.get(one.path)
            for one in work.tampered
        }
        for log in logs.judged(tx, settings):
            now[
                Breach(
                    area="logs", where=f"logs/{log.path}", what=log.what, at=log.changed_at, by=owner_name(log.owner)
                )
            ] = ""
        for breach in (*_of_contracts(tx, settings), *_of_store(tx, settings, rows)):
            now[breach] = ""
        since = max((row.seq for row in rows if row.action == LOOKED_AT), default=0)
        state = tx.state
        stopped = why_stopped(state) or ("the latch is there" if files.read_latch(settings.control_store) else "")
        gate, stop = effective_gate(state, plane.clock.now()), "engaged" if stopped else "released"
        return _Look(
            now=now,
            past=tuple(_recorded(row for row in rows if row.seq > since)),
            pending=tuple(one.path for one in work.judgements if one.state == PENDING),
            rows=len(rows),
            head=tx.head[1],
            effect=f"what counts is the store, which says: emergency stop {stop}, gate {gate}",
            accepted_at=rows[since - 1].at if since else "",
        )


def _of_contracts(tx: Transaction, settings: Settings) -> Iterator[Breach]:
    try:
        differing = contracts.differences(tx, settings)
        unaccepted = contracts.accepted(tx) is None
    except ValueError as error:
        yield Breach(area="contracts", where="table contract", what=str(error))
        return
    if unaccepted:
        yield Breach(area="contracts", where=str(settings.contracts_dir), what="nobody has accepted the contracts yet")
        return
    for one in differing:
        yield Breach(
            area="contracts",
            where=looking.printable(str(settings.contracts_dir / one.name)),
            what=one.explain(),
            at=one.found.changed_at,
            by=owner_name(one.found.owner),
        )


def _of_store(tx: Transaction, settings: Settings, rows: Sequence[AuditRow]) -> Iterator[Breach]:
    """What does not prove itself within the store, beyond what opening it verifies."""
    if problem := tickets.problem(tx, rows):
        yield Breach(area="tickets", where="table ticket", what=problem)
    yield from _of_receipts(tx, rows)
    path = checkpoint.key_path(settings)
    known = checkpoint.recorded_keys(tx)
    try:
        if known and checkpoint.load_key(path).public not in known:
            yield Breach(area="chain", where=str(path), what="the host's key is not one that was recorded")
    except OpsError as error:
        if platform.node() in known.values():
            yield Breach(area="chain", where=str(path), what=error.what)


def _of_receipts(tx: Transaction, rows: Sequence[AuditRow]) -> Iterator[Breach]:
    digests: dict[tuple[str, str], str] = {}
    for row in rows:
        proof = row.data.get("receipt_digest")
        if isinstance(proof, str):
            digests[row.action.partition(".")[0], row.subject] = proof
    for table, kind in ((schema.fire, "live_fire"), (schema.cycle_run, "cycle")):
        wanted = select(table.c.id, table.c.receipt).where(table.c.ended_at.is_not(None))
        for one, receipt in map(tuple, tx.execute(wanted).all()):
            if digests.get((kind, str(one))) != hashlib.sha256(str(receipt).encode("utf-8", "replace")).hexdigest():
                yield Breach(
                    area="chain", where=f"table {table.name}", what=f"the receipt of {one} is not the one recorded"
                )


def _recorded(rows: Iterator[AuditRow]) -> Iterator[Breach]:
    """What earlier looks found and put right, and what was tried without permission."""
    for row in rows:
        data = row.data
        if row.action == mirrors.TAMPERED_ACTION:
            difference = data.get("first_difference")
            what = f"{data.get('what')} ({difference})" if difference else str(data.get("what"))
            yield Breach(area=area_of(row.subject), where=row.subject, what=what, **_known(row), put_right=True)
        elif row.action == logs.TAMPERED_ACTION:
            yield Breach(
                area="logs", where=f"logs/{row.subject}", what=str(data.get("what")), **_known(row), put_right=True
            )
        elif row.action == FIRE_BLOCKED and "window_active" in (data.get("failing") or ()):
            failing = ", ".join(str(one) for one in data["failing"])
            yield Breach(
                area="real", where=f"live fire {row.subject}", what=f"refused: {failing}", at=row.at, by=row.actor
            )
        elif row.action == CYCLE_ENDED and data.get("result") in NOT_PERMITTED:
            yield Breach(
                area="real", where=f"cycle {row.subject}", what=f"refused: {data['result']}", at=row.at, by=row.actor
            )


def _known(row: AuditRow) -> dict[str, str]:
    owner = row.data.get("owner")
    return {
        "at": str(row.data.get("changed_at") or f"before {row.at}"),
        "by": owner_name(owner) if type(owner) is int else "",
    }


def area_of(path: str) -> str:
    """In which area a mirror lies."""
    if path == GATE:
        return "gate_mirror"
    if path == STOP:
        return "stop_mirror"
    return "tickets" if path.startswith((f"{TICKETS}/", f"{PREFLIGHT}/")) else "mirrors"


def owner_name(owner: int) -> str:
    """The user of that id; empty where it is not known."""
    if owner < 0:
        return ""
    try:
        return f"the owner {pwd.getpwuid(owner).pw_name}"
    except (KeyError, OverflowError):
        return f"the owner {owner}"
