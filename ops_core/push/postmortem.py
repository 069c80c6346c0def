"""The postmortem of a live fire: from the store, as often as one likes, always the same.

Every statement names the audit rows it rests on. The files under `reports/ops/push/postmortem/` show it to people and
scripts; nothing reads them back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ops_core.config import Settings
from ops_core.content import own_templates
from ops_core.control import schema
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import OpsError
from ops_core.push import receipts
from ops_core.push.recovery import REMEDY

SCHEMA = "live_fire_postmortem_v1"
TEMPLATE = "live_fire_postmortem.md.j2"
FOLDER = "ops/push/postmortem"
NAME = "postmortem_latest"
ROWS_MAX = 2000
_ENDINGS = (receipts.ENDED_ACTION, receipts.INTERRUPTED_ACTION, receipts.BLOCKED_ACTION)
_ABOUT = ("contracts.", "gate.", "live_fire.", "outbox.", "sender.", "stop.", "window.", "work.")
_NEXT: Mapping[str, str] = {
    receipts.OPEN: "wait for it to end; ops estop engage ends it",
    receipts.FIRED: "nothing: the sender is off and the window is used up",
    receipts.PARTIAL: REMEDY,
    receipts.FAILED: "look at the way out (ops secrets, the chat's server), then ask for another window",
    receipts.STOPPED: "find out who stopped it and why; what still waits needs another window",
    receipts.INTERRUPTED: REMEDY,
    receipts.BLOCKED: "meet the preconditions that failed: ops live-fire status",
}


def latest_postmortem(settings: Settings, plane: ControlPlane, lang: str = "en") -> dict[str, Any] | None:
    """The postmortem of the latest live fire that burnt its window, else of the latest refusal; None where none was.

    Raises:
        StoreUnusable: the store cannot be read, or the receipt is not the one that was recorded.
    """
    with plane.snapshot() as found:
        receipt = receipts.latest_burnt(found) or receipts.latest(found)
        if receipt is None:
            return None
        timeline = _timeline(found, receipt)
    view = _view(receipt, timeline)
    return {**view, "markdown": _render(settings, view, lang)}


def regenerate_postmortem(settings: Settings, plane: ControlPlane, lang: str = "en") -> dict[str, Any] | None:
    """Write the postmortem anew as Markdown and JSON; None, and nothing written, where nobody ever fired.

    Raises:
        StoreUnusable: the store cannot be read, or the receipt is not the one that was recorded.
        OpsError: the files cannot be written.
    """
    from ops_core.control.integrity import looking

    document = latest_postmortem(settings, plane, lang)
    if document is None:
        return None
    told = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    try:
        # Like a mirror: whoever may write among the reports must not lead us elsewhere by a link.
        for ending, text in (("md", document["markdown"]), ("json", told)):
            looking.put(settings.reports_dir, f"{FOLDER}/{NAME}.{ending}", text.encode("utf-8", "replace"))
    except OSError as error:
        where = str(settings.reports_dir / FOLDER)
        raise OpsError(f"the postmortem cannot be written: {error.strerror}", where=where) from None
    return document


def _view(receipt: dict[str, Any], timeline: list[dict[str, Any]]) -> dict[str, Any]:
    ending = _cited(timeline, "live_fire.")[-1:] or _cited(timeline, "")[-1:]
    about = {one["id"]: [row["id"] for row in timeline if row["subject"] == one["id"]] for one in receipt["messages"]}
    same = ("fire_id", "run_id", "window_id", "profile", "outcome", "reason", "asof", "begun_at", "ended_at", "actor")
    figures = ("channel", "sent", "failed", "unknown", "left", "lockdown", "observed_modes", "checkpoint")
    return {
        "schema": SCHEMA,
        **{name: receipt[name] for name in same},
        **{name: receipt[name] for name in figures},
        "next": _NEXT[receipt["outcome"]],
        "preconditions": receipt["preconditions"],
        "messages": [{**one, "evidence": about[one["id"]] or ending} for one in receipt["messages"]],
        "timeline": timeline,
        "evidence": {"result": ending, "window": _cited(timeline, "window.") or ending},
    }


def _timeline(found: Transaction, receipt: dict[str, Any]) -> list[dict[str, Any]]:
    """What the audit says about this live fire, from the request of its window to its end."""
    audit = schema.audit
    last = _seq(found, _ENDINGS, subject=receipt["fire_id"]) or found.head[0]
    first = last
    if receipt["outcome"] != receipts.BLOCKED:
        first = _requested(found, receipt["window_id"], last) or last
    wanted = audit.select().where(audit.c.seq >= first, audit.c.seq <= last).order_by(audit.c.seq.desc())
    rows = found.execute(wanted.limit(ROWS_MAX)).mappings().all()
    ids = {receipt["fire_id"], *(one["id"] for one in receipt["messages"])}
    return [
        {"id": f"A{row['seq']}", **{name: row[name] for name in ("seq", "at", "actor", "action", "subject")}}
        for row in reversed(rows)
        if row["action"].startswith(_ABOUT) and (not row["action"].startswith("outbox.") or row["subject"] in ids)
    ]


def _seq(found: Transaction, actions: Iterable[str], *, subject: str) -> int:
    audit = schema.audit
    wanted = audit.select().where(audit.c.action.in_([*actions]), audit.c.subject == subject)
    row = found.execute(wanted.order_by(audit.c.seq.desc()).limit(1)).mappings().first()
    return 0 if row is None else int(row["seq"])


def _requested(found: Transaction, window_id: str | None, before: int) -> int:
    audit = schema.audit
    wanted = audit.select().where(audit.c.action == "window.requested", audit.c.seq < before)
    for row in found.execute(wanted.order_by(audit.c.seq.desc()).limit(100)).mappings():
        window = json.loads(row["detail"]).get("state", {}).get("window") or {}
        if window.get("id") == window_id:
            return int(row["seq"])
    return 0


def _cited(timeline: list[dict[str, Any]], prefix: str) -> list[str]:
    return [str(row["id"]) for row in timeline if str(row["action"]).startswith(prefix)]


def _render(settings: Settings, view: dict[str, Any], lang: str) -> str:
    from ops_core.report.render import render

    return render(TEMPLATE, {"view": view}, lang=lang, templates=own_templates(settings.root))
