"""What each mirror has to hold: made from the store alone, so that the same records give the same bytes.

Nothing here depends on the time or on the head of the chain: a mirror is out of date only where what it shows has
changed. Its checkpoint is the audit row that last changed the control state.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from ops_core.config import Settings
from ops_core.control import schema, tickets
from ops_core.control.files import Latch
from ops_core.control.model import ControlState
from ops_core.control.model.texts import instant_text
from ops_core.control.store import Transaction

STATE, REPORTS = "state", "reports"
GATE = "state/execution_gate.json"
STOP = "state/emergency_stop.json"
SENDER = "state/real_sender_enable.json"
TICKETS = "state/tickets"
LATEST_CYCLE = "reports/ops/daily/ops_report_latest.json"
SNAPSHOTS = "reports/ops/daily/snapshots"
LATEST_FIRE = "reports/ops/push/live_fire/live_fire_latest.json"
PREFLIGHT = "reports/tickets/preflight"
SNAPSHOTS_DEFAULT = 50
SNAPSHOTS_MAX = 10_000
# Folders in which every file of that ending is ours.
OURS = {TICKETS: ".jsonl", SNAPSHOTS: ".json", PREFLIGHT: ".json"}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one mirror has to hold."""

    path: str
    data: bytes


def place(settings: Settings, path: str) -> tuple[Path, str]:
    """The folder that the operator named for a mirror, and the mirror's place below it."""
    word, _, below = path.partition("/")
    return (settings.state_dir if word == STATE else settings.reports_dir), below


def shown(tx: Transaction, latch: Latch | None, *, snapshots: int = SNAPSHOTS_DEFAULT) -> dict[str, Shown]:
    """Every mirror by its path, with what it has to hold according to the store at this instant.

    Args:
        tx: the store.
        latch: the stop beside the store, if it is there.
        snapshots: how many of the newest runs to show one by one.
    """
    found = dict(_control(tx, latch))
    found.update(_tickets(tx))
    found.update(_cycles(tx, snapshots))
    fire = schema.fire
    wanted = (
        select(fire.c.receipt).where(fire.c.ended_at.is_not(None)).order_by(fire.c.begun_at.desc(), fire.c.id.desc())
    )
    receipt = tx.execute(wanted.limit(1)).scalar()
    _show(found, LATEST_FIRE, receipt)
    return {path: Shown(path=path, data=data) for path, data in sorted(found.items())}


def pretty(value: object) -> bytes:
    """JSON for people: indented, in their own letters, always the same bytes for the same value."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    # A lone surrogate, which no file can hold, becomes the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace")


def _show(found: dict[str, bytes], path: str, text: str | None) -> None:
    # What is damaged in the store is told by the suite `integrity`; its mirror stays as it is.
    with contextlib.suppress(ValueError, RecursionError):
        if text:
            found[path] = pretty(json.loads(text))


def snapshot_name(run_id: str) -> str:
    """The mirror of one run."""
    return f"{SNAPSHOTS}/ops_run_{run_id}.json"


def _control(tx: Transaction, latch: Latch | None) -> dict[str, bytes]:
    table = schema.control_state
    changed_seq = tx.execute(select(table.c.changed_seq)).scalar_one()
    changed_hash = tx.execute(select(schema.audit.c.hash).where(schema.audit.c.seq == changed_seq)).scalar_one()
    common: dict[str, object] = {
        "checkpoint": {"store_id": tx.store_id, "seq": int(changed_seq), "hash": str(changed_hash)},
        "mirror": "for reading only: changing or removing this file changes nothing, and is found",
    }
    state = tx.state
    return {
        GATE: pretty({**_gate(state), **common}),
        STOP: pretty({**_stop(state, latch), **common}),
        SENDER: pretty({**state.sender.as_dict(), **common}),
    }


def _gate(state: ControlState) -> dict[str, object]:
    return {
        "mode": state.gate.value,
        "reason": state.gate_reason,
        "by": state.gate_by,
        "at": instant_text(state.gate_at),
        "until": instant_text(state.gate_until),
    }


def _stop(state: ControlState, latch: Latch | None) -> dict[str, object]:
    if latch is not None:
        return {"enabled": True, "reason": latch.reason, "by": latch.actor, "at": instant_text(latch.at)}
    return {
        "enabled": state.stopped,
        "reason": state.stop_reason,
        "by": state.stopped_by,
        "at": instant_text(state.stopped_at),
    }


def _tickets(tx: Transaction) -> dict[str, bytes]:
    lines: dict[str, list[str]] = {}
    found: dict[str, bytes] = {}
    for ticket in tickets.entries(tx):
        lines.setdefault(ticket.journal, []).append(ticket.line)
        if ticket.journal == "preflight":
            _show(found, f"{PREFLIGHT}/preflight_{ticket.seq:06d}.json", ticket.line)
    for journal, all_lines in lines.items():
        found[f"{TICKETS}/{journal}.jsonl"] = "".join(f"{line}\n" for line in all_lines).encode("utf-8", "replace")
    return found


def _cycles(tx: Transaction, snapshots: int) -> dict[str, bytes]:
    table = schema.cycle_run
    wanted = (
        select(table.c.id, table.c.receipt)
        .where(table.c.ended_at.is_not(None))
        .order_by(table.c.begun_at.desc(), table.c.id.desc())
        .limit(min(snapshots, SNAPSHOTS_MAX))
    )
    found: dict[str, bytes] = {}
    for run_id, receipt in map(tuple, tx.execute(wanted).all()):
        _show(found, snapshot_name(str(run_id)), receipt)
        if LATEST_CYCLE not in found:
            _show(found, LATEST_CYCLE, receipt)
    return found
