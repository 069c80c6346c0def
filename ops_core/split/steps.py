"""What each of the five steps of a day comes to, from what was seen. Pure: nothing is asked, recorded or shown here.

The backend is believed only as far as it can be held against something else: what it says to have made is what it then
tells as the latest, and what the record of this very host holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ops_core.control.audit import canonical
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from ops_core.split.asking import Asked

PULL, BACKEND, SUMMARY, LIVE_CYCLE, SNAPSHOT = NAMES = ("pull", "backend", "summary", "live cycle", "snapshot")
SUMMARY_SCHEMA, RECEIPT_SCHEMA, SNAPSHOT_SCHEMA = "ops_summary_v1", "live_cycle_receipt_v1", "snapshot_v1"
# A bundle that is refused for these was never meant to be taken; what is in force stays, and the day goes on with it.
ON_PURPOSE = frozenset({"HELD_BACK", "STALE"})
# What the live cycle of this very day puts right.
SETTLED_BY_LIVE_CYCLE = frozenset({"LIVE_CYCLE_FAILED"})
SERVE = "ops serve, on this host; split.backend_url in ops.toml says where it is asked"
TEXT_MAX_CHARS = 300
CODES_MAX = 6


class State(StrEnum):
    """How a step ended."""

    OK = "OK"
    WARN = "WARN"
    BLOCKED = "BLOCKED"
    FAILED = "FAILED"
    NOT_REACHED = "not reached"

    @property
    def ends(self) -> bool:
        """Whether no step comes after one that ended so."""
        return self not in {State.OK, State.WARN}


class Verdict(StrEnum):
    """What the day comes to."""

    COMPLETED = "COMPLETED"
    WARN = "WARN"
    BLOCKED = "BLOCKED"
    FAILED = "FAILED"


EXIT_CODES = {
    Verdict.COMPLETED: EXIT_DONE,
    Verdict.WARN: EXIT_DONE,
    Verdict.BLOCKED: EXIT_REFUSED,
    Verdict.FAILED: EXIT_FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one step comes to.

    Attributes:
        state: how it ended.
        seen: what was seen, in one line.
        next_step: what to do about it.
        alarm: the step was done, and tells of something for which the day as a whole is no good day.
    """

    state: State
    seen: str
    next_step: str = ""
    alarm: str = ""


def verdict_of(outcomes: Sequence[Outcome]) -> tuple[Verdict, str]:
    """The verdict over all steps, and the reason: the first step that ended the day, else what was told on the way."""
    for name, one in zip(NAMES, outcomes, strict=False):
        if one.state is State.BLOCKED:
            return Verdict.BLOCKED, f"{name}: {one.seen}"
        if one.state.ends:
            return Verdict.FAILED, f"{name}: {one.seen}"
    for one in outcomes:
        if one.alarm:
            return Verdict.FAILED, one.alarm
    warned = [f"{name}: {one.seen}" for name, one in zip(NAMES, outcomes, strict=False) if one.state is State.WARN]
    return (Verdict.WARN, "; ".join(warned)) if warned else (Verdict.COMPLETED, "all five steps")


def judge_pull(told: Mapping[str, Any] | None, why: str, bundle: str, problem: str) -> Outcome:
    """The pull.

    Args:
        told: the receipt, or the error, that it answered with; None where it answered nothing.
        why: why it had to be ended; empty where it ended by itself.
        bundle: the bundle in force after it; empty where there is none.
        problem: why nothing in that one is to be relied on.
    """
    if why or told is None:
        return failed(f"the pull was ended: {why or 'it told nothing'}", "ops handoff pull")
    if "error" in told:
        state = State.BLOCKED if told.get("exit_code") == EXIT_REFUSED else State.FAILED
        return Outcome(state=state, seen=_text(told["error"]), next_step=_text(told.get("next")))
    outcome, code, reason = (_text(told.get(name)) for name in ("outcome", "code", "reason"))
    in_force = f"in force: {bundle or 'none'}"
    if outcome == "REFUSED":
        state = State.WARN if code in ON_PURPOSE and bundle and not problem else State.FAILED
        return Outcome(
            state=state,
            seen=f"REFUSED {code}: {reason}; {in_force}",
            next_step=_text(told.get("next")) or "ops handoff status",
        )
    if outcome not in {"INSTALLED", "UP_TO_DATE"}:
        return failed(f"{outcome or 'no outcome'}: {reason}; {in_force}", _text(told.get("next")) or "ops handoff pull")
    if problem or not bundle:
        return failed(f"{outcome}, but {problem or 'nothing is in force'}", "ops handoff status")
    if _text(told.get("bundle_id")) not in {"", bundle}:
        return failed(f"{outcome} {_text(told.get('bundle_id'))}, but {in_force}", "ops handoff status")
    if told.get("history") == "rewritten":
        return Outcome(state=State.WARN, seen=f"{outcome}, but the branch was rewritten at the remote; {in_force}")
    return Outcome(state=State.OK, seen=f"{outcome}  {bundle}")


def judge_health(asked: Asked) -> Outcome:
    """Whether the backend is there, is ours, and is not stopped."""
    told, bad = answered(asked)
    if bad is not None:
        return bad
    status = told.get("status")
    if status not in {"OK", "WARN", "STOPPED"} or "execution_gate" not in told or "emergency_stop" not in told:
        return failed("another service answers there: this is not the health of ops serve", SERVE)
    if told.get("problem"):
        return failed(f"its store cannot be used: {_text(told['problem'])}", "ops doctor")
    if status == "STOPPED" or told["emergency_stop"] is not False:
        return Outcome(
            state=State.BLOCKED, seen="the emergency stop is engaged", next_step='ops estop release --reason "…"'
        )
    seen = f"{status}  gate {_text(told['execution_gate'])}  {asked.latency_ms:.0f} ms"
    if status == "WARN":
        missed = told.get("missed")
        count = len(missed) if isinstance(missed, list) else 0
        return Outcome(state=State.WARN, seen=f"{seen}  {count} cycles missed", next_step="ops schedule show")
    return Outcome(state=State.OK, seen=seen)


def judge_summary(made: Asked, latest: Asked, recorded: Mapping[str, Any] | None) -> Outcome:
    """Whether the summary was made, is the latest, and is in our record; and what it says."""
    told, bad = _proven(made, latest, recorded, SUMMARY_SCHEMA)
    if bad is not None:
        return bad
    overall, codes = _text(told.get("overall_status")), codes_of(told)
    seen = f"overall {overall}" + (f"  {', '.join(codes)}" if codes else "")
    more = "ops summary latest"
    if overall == "OK":
        return Outcome(state=State.OK, seen=seen)
    if overall == "WARN":
        return Outcome(state=State.WARN, seen=seen, next_step=more)
    if overall == "BLOCKED":
        return Outcome(state=State.BLOCKED, seen=seen, next_step=more)
    if overall != "FAIL":
        return failed(f"a summary that says neither of its four words: {overall}", more)
    # The summary was made, and that is the step. What it says must not keep the live cycle from putting it right, but
    # a day on which it says FAIL for any other reason does not end well.
    alarm = "" if _settles_itself(told) else f"the summary says FAIL: {', '.join(codes) or 'it does not say why'}"
    return Outcome(state=State.WARN, seen=seen, next_step=more, alarm=alarm)


def judge_live_cycle(made: Asked, latest: Asked, recorded: Mapping[str, Any] | None) -> Outcome:
    """Whether the live cycle ran, is the latest, and is in our record; and how it ended."""
    told, bad = _proven(made, latest, recorded, RECEIPT_SCHEMA)
    if bad is not None:
        return bad
    push = told.get("push")
    delivery = _text(push.get("delivery_actual")) if isinstance(push, Mapping) else "?"
    result, reason = _text(told.get("result")), _text(told.get("reason"))
    seen = f"{result}  decision {_text(told.get('decision'))}  delivery {delivery}"
    state = {"OK": State.OK, "WARN": State.WARN, "BLOCKED": State.BLOCKED}.get(result, State.FAILED)
    if state is State.OK:
        return Outcome(state=state, seen=seen)
    return Outcome(state=state, seen=f"{seen}  {reason}", next_step=_text(told.get("next")) or "ops live latest")


def judge_snapshot(asked: Asked, receipt: Mapping[str, Any]) -> Outcome:
    """Whether the reference of the receipt leads to exactly that receipt."""
    told, bad = answered(asked)
    if bad is not None:
        return bad
    ref = receipt.get("snapshot_ref")
    if told.get("schema") != SNAPSHOT_SCHEMA or told.get("ref") != ref:
        return failed("what was answered is not what the reference names", "ops snapshot REF")
    digest = hashlib.sha256(canonical(receipt).encode("ascii")).hexdigest()
    if told.get("content") != receipt or told.get("sha256") != digest:
        return failed("what the reference leads to is not the receipt of this live cycle", f"ops snapshot {_text(ref)}")
    return Outcome(state=State.OK, seen=f"{_text(ref)}  {digest[:12]}")


def answered(asked: Asked) -> tuple[Mapping[str, Any], Outcome | None]:
    """The document of a good answer; or what it means that there is none."""
    what = f"{asked.method} {asked.path.partition('?')[0]}"
    told = asked.document
    if asked.problem:
        so_far = f" (status {asked.status}, {asked.size_bytes} bytes)" if asked.status is not None else ""
        return {}, failed(f"{what}: {asked.problem}{so_far}", SERVE)
    if asked.status == 200 and told is not None:
        return told, None
    if told is not None and told.get("ok") is False and isinstance(told.get("error"), str):
        guarded = asked.status in {401, 403, 409} and not asked.busy
        return {}, Outcome(
            state=State.BLOCKED if guarded else State.FAILED,
            seen=f"{what}: {asked.status}, {_text(told['error'])}",
            next_step=_text(told.get("next")),
        )
    excerpt = f": {asked.excerpt}" if asked.excerpt else ""
    return {}, failed(f"{what}: status {asked.status}, and no answer of ops serve{excerpt}", SERVE)


def row_of(latest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The one row of the answer about a latest one; None where there is none."""
    rows = latest.get("rows")
    found = rows[0] if isinstance(rows, list) and rows else None
    return found if isinstance(found, Mapping) and found else None


def codes_of(summary: Mapping[str, Any]) -> list[str]:
    """The codes of the risks that a summary names first."""
    return [_text(one.get("code")) for one in _risks(summary)[:CODES_MAX]]


def failed(seen: str, next_step: str = "") -> Outcome:
    """A step that did not do what it is for."""
    return Outcome(state=State.FAILED, seen=seen, next_step=next_step)


def _proven(
    made: Asked, latest: Asked, recorded: Mapping[str, Any] | None, schema: str
) -> tuple[Mapping[str, Any], Outcome | None]:
    """What was made, held against what is then told as the latest and against our own record."""
    told, bad = answered(made)
    if bad is not None:
        return {}, bad
    run_id = told.get("run_id")
    if told.get("schema") != schema or not isinstance(run_id, str) or not run_id:
        return {}, failed(f"{made.method} {made.path.partition('?')[0]}: what was answered is no {schema}", SERVE)
    if told.get("recorded") is False:
        return {}, Outcome(
            state=State.BLOCKED, seen=f"not recorded: {_text(told.get('reason'))}", next_step="ops doctor"
        )
    again, bad = answered(latest)
    if bad is not None:
        return {}, bad
    row = row_of(again)
    if row is None or row != told:
        other = "nothing" if row is None else f"run {_text(row.get('run_id'))}"
        return {}, failed(f"run {_text(run_id)} was made, and the latest is {other}", "look who else makes one now")
    if recorded is None or recorded != told:
        return {}, failed(
            f"run {_text(run_id)} is not in the record of this host: the backend works on another store",
            SERVE,
        )
    return told, None


def _risks(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = summary.get("top_risks")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _settles_itself(summary: Mapping[str, Any]) -> bool:
    """Whether the live cycle that follows settles everything for which the summary says FAIL."""
    grave = {_text(one.get("code")) for one in _risks(summary) if one.get("weighs") == "FAIL"}
    return bool(grave) and grave <= SETTLED_BY_LIVE_CYCLE and not summary.get("more_risks")


def _text(value: object) -> str:
    """What somebody else told, as one bounded line."""
    told = "" if value is None else str(value)
    return " ".join("".join(c if c.isprintable() else " " for c in told).split())[:TEXT_MAX_CHARS]
