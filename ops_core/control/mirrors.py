"""Mirrors: the control state, tickets and receipts as files, for people and scripts; nothing ever reads them back.

`export` brings them up to date after a change. It never fails the act that it follows: what could not be written stays
pending, is told, and is written by the next export. What somebody else changed is recorded first, then put right.

Exporting takes three steps, so that a crash never looks like somebody's doing: note which contents each mirror may have
(the one found, the new one), write the files, note that only the new one is right.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert

from ops_core.clock import isoformat
from ops_core.config import Settings
from ops_core.control import logs, schema
from ops_core.control.integrity import looking
from ops_core.control.integrity.comparing import NOTHING, TAMPERED, Judgement, known_of, noted_with
from ops_core.control.integrity.locking import alone
from ops_core.control.integrity.planning import Plan, plan, right_digest
from ops_core.control.integrity.shown import SNAPSHOTS_DEFAULT, SNAPSHOTS_MAX, place
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import OpsError

TAMPERED_ACTION = "mirror.tampered"
TOLD_MAX = 20
FINDER = "ops"  # who found it; who did it is not known
_here = threading.local()


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export did: the mirrors that it wrote, those it had to put right, and what it could not do."""

    written: tuple[str, ...] = ()
    tampered: tuple[Judgement, ...] = ()
    problems: tuple[str, ...] = ()


def export(plane: ControlPlane, settings: Settings, *, whole: bool = False) -> Exported:
    """Bring the mirrors up to date. Never raises: what could not be done is told, in the result and in the log.

    Args:
        plane: the control plane that they show.
        settings: where they lie.
        whole: look at the snapshots of all runs, not only at the newest ones.
    """
    if getattr(_here, "exporting", False):
        # Our own notes are changes of the store too; they show in no mirror.
        return Exported()
    _here.exporting = True
    try:
        done = _export(plane, settings, SNAPSHOTS_MAX if whole else SNAPSHOTS_DEFAULT)
    except Exception as error:  # noqa: BLE001 — a damaged store may fail in any way; the act that we follow has succeeded
        done = Exported(problems=(f"the mirrors could not be exported: {_what(error)}",))
    finally:
        _here.exporting = False
    for problem in done.problems:
        logs.write(settings, plane.clock.now(), "mirrors.pending", problem=problem)
    return done


def _export(plane: ControlPlane, settings: Settings, snapshots: int) -> Exported:
    with alone(settings.control_dir, plane.clock) as held:
        if not held:
            return Exported(problems=("another process has been exporting the mirrors for too long",))
        with plane.snapshot() as tx:
            due = plan(tx, settings, snapshots=snapshots).to_write or logs.due(tx, plane.clock.now())
        if not due:
            return Exported()
        with plane.transaction() as tx:
            now = plane.clock.now()
            # Looked at again: since the snapshot somebody may have changed the state, and shows it after us.
            work = plan(tx, settings, snapshots=snapshots)
            _record(tx, work, now)
            for path, digest in work.inherited.items():
                _note(tx, path, digest, pending=0, at=isoformat(now))
            for one in work.to_write:
                _note_intent(tx, work, one)
            logs.mark(tx, settings, now)
            logs.follow(tx, settings)
        written, problems = _write(settings, work)
        if written:
            with plane.transaction() as tx:
                for path in written:
                    _note(tx, path, right_digest(work.wanted[path]), pending=0, at=isoformat(plane.clock.now()))
        return Exported(written=written, tampered=work.tampered, problems=problems)


def _record(tx: Transaction, work: Plan, now: datetime) -> None:
    for one in work.tampered[:TOLD_MAX]:
        tx.audit(at=now, actor=FINDER, action=TAMPERED_ACTION, subject=one.path, detail=_detail(one))
    more = len(work.tampered) - TOLD_MAX
    if more > 0:
        tx.audit(at=now, actor=FINDER, action=TAMPERED_ACTION, subject=f"{more} more", detail={"what": "as before"})


def _detail(one: Judgement) -> dict[str, object]:
    return {
        "what": one.what,
        "first_difference": one.first_difference,
        "digest": one.digest,
        "changed_at": one.changed_at,
        "owner": one.owner,
    }


def _note_intent(tx: Transaction, work: Plan, one: Judgement) -> None:
    if one.path not in work.wanted:
        return
    noted, at = work.notes.get(one.path, (NOTHING, ""))
    # What was found is told by now: should we be killed before it is replaced, it is not told again.
    known = [*known_of(noted), one.digest or NOTHING]
    _note(tx, one.path, noted_with(known, right_digest(work.wanted[one.path])), pending=1, at=at)


def _note(tx: Transaction, path: str, digest: str, *, pending: int, at: str) -> None:
    table = schema.mirror
    tx.execute(delete(table).where(table.c.path == path))
    tx.execute(insert(table).values(path=path, digest=digest, pending=pending, exported_at=at))


def _write(settings: Settings, work: Plan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    written, problems = [], []
    for one in work.to_write:
        root, below = place(settings, one.path)
        try:
            if one.path not in work.wanted:
                looking.set_aside(root, below)
                continue
            if one.digest != right_digest(work.wanted[one.path]) or one.state == TAMPERED:
                looking.put(root, below, work.wanted[one.path].data)
            written.append(one.path)
        except (OSError, ValueError) as error:
            problems.append(f"{looking.path_of(root, below)} could not be written: {_what(error)}")
    return tuple(written), tuple(problems)


def _what(error: Exception) -> str:
    if isinstance(error, OpsError):
        return error.what
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let changes of this thread be exported later: for many changes in a row, followed by one `export`."""
    before = getattr(_here, "exporting", False)
    _here.exporting = True
    try:
        yield
    finally:
        _here.exporting = before
