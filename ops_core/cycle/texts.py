"""What to do about each outcome of a cycle: lines to type, for whoever reads the receipt."""

from __future__ import annotations

from collections.abc import Mapping

from ops_core.cycle.sequence import Outcome

_AGAIN = "then run the cycle again: ops cycle   (or POST /api/ops/cycle/run)"

REMEDIES: Mapping[Outcome, tuple[str, ...]] = {
    Outcome.OK: (),
    Outcome.WARN: (
        "nothing was refused; look at what is noted: ops cycle latest   (or GET /api/ops/scheduler/latest)",
        "missed slots are not run afterwards: see that the scheduler calls: ops schedule show",
    ),
    Outcome.STOPPED: (
        "find out who stopped it, and why: ops estop status   (or GET /api/emergency_stop)",
        "remove the reason for it",
        'release it: ops estop release --reason …   (or POST /api/emergency_stop {"enabled": false, "reason": "…"})',
        _AGAIN,
    ),
    Outcome.PREFLIGHT_FAIL: (
        "each missing thing and what to type stands in the receipt and in reports/tickets/preflight/",
        "install what cannot be imported, put the files in place",
        _AGAIN,
    ),
    Outcome.ALLOWLIST_VIOLATION: (
        "compare what was asked for with the file execution_allowlist_v1.json in the folder of contracts",
        "if it is to be allowed, change that file and have the change accepted: ops contracts accept --reason …",
        _AGAIN,
    ),
    Outcome.WINDOW_NOT_ACTIVE: (
        "request a window: ops window request --reason … --for 60m   (or POST /api/real_enable_window/request)",
        "two others give their keys: ops approve   (or POST /api/approvals/real_enable/approve)",
        "see that it is ACTIVE: ops window status   (or GET /api/real_enable_window/latest)",
        "or close the gate, where nothing real is meant: ops gate set DRY_RUN --reason …",
        _AGAIN,
    ),
    Outcome.INTERRUPTED: (
        "see how far it came: ops cycle latest   (or GET /api/ops/scheduler/latest)",
        "if a live fire had begun, see what left: ops live-fire latest   (or GET /api/ops/push/live_fire/latest)",
        _AGAIN,
    ),
    Outcome.TIMED_OUT: (
        "see how far it came: ops cycle latest   (or GET /api/ops/scheduler/latest)",
        "find out what hangs, or give it more time: cycle.budget_s in ops.toml",
        _AGAIN,
    ),
}


def remedy_of(outcome: Outcome) -> str:
    """What to do, one act a line; empty where there is nothing to do."""
    return "\n".join(REMEDIES[outcome])
