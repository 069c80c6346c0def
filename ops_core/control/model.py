"""The control plane as pure functions: a frozen state, transitions that are handed `now`, and one question.

The question is `permission`: may a remediation touch this profile now? The answer fails safe. A stop wins over every
gate, a gate that nobody set is DRY_RUN, permission to act for real ends by itself, and what cannot be known is stopped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ops_core.clock import isoformat, parse_instant
from ops_core.errors import UsageError

REASON_MAX_CHARS = 500
ACTOR_MAX_CHARS = 100
REAL_TTL_DEFAULT_S = 3600
REAL_TTL_MAX_S = 8 * 3600
ENGAGED = "engaged"
NOT_YET_RELEASED = "not yet released"
NOBODY = "unknown"

RELEASE_COMMAND = "ops estop release --reason …"
MOCK_COMMAND = "ops gate set MOCK_ONLY --reason …"
REAL_COMMAND = "ops gate set REAL_ENABLED --reason … --for 60m"

# Line separators and text-direction overrides can make one line of a log read as another; Cc and Cs are refused whole.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION_OVERRIDES = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Gate(StrEnum):
    """The execution mode: what an allowed remediation may touch."""

    MOCK_ONLY = "MOCK_ONLY"
    DRY_RUN = "DRY_RUN"
    REAL_ENABLED = "REAL_ENABLED"


@dataclass(frozen=True, kw_only=True)
class ControlState:
    """Emergency stop and gate, with who set them, when and why.

    `stop_reason`, `stopped_by` and `stopped_at` tell of the last change of the stop, be it engaging or releasing.
    `gate` is what was set; `effective_gate` is what counts now. `problem` is not empty where the state could not be
    known, and `remedy` then says what to do; such a state is always stopped. `version` grows with every change.
    """

    stopped: bool = True
    stop_reason: str = NOT_YET_RELEASED
    stopped_by: str = NOBODY
    stopped_at: datetime | None = None
    gate: Gate = Gate.DRY_RUN
    gate_reason: str = "default"
    gate_by: str = NOBODY
    gate_at: datetime | None = None
    gate_until: datetime | None = None
    version: int = 0
    problem: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, str | bool | None]:
        """The recorded part as JSON values: what the audit row of a change holds."""
        return {
            "stopped": self.stopped,
            "stop_reason": self.stop_reason,
            "stopped_by": self.stopped_by,
            "stopped_at": _text(self.stopped_at),
            "gate": self.gate.value,
            "gate_reason": self.gate_reason,
            "gate_by": self.gate_by,
            "gate_at": _text(self.gate_at),
            "gate_until": _text(self.gate_until),
        }


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Whether a remediation may act: a stable `code`, the reason in words, and the command that would change it."""

    allowed: bool
    code: str
    reason: str
    next_step: str = ""


def initial(actor: str, now: datetime) -> ControlState:
    """The state of a store that was just made: stopped, and nothing but rehearsing on paper."""
    at = _whole_ms(now)
    return ControlState(stopped_by=tidy(actor, NOBODY), stopped_at=at, gate_by=tidy(actor, NOBODY), gate_at=at)


def unknown(problem: str, remedy: str = "") -> ControlState:
    """The state that counts when the recorded one is missing, unreadable or not to be trusted: stopped."""
    return ControlState(stop_reason=f"counts as engaged: {problem}", problem=problem, remedy=remedy)


def from_values(values: Mapping[str, object], version: int) -> ControlState:
    """The state that `as_dict` wrote.

    Raises:
        ValueError: a value is missing, of another type, or not one that a transition could have left.
    """
    stopped, gate = values.get("stopped"), values.get("gate")
    if not isinstance(stopped, bool):
        raise ValueError(f"stopped is {stopped!r}, neither true nor false")
    if gate not in Gate.__members__:
        raise ValueError(f"the gate is {gate!r}, none of {', '.join(Gate)}")
    texts = {}
    for name in ("stop_reason", "stopped_by", "gate_reason", "gate_by"):
        texts[name] = value = values.get(name)
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} is missing")
    state = ControlState(
        stopped=stopped,
        stop_reason=str(texts["stop_reason"]),
        stopped_by=str(texts["stopped_by"]),
        stopped_at=_instant(values, "stopped_at"),
        gate=Gate(str(gate)),
        gate_reason=str(texts["gate_reason"]),
        gate_by=str(texts["gate_by"]),
        gate_at=_instant(values, "gate_at"),
        gate_until=_instant(values, "gate_until"),
        version=version,
    )
    if state.stopped_at is None or state.gate_at is None:
        raise ValueError("the time of the last change is missing")
    if (state.gate is Gate.REAL_ENABLED) != (state.gate_until is not None):
        raise ValueError(f"a gate {state.gate} cannot end at {_text(state.gate_until)}")
    if state.gate_until is not None and state.gate_until - state.gate_at > timedelta(seconds=REAL_TTL_MAX_S):
        raise ValueError(f"a gate {state.gate} cannot stay open until {_text(state.gate_until)}")
    return state


def engage(state: ControlState, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the emergency stop engaged. Never refuses: an unfit reason is made fit, an empty one replaced."""
    return replace(
        state,
        stopped=True,
        stop_reason=tidy(reason, ENGAGED, REASON_MAX_CHARS),
        stopped_by=tidy(actor, NOBODY),
        stopped_at=_whole_ms(now),
    )


def release(state: ControlState, reason: str, actor: str, now: datetime) -> ControlState:
    """The state with the emergency stop released. Releasing what is not engaged is allowed and changes the reason only.

    Raises:
        UsageError: there is no reason, or it is not one line of at most 500 characters.
    """
    return replace(
        state,
        stopped=False,
        stop_reason=required_reason(reason, "releasing the emergency stop", RELEASE_COMMAND),
        stopped_by=tidy(actor, NOBODY),
        stopped_at=_whole_ms(now),
    )


def set_gate(
    state: ControlState, gate: Gate | str, reason: str, actor: str, now: datetime, *, ttl_s: int | None = None
) -> ControlState:
    """The state with another gate. REAL_ENABLED ends after `ttl_s` seconds (3600 unless given, at most 8 hours).

    Raises:
        UsageError: no such gate, no fit reason, or a duration that this gate does not take.
    """
    wanted = parse_gate(gate)
    fit_reason = required_reason(reason, f"setting the gate to {wanted}", f"ops gate set {wanted} --reason …")
    at = _whole_ms(now)
    until = None
    if wanted is Gate.REAL_ENABLED:
        until = at + timedelta(seconds=_fit_ttl(REAL_TTL_DEFAULT_S if ttl_s is None else ttl_s))
    elif ttl_s is not None:
        raise UsageError(
            f"the gate {wanted} takes no duration", where=f"{ttl_s} s", allowed="a duration for REAL_ENABLED only"
        )
    return replace(
        state, gate=wanted, gate_reason=fit_reason, gate_by=tidy(actor, NOBODY), gate_at=at, gate_until=until
    )


def effective_gate(state: ControlState, now: datetime) -> Gate:
    """The gate that counts at `now`: REAL_ENABLED holds in `[gate_at, gate_until)`, before and after is DRY_RUN."""
    if state.gate is not Gate.REAL_ENABLED:
        return state.gate
    if state.gate_at is None or state.gate_until is None:
        return Gate.DRY_RUN
    return Gate.REAL_ENABLED if state.gate_at <= now < state.gate_until else Gate.DRY_RUN


def permission(state: ControlState, drill: bool, now: datetime) -> Permission:
    """Whether a remediation may act at `now` on a profile that is a drill, or is not.

    Codes: `allowed`, `stopped`, `dry_run`, `mock_only`.
    """
    if state.stopped or state.problem:
        return Permission(
            allowed=False,
            code="stopped",
            reason=f"the emergency stop is engaged: {state.stop_reason}"
            if not state.problem
            else f"the emergency stop counts as engaged: {state.problem}",
            next_step=state.remedy or RELEASE_COMMAND,
        )
    gate = effective_gate(state, now)
    if gate is Gate.REAL_ENABLED:
        return Permission(
            allowed=True, code="allowed", reason=f"the gate is REAL_ENABLED until {_text(state.gate_until)}"
        )
    if gate is Gate.MOCK_ONLY and drill:
        return Permission(allowed=True, code="allowed", reason="the gate is MOCK_ONLY and this profile is a drill")
    if gate is Gate.MOCK_ONLY:
        return Permission(
            allowed=False,
            code="mock_only",
            reason="the gate is MOCK_ONLY and this profile is not a drill",
            next_step=REAL_COMMAND,
        )
    reason = "the gate is DRY_RUN"
    if state.gate is Gate.REAL_ENABLED:
        reason += f": REAL_ENABLED holds from {_text(state.gate_at)} until {_text(state.gate_until)} only"
    next_step = MOCK_COMMAND if drill else REAL_COMMAND
    return Permission(allowed=False, code="dry_run", reason=reason, next_step=next_step)


def parse_gate(value: Gate | str) -> Gate:
    """The gate of that name.

    Raises:
        UsageError: there is none.
    """
    if value not in Gate.__members__:
        raise UsageError(f"{value!r} is not a gate", where="gate", allowed=", ".join(Gate))
    return Gate(value)


def required_reason(reason: str, act: str, next_step: str = "") -> str:
    """The reason without surrounding blanks.

    Raises:
        UsageError: it is empty, too long, or holds control characters.
    """
    text = reason.strip()
    allowed = f"one line of 1 to {REASON_MAX_CHARS} characters, without control characters"
    if not text:
        raise UsageError(f"{act} needs a reason", where="reason", allowed=allowed, next_step=next_step)
    if len(text) > REASON_MAX_CHARS:
        raise UsageError(f"the reason is {len(text)} characters long", where="reason", allowed=allowed)
    bad = next((c for c in text if _forbidden(c)), None)
    if bad is not None:
        raise UsageError(f"the reason holds the control character U+{ord(bad):04X}", where="reason", allowed=allowed)
    return text


def tidy(text: str, fallback: str, max_chars: int = ACTOR_MAX_CHARS) -> str:
    """The text made fit for a record: control characters become blanks, overlong text is cut, nothing is `fallback`."""
    clean = " ".join("".join(" " if _forbidden(c) else c for c in text[: 4 * max_chars]).split())
    return clean[:max_chars].rstrip() or fallback


def _forbidden(char: str) -> bool:
    return unicodedata.category(char) in _FORBIDDEN_CATEGORIES or char in _DIRECTION_OVERRIDES


def _fit_ttl(ttl_s: int) -> int:
    if type(ttl_s) is not int or not 0 < ttl_s <= REAL_TTL_MAX_S:
        raise UsageError(
            f"REAL_ENABLED cannot last {ttl_s} s",
            where="duration",
            allowed=f"1 to {REAL_TTL_MAX_S} s (8 hours)",
            next_step=REAL_COMMAND,
        )
    return ttl_s


def _whole_ms(now: datetime) -> datetime:
    # Records hold milliseconds. Cutting here makes a state equal to its record, and never later than `now`.
    return parse_instant(isoformat(now))


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else isoformat(instant)


def _instant(values: Mapping[str, object], name: str) -> datetime | None:
    value = values.get(name)
    if value is None:
        return None
    return parse_instant(value if isinstance(value, str) else repr(value))
