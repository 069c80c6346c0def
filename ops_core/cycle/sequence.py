"""The six steps of a cycle as a pure function of what was seen.

Emergency stop, gate, window, approvals, the cycle's work, the result: in this order, always. The first step that fails
decides the outcome, and the steps behind it are not reached, whatever they would have said. The window and its
approvals are asked for only where the gate in force is REAL_ENABLED; otherwise they are not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ops_core.control import model
from ops_core.control.model import ControlState, Gate, WindowStatus
from ops_core.control.model import window as windows
from ops_core.control.model.live_fire import external_send
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED

NAMES = ("emergency_stop", "gate", "window", "approvals", "cycle", "result")
NONE = "NONE"
SEEN_MAX_CHARS = 2000


class Outcome(StrEnum):
    """How a cycle ended."""

    OK = "OK"
    WARN = "WARN"
    STOPPED = "STOPPED"
    PREFLIGHT_FAIL = "PREFLIGHT_FAIL"
    ALLOWLIST_VIOLATION = "ALLOWLIST_VIOLATION"
    WINDOW_NOT_ACTIVE = "WINDOW_NOT_ACTIVE"
    INTERRUPTED = "INTERRUPTED"
    TIMED_OUT = "TIMED_OUT"


# What a guard refused is the guard working; what could not be done, or not to its end, is a failure.
EXIT_CODES: Mapping[Outcome, int] = {
    Outcome.OK: EXIT_DONE,
    Outcome.WARN: EXIT_DONE,
    Outcome.STOPPED: EXIT_REFUSED,
    Outcome.ALLOWLIST_VIOLATION: EXIT_REFUSED,
    Outcome.WINDOW_NOT_ACTIVE: EXIT_REFUSED,
    Outcome.PREFLIGHT_FAIL: EXIT_FAILED,
    Outcome.INTERRUPTED: EXIT_FAILED,
    Outcome.TIMED_OUT: EXIT_FAILED,
}


class StepState(StrEnum):
    """What became of a step."""

    OK = "ok"
    WARN = "warn"
    FAILED = "failed"
    NOT_REACHED = "not_reached"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One of the six: its number and name, its state, and what was seen."""

    number: int
    name: str
    state: StepState
    seen: str

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {"step": self.number, "name": self.name, "state": self.state.value, "seen": self.seen}


@dataclass(frozen=True, kw_only=True)
class Modes:
    """What the control plane said when the cycle began.

    Attributes:
        stopped: why everything is stopped; empty where it is not.
        gate: the one in force.
        gate_ran_out: whether REAL_ENABLED was set and does not hold any more.
        delivery_policy: where messages may go.
        sender_on: whether the sender is enabled.
        external_send: ALLOWED or FORBIDDEN.
        window: the status of the latest window, or NONE.
        window_left_s: seconds until it runs out.
        keys: how many approvals it has.
        keys_problem: why they do not prove themselves; empty where they do.
    """

    stopped: str
    gate: Gate
    gate_ran_out: bool = False
    delivery_policy: str = model.Channel.CONSOLE_ONLY
    sender_on: bool = False
    external_send: str = "FORBIDDEN"
    window: str = NONE
    window_left_s: int = 0
    keys: int = 0
    keys_problem: str = ""

    def as_dict(self) -> dict[str, object]:
        """The `observed_modes` of a receipt."""
        return {
            "emergency_stop": bool(self.stopped),
            "execution_gate": self.gate.value,
            "delivery_policy": str(self.delivery_policy),
            "real_sender_enable": self.sender_on,
            "external_send": self.external_send,
        }


@dataclass(frozen=True, kw_only=True)
class FireStep:
    """The live fire of a cycle. `reason` is always filled: why not, or what came of it."""

    attempted: bool = False
    result: str = "NOT_ATTEMPTED"
    reason: str = "not reached"
    fire_id: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The `live_fire_step` of a receipt."""
        return {"attempted": self.attempted, "result": self.result, "reason": self.reason, "fire_id": self.fire_id}


@dataclass(frozen=True, kw_only=True)
class Work:
    """How far the cycle's own work came.

    Attributes:
        missing: what preflight did not find, each with what to type.
        request_problems: why the allowlist does not allow what the cycle was asked for.
        fire: the live fire step.
        notes: what went on but not well: a blocked live fire, a message that could not be kept.
        cut: STOPPED, TIMED_OUT or INTERRUPTED where the work was cut off; None where it came to its end.
        cut_reason: by what.
        done: what was done until then, in order.
    """

    missing: tuple[str, ...] = ()
    request_problems: tuple[str, ...] = ()
    fire: FireStep = field(default_factory=FireStep)
    notes: tuple[str, ...] = ()
    cut: Outcome | None = None
    cut_reason: str = ""
    done: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """All six steps, the outcome, and in words what decided it."""

    steps: tuple[Step, ...]
    outcome: Outcome
    cause: str


def modes_of(state: ControlState, keys_problem: str, now: datetime) -> Modes:
    """What the control plane says at `now`."""
    gate, window = model.effective_gate(state, now), state.window
    return Modes(
        stopped=model.why_stopped(state),
        gate=gate,
        gate_ran_out=state.gate is Gate.REAL_ENABLED and gate is not Gate.REAL_ENABLED,
        delivery_policy=model.delivery_policy(state, now),
        sender_on=model.sender_on(state, now),
        external_send=external_send(state, now),
        window=NONE if window is None else windows.window_status(window, now).value,
        window_left_s=0 if window is None else windows.remaining_s(window, now),
        keys=0 if window is None else len(window.approvals),
        keys_problem=keys_problem,
    )


def barrier(modes: Modes) -> Outcome | None:
    """The outcome that keeps the cycle's work from beginning at all; None where it may begin."""
    for _, state, _, outcome in _before(modes):
        if state is StepState.FAILED:
            return outcome
    return None


def judge(modes: Modes, work: Work, missed: tuple[str, ...] = ()) -> Judged:
    """The six steps and the outcome.

    Args:
        modes: what the control plane said.
        work: how far the work came; looked at only where nothing stood before it.
        missed: keys of the slots that nobody ran.
    """
    steps: list[Step] = []
    outcome, cause = None, ""
    for name, state, told, failed_as in (*_before(modes), _work_step(work)):
        number = len(steps) + 1
        seen = told if len(told) <= SEEN_MAX_CHARS else told[:SEEN_MAX_CHARS] + " …"
        if outcome is not None:
            steps.append(Step(number=number, name=name, state=StepState.NOT_REACHED, seen=_not_reached(steps)))
            continue
        steps.append(Step(number=number, name=name, state=state, seen=seen))
        if state is StepState.FAILED:
            outcome, cause = failed_as, seen
    if outcome is None:
        return _result(steps, missed)
    last = Step(number=len(NAMES), name=NAMES[-1], state=StepState.NOT_REACHED, seen=_not_reached(steps))
    return Judged(steps=(*steps, last), outcome=outcome, cause=cause)


_Row = tuple[str, StepState, str, Outcome]


def _before(modes: Modes) -> tuple[_Row, ...]:
    stop: _Row = (
        NAMES[0],
        StepState.FAILED if modes.stopped else StepState.OK,
        modes.stopped or "released",
        Outcome.STOPPED,
    )
    ran_out = " (REAL_ENABLED ran out)" if modes.gate_ran_out else ""
    gate: _Row = (
        NAMES[1],
        StepState.WARN if modes.gate_ran_out else StepState.OK,
        f"{modes.gate}{ran_out}",
        Outcome.STOPPED,
    )
    if modes.gate is not Gate.REAL_ENABLED:
        why = f"the gate is {modes.gate}"
        none: tuple[_Row, ...] = tuple(
            (name, StepState.NOT_NEEDED, why, Outcome.WINDOW_NOT_ACTIVE) for name in NAMES[2:4]
        )
        return stop, gate, *none
    active = modes.window == WindowStatus.ACTIVE
    seen = "no window was requested" if modes.window == NONE else f"the window is {modes.window}"
    given = f"{modes.keys} of {model.KEYS_NEEDED} keys given"
    if modes.window == WindowStatus.REQUESTED:
        seen += f", {given}"
    elif active:
        seen += f", {modes.window_left_s} s left"
    proven = modes.keys >= model.KEYS_NEEDED and not modes.keys_problem
    return (
        stop,
        gate,
        (NAMES[2], StepState.OK if active else StepState.FAILED, seen, Outcome.WINDOW_NOT_ACTIVE),
        (
            NAMES[3],
            StepState.OK if proven else StepState.FAILED,
            f"APPROVED, {given}" if proven else modes.keys_problem or given,
            Outcome.WINDOW_NOT_ACTIVE,
        ),
    )


def _work_step(work: Work) -> _Row:
    name, done = NAMES[4], "; ".join(work.done) or "nothing"
    if work.missing:
        return name, StepState.FAILED, "; ".join(work.missing), Outcome.PREFLIGHT_FAIL
    if work.request_problems:
        return name, StepState.FAILED, "; ".join(work.request_problems), Outcome.ALLOWLIST_VIOLATION
    if work.cut is not None:
        return name, StepState.FAILED, f"{work.cut_reason}; done until then: {done}", work.cut
    if work.notes:
        return name, StepState.WARN, "; ".join(work.notes), Outcome.INTERRUPTED
    return name, StepState.OK, done, Outcome.INTERRUPTED


def _result(steps: list[Step], missed: tuple[str, ...]) -> Judged:
    """The last step where none before it failed: warnings make WARN, and so do slots that nobody ran."""
    warnings = [f"{step.name}: {step.seen}" for step in steps if step.state is StepState.WARN]
    if missed:
        shown = ", ".join(missed[:3]) + (f" and {len(missed) - 3} more" if len(missed) > 3 else "")
        warnings.append(f"missed before: {shown}")
    state, outcome = (StepState.WARN, Outcome.WARN) if warnings else (StepState.OK, Outcome.OK)
    cause = "; ".join(warnings) or "every step was as it should be"
    last = Step(number=len(NAMES), name=NAMES[-1], state=state, seen=cause if warnings else outcome.value)
    return Judged(steps=(*steps, last), outcome=outcome, cause=cause)


def _not_reached(steps: list[Step]) -> str:
    failed = next(step for step in steps if step.state is StepState.FAILED)
    return f"step {failed.number}, {failed.name}, failed before"
