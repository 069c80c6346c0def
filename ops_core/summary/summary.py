"""Makes a summary of the facts, records it as its own audit row, and reads the newest one back.

A store that cannot be used counts as stopped: then the summary says so, is not recorded, and is told all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ops_core.clock import Clock, isoformat, new_run_id
from ops_core.config import Settings
from ops_core.control.audit import canonical
from ops_core.control.checkpoint import checkpoint_of
from ops_core.control.recorded import latest_of, one_of
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.control.views import modes
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, OpsError
from ops_core.summary.facts import read
from ops_core.summary.model import Facts, Overall, Risk
from ops_core.summary.risks import overall_of, risks_of

SCHEMA = "ops_summary_v1"
WRITTEN = "ops_summary.written"
KIND = "ops_summary"
TOP_MAX = 20
RECEIPT_MAX_CHARS = 32_768
# WARN is done: somebody should look, and nothing is in the way. What a guard stops is the guard working.
EXIT_CODES: Mapping[str, int] = {
    Overall.OK.value: EXIT_DONE,
    Overall.WARN.value: EXIT_DONE,
    Overall.BLOCKED.value: EXIT_REFUSED,
    Overall.FAIL.value: EXIT_FAILED,
}


def regenerate(settings: Settings, plane: ControlPlane, clock: Clock) -> dict[str, Any]:
    """Read the facts, record what they mean, and return it. `recorded` is false where the store cannot be used.

    Raises:
        StoreUnusable: the store stopped working meanwhile.
    """
    facts = read(settings, plane, clock)
    state = plane.state()
    told = {**summary_of(facts), "profile": settings.profile, "role": settings.role, "actor": plane.actor}
    told["observed_modes"] = modes(state, facts.asof)
    if facts.control.problem:
        run_id = new_run_id(facts.asof)
        return _whole(told, run_id, None, recorded=False)
    with plane.transaction() as change:
        run_id = new_run_id(facts.asof, f"{change.head[0] + 1:06d}")
        receipt = _whole(told, run_id, checkpoint_of(change, settings), recorded=True)
        change.audit(at=clock.now(), actor=plane.actor, action=WRITTEN, subject=run_id, detail=receipt)
    return receipt


def latest(tx: Transaction) -> dict[str, Any] | None:
    """The summary that was recorded last; None where there was none.

    Raises:
        StoreUnusable: it was changed after it was written.
    """
    return latest_of(tx, WRITTEN)


def of_run(tx: Transaction, run_id: str) -> dict[str, Any] | None:
    """The summary of exactly that run; None where there is none.

    Raises:
        StoreUnusable: it was changed after it was written.
    """
    return one_of(tx, WRITTEN, run_id)


def summary_of(facts: Facts) -> dict[str, Any]:
    """What the facts come to. Pure: the same facts give the same values, in the same order."""
    risks = risks_of(facts)
    counts = Counter(one.severity.value for one in risks)
    bundle = facts.handoff.bundle if facts.handoff else None
    return {
        "schema": SCHEMA,
        "asof": isoformat(facts.asof),
        "overall_status": overall_of(risks).value,
        **_top(risks, TOP_MAX),
        "risk_counts": {name: counts[name] for name in sorted(counts)},
        "bundle_id": bundle.id if bundle else None,
    }


def exit_code_of(summary: Mapping[str, Any]) -> int:
    """The exit code that a summary stands for; one that could not be recorded is an operational failure."""
    return EXIT_CODES[str(summary["overall_status"])] if summary["recorded"] else EXIT_FAILED


def _top(risks: Sequence[Risk], count: int) -> dict[str, Any]:
    return {"top_risks": [one.as_dict() for one in risks[:count]], "more_risks": max(0, len(risks) - count)}


def _whole(
    told: Mapping[str, Any], run_id: str, checkpoint: Mapping[str, object] | None, *, recorded: bool
) -> dict[str, Any]:
    """The receipt; risks that would make it larger than a receipt may be are counted instead of told."""
    whole = {
        **told,
        "run_id": run_id,
        "snapshot_ref": f"{KIND}/{run_id}" if recorded else None,
        "recorded": recorded,
        "checkpoint": None if checkpoint is None else dict(checkpoint),
    }
    while len(canonical(whole)) > RECEIPT_MAX_CHARS:
        kept = whole["top_risks"][:-1]
        if not kept:
            raise OpsError("the summary is larger than a receipt may be", where=run_id)
        whole |= {"top_risks": kept, "more_risks": whole["more_risks"] + 1}
    return whole
