"""How the hand-off of this host stands: what is in force and how old it is, what is kept, what was refused, what to do.

Read from the record and proven from the disk; nothing is changed, and no remote is asked.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from ops_core.clock import Clock, isoformat
from ops_core.config import SecretMissing, Settings, read_secret
from ops_core.control import model
from ops_core.control.service import ControlPlane
from ops_core.errors import UsageError
from ops_core.handoff import installed, receipts
from ops_core.handoff.installed import InForce
from ops_core.handoff.signing import public_key_of

PULL, ROLLBACK = "ops handoff pull", "ops handoff rollback"


class Standing(StrEnum):
    """What the bundle in force is worth."""

    FRESH = "FRESH"
    STALE = "STALE"
    DAMAGED = "DAMAGED"
    NONE = "NONE"


def standing(settings: Settings, plane: ControlPlane, clock: Clock) -> dict[str, Any]:
    """How it stands, as JSON values; the record of bundles that were put in force, the newest first, is bounded.

    Raises:
        StoreUnusable: the store cannot be read.
    """
    now = clock.now()
    with plane.snapshot() as found:
        here = installed.in_force(settings, found)
        records = receipts.put_in_force(found)
        held = receipts.held_back(found)
        latest = {
            "last_pull": receipts.latest_pull(found),
            "last_publish": receipts.latest_publish(found),
            "last_refusal": receipts.latest_refusal(found),
        }
        unrecorded = receipts.armed_open(found) is not None
    what = _what(here, fresh=here is not None and here.is_fresh(now))
    lying = set(installed.kept(settings))
    kept = {one.bundle_id: one for one in records if one.bundle_id in lying}
    stopped = model.why_stopped(plane.state())
    return {
        "at": isoformat(now),
        "role": settings.role,
        "producer": settings.handoff.producer,
        "public_key": _public_key(settings),
        "standing": what.value,
        "in_force": None if here is None else _told(here, records),
        "kept": [
            {"bundle_id": one.bundle_id, "sequence": one.sequence, "producer": one.producer, "since": one.at}
            for one in kept.values()
        ],
        "held_back": sorted(held),
        "unrecorded": unrecorded,
        **latest,
        "stopped": stopped,
        "next": _next(what, settings, stopped),
    }


def _what(here: InForce | None, *, fresh: bool) -> Standing:
    if here is None:
        return Standing.NONE
    if here.problem:
        return Standing.DAMAGED
    return Standing.FRESH if fresh else Standing.STALE


def _told(here: InForce, records: tuple[receipts.Recorded, ...]) -> dict[str, Any]:
    record = records[0] if records and records[0].bundle_id == here.bundle_id else None
    manifest = here.manifest
    return {
        "bundle_id": here.bundle_id,
        "path": str(here.path),
        "problem": here.problem,
        "code": None if here.code is None else here.code.value,
        "since": here.since,
        "run_id": here.run_id,
        "commit": here.commit,
        "sequence": manifest.sequence if manifest else record.sequence if record else None,
        "producer": manifest.producer if manifest else record.producer if record else None,
        "created_at": manifest.created_at if manifest else None,
        "fresh_until": None if here.fresh_until is None else isoformat(here.fresh_until),
        "previous": record.previous if record else "",
    }


def _public_key(settings: Settings) -> str | None:
    name = settings.handoff.signing_key
    if not name:
        return None
    try:
        return public_key_of(read_secret(settings, name), where=name)
    except (SecretMissing, UsageError):
        return None


def _next(what: Standing, settings: Settings, stopped: str) -> str:
    if what is Standing.FRESH or not settings.handoff.producers:
        return ""
    if stopped:
        return f"{ROLLBACK} works while stopped; for the rest: ops estop status"
    if what is Standing.DAMAGED:
        return f"{PULL} brings it anew; where it is not on the branch any more: {ROLLBACK}"
    if what is Standing.STALE:
        return f"ops handoff publish on the producing host, then here: {PULL}"
    return PULL
