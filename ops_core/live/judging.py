"""What a live cycle comes to: its result, and whether its preview is shown. Pure.

What cannot be relied on is not OK, and is shown to nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED

NONE, CONSOLE = "NONE", "CONSOLE"
UNKNOWN = "UNKNOWN"
DECISION_MAX_CHARS = 200
DECISION_FILE_MAX_BYTES = 1 << 20
RELEASE = 'when that is over: ops estop release --reason "…"'
PULL = "ops handoff pull"


class Result(StrEnum):
    """How a live cycle ended; OPEN while it runs."""

    OPEN = "OPEN"
    OK = "OK"
    WARN = "WARN"
    BLOCKED = "BLOCKED"
    FAILED = "FAILED"


EXIT_CODES = {
    Result.OPEN: EXIT_FAILED,
    Result.OK: EXIT_DONE,
    Result.WARN: EXIT_DONE,
    Result.BLOCKED: EXIT_REFUSED,
    Result.FAILED: EXIT_FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the bundle says is to be done. Where it cannot be told, the value is UNKNOWN, and `problem` says why."""

    value: str = NONE
    ref: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a live cycle finds before it does anything.

    Attributes:
        stopped: why everything is stopped; empty where it is not.
        bundle_id: of the bundle in force; empty where there is none.
        problem: why nothing in it is to be relied on; empty where it is whole.
        fresh: whether it is still worth something.
        fresh_until: until when it is, or was.
        decision: what it says is to be done.
        shown_by: the run that has shown the preview of this bundle on this day already; empty where none has.
    """

    stopped: str = ""
    bundle_id: str = ""
    problem: str = ""
    fresh: bool = False
    fresh_until: str = ""
    decision: Decision = Decision()
    shown_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What it comes to: the result with its reason and what to do, and whether the preview is shown, or why not."""

    result: Result
    reason: str
    next_step: str = ""
    show: bool = False
    why_not: str = ""


def judge(seen: Seen) -> Judged:
    """The result: the stop counts before all else, then whether there is something to rely on, then how old it is."""
    if seen.stopped:
        return _ended(Result.BLOCKED, seen.stopped, RELEASE)
    if not seen.bundle_id:
        return _ended(Result.FAILED, "no bundle is in force: there is nothing to operate on", PULL)
    if seen.problem:
        why = f"the bundle in force is not to be relied on: {seen.problem}"
        return _ended(Result.FAILED, why, "ops handoff status; then ops handoff pull, or ops handoff rollback")
    if seen.decision.problem:
        why = f"the bundle does not say what to do: {seen.decision.problem}"
        return _ended(
            Result.FAILED, why, "on the producer's host: look at what its steps write, then ops handoff publish"
        )
    if not seen.fresh:
        why = f"the bundle in force is stale: it was good until {seen.fresh_until}"
        step = "on the producer's host: ops handoff publish; then here: ops handoff pull"
        return Judged(
            result=Result.WARN, reason=why, next_step=step, why_not="a stale bundle is shown to nobody as today's"
        )
    if seen.shown_by:
        told = f"already delivered by run {seen.shown_by}"
        return Judged(result=Result.OK, reason=f"the bundle in force is whole and fresh; {told}", why_not=told)
    return Judged(result=Result.OK, reason="the bundle in force is whole and fresh", show=True)


def read_decision(raw: bytes, key: str, ref: str) -> Decision:
    """What a file of the bundle says under that key: one short line of text, or nothing that is believed.

    Args:
        raw: the content of the file.
        key: under which the decision stands at the top of its JSON object.
        ref: the reference of the file.
    """
    try:
        told = (
            json.loads(raw.decode("utf-8"), parse_constant=_no_number) if len(raw) <= DECISION_FILE_MAX_BYTES else None
        )
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return unknown(ref, "its file is no JSON object, or too large")
    value: Any = told.get(key)
    if not isinstance(value, str) or not value.strip():
        return unknown(ref, f"there is no text under {key!r}")
    if len(value) > DECISION_MAX_CHARS or not value.isprintable():
        return unknown(ref, f"what stands under {key!r} is not one line of at most {DECISION_MAX_CHARS} characters")
    return Decision(value=value.strip(), ref=ref)


def unknown(ref: str, problem: str) -> Decision:
    """A decision that cannot be told."""
    return Decision(value=UNKNOWN, ref=ref, problem=problem)


def _ended(result: Result, reason: str, next_step: str) -> Judged:
    return Judged(result=result, reason=reason, next_step=next_step, why_not=reason)


def _no_number(_constant: str) -> Any:
    raise ValueError("no number")
