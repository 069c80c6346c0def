"""The execution gate, and the question that a remediation asks: may this profile be touched now?

A stop wins over every gate, a gate that nobody set is DRY_RUN, permission to act for real ends by itself, and what
cannot be known is stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ops_core.control.model.state import REAL_TTL_MAX_S, ControlState, Gate
from ops_core.control.model.stop import RELEASE_COMMAND, why_stopped
from ops_core.control.model.texts import NOBODY, instant_text, required_reason, tidy, whole_ms
from ops_core.errors import UsageError

REAL_TTL_DEFAULT_S = 3600
MOCK_COMMAND = "ops gate set MOCK_ONLY --reason …"
REAL_COMMAND = "ops gate set REAL_ENABLED --reason … --for 60m"


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Whether a remediation may act: a stable `code`, the reason in words, and the command that would change it."""

    allowed: bool
    code: str
    reason: str
    next_step: str = ""


def set_gate(
    state: ControlState, gate: Gate | str, reason: str, actor: str, now: datetime, *, ttl_s: int | None = None
) -> ControlState:
    """The state with another gate. REAL_ENABLED ends after `ttl_s` seconds (3600 unless given, at most 8 hours).

    Raises:
        UsageError: no such gate, no fit reason, or a duration that this gate does not take.
    """
    wanted = parse_gate(gate)
    fit_reason = required_reason(reason, f"setting the gate to {wanted}", f"ops gate set {wanted} --reason …")
    at = whole_ms(now)
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
    stopped = why_stopped(state)
    if stopped:
        return Permission(allowed=False, code="stopped", reason=stopped, next_step=state.remedy or RELEASE_COMMAND)
    gate = effective_gate(state, now)
    if gate is Gate.REAL_ENABLED:
        return Permission(
            allowed=True, code="allowed", reason=f"the gate is REAL_ENABLED until {instant_text(state.gate_until)}"
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
    reason = f"the gate is {gate}"
    if state.gate is Gate.REAL_ENABLED:
        reason += f": REAL_ENABLED holds from {instant_text(state.gate_at)} until {instant_text(state.gate_until)} only"
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


def _fit_ttl(ttl_s: int) -> int:
    if type(ttl_s) is not int or not 0 < ttl_s <= REAL_TTL_MAX_S:
        raise UsageError(
            f"REAL_ENABLED cannot last {ttl_s} s",
            where="duration",
            allowed=f"1 to {REAL_TTL_MAX_S} s (8 hours)",
            next_step=REAL_COMMAND,
        )
    return ttl_s
