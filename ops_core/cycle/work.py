"""Step 5, the cycle's own work: preflight, allowlist, live fire, daily message, no further than allowed.

The live fire goes before the daily message: approvals are bound to what waits in the outbox, and a message more would
be one that nobody approved. For the same reason no message is added while a window waits to be used.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from ops_core.config import Settings
from ops_core.control.model import Gate
from ops_core.control.model import window as windows
from ops_core.control.running import Work as Registered
from ops_core.control.running.lasting import works_beside
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.cycle.cutting import CutOffError, Limits, SignalledError
from ops_core.cycle.preflight import Missing, look
from ops_core.cycle.sequence import FireStep, Modes, Outcome, Work
from ops_core.errors import OpsError

BY = "cycle"
FIRED = "FIRED"
UNKNOWN = "UNKNOWN"


@dataclass(kw_only=True)
class Progress:
    """How far the work has come; kept up to date, so that it tells the truth whenever it is cut off."""

    missing: tuple[Missing, ...] = ()
    request_problems: tuple[str, ...] = ()
    fire: FireStep = field(default_factory=FireStep)
    message: tuple[str | None, str] = (None, "")
    notes: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    cut: Outcome | None = None
    cut_reason: str = ""

    def frozen(self) -> Work:
        """As the sequence judges it."""
        return Work(
            missing=tuple(map(str, self.missing)),
            request_problems=self.request_problems,
            fire=self.fire,
            notes=tuple(self.notes),
            cut=self.cut,
            cut_reason=self.cut_reason,
            done=tuple(self.done),
        )


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one cycle is to do."""

    settings: Settings
    plane: ControlPlane
    limits: Limits
    run_id: str
    request_types: tuple[str, ...]
    authorised: bool


def work(job: Job, registered: Registered, modes: Modes, progress: Progress) -> None:
    """Do the work, noting in `progress` how far it came. What goes wrong in our own program is noted too."""
    try:
        _steps(job, registered, modes, progress)
    except CutOffError as cut:
        progress.cut, progress.cut_reason = cut.outcome, cut.reason
        _complete_fire(job, progress)
    except SignalledError:
        progress.cut, progress.cut_reason = Outcome.INTERRUPTED, "it was ended by a signal"
    except OpsError as error:
        progress.cut, progress.cut_reason = Outcome.INTERRUPTED, error.what
    except Exception as error:  # noqa: BLE001 - whatever it is, the cycle has to leave a receipt
        # Its text is a stranger's and may hold anything.
        progress.cut, progress.cut_reason = Outcome.INTERRUPTED, f"this is a defect of ops: {type(error).__name__}"


def _steps(job: Job, registered: Registered, modes: Modes, progress: Progress) -> None:
    settings, limits = job.settings, job.limits
    with limits.breakable():
        missing = look(settings, registered.environ, limits.left_s)
    limits.check()
    progress.missing = missing
    if missing:
        return
    needs = settings.cycle
    progress.done.append(f"preflight: {len(needs.needs_modules)} modules, {len(needs.needs_files)} files")
    progress.request_problems = _request_problems(job)
    if progress.request_problems:
        return
    progress.done.append(f"allowlist: {', '.join(job.request_types)}")
    limits.check()
    _fire(job, modes, progress)
    limits.check()
    _message(job, modes, progress)


def _request_problems(job: Job) -> tuple[str, ...]:
    from ops_core.control.contracts import request_problem

    with job.plane.snapshot() as found:
        told = ((one, request_problem(found, job.settings, one)) for one in job.request_types)
        return tuple(f"{one}: {problem}" for one, problem in told if problem)


def why_no_fire(configured: bool, modes: Modes, authorised: bool) -> str:
    """Why a cycle tries no live fire; empty where it does."""
    if not configured:
        return "not configured: cycle.live_fire is false"
    if modes.gate is not Gate.REAL_ENABLED:
        return f"the gate is {modes.gate}"
    return "" if authorised else "not authorised: whoever started the cycle may not fire"


def _fire(job: Job, modes: Modes, progress: Progress) -> None:
    reason = why_no_fire(job.settings.cycle.live_fire, modes, job.authorised)
    if reason:
        progress.fire = FireStep(reason=reason)
        return
    from ops_core.push import fire

    # What counts until we know better: cut off in the middle, nobody can tell what left.
    progress.fire = FireStep(attempted=True, result=UNKNOWN, reason="it was cut off; ops live-fire latest tells more")
    try:
        receipt = fire(job.settings, job.plane, authorised=True, pause=lambda phase: _between(job, phase))
    except OpsError as error:
        progress.fire = FireStep(attempted=True, result="REFUSED", reason=error.what)
        progress.notes.append(f"the live fire was refused: {error.what}")
        return
    progress.fire = _fire_step(receipt)
    if progress.fire.result == FIRED:
        progress.done.append(f"live fire {progress.fire.fire_id}")
    else:
        progress.notes.append(f"the live fire is {progress.fire.result}: {progress.fire.reason}")


def _between(job: Job, phase: str) -> None:
    """A live fire is cut off before it burns, and between two messages: nowhere else, so that each is accounted for."""
    if phase in {"judged", "recorded"}:
        job.limits.check()


def fire_within(found: Transaction, cycle: str, begun_at: str) -> FireStep:
    """What is known of the live fire of a cycle that was cut off: one that its own process burnt, not anybody's.

    Args:
        found: the store.
        cycle: the id of the work that the cycle was registered as.
        begun_at: when it began.
    """
    from ops_core.push.receipts import burnt_by

    try:
        receipt = burnt_by(found, works_beside(found, cycle), begun_at)
    except OpsError as error:
        return FireStep(result=UNKNOWN, reason=f"it cannot be told whether one began: {error.what}")
    return FireStep(reason="none had begun when the cycle was cut off") if receipt is None else _fire_step(receipt)


def _complete_fire(job: Job, progress: Progress) -> None:
    """A live fire that was cut off in the middle is ended in the record at once, not by whoever comes next."""
    if progress.fire.attempted and progress.fire.result == UNKNOWN:
        from ops_core.push import recover

        # What cannot be completed now, the next live fire completes before it begins.
        with contextlib.suppress(OpsError):
            recover(job.plane)


def _fire_step(receipt: dict[str, Any]) -> FireStep:
    result = str(receipt.get("outcome", UNKNOWN))
    fire_id = receipt.get("fire_id")
    return FireStep(
        attempted=True,
        result=result,
        reason=str(receipt.get("reason") or result),
        fire_id=None if fire_id is None else str(fire_id),
    )


def _message(job: Job, modes: Modes, progress: Progress) -> None:
    from ops_core.push import add_message

    now, state = job.plane.clock.now(), job.plane.state()
    if windows.is_open(state, now):
        progress.message = (None, "held back: a window is open, and its approvals are for the outbox as it is")
        return
    lines = [
        f"Daily cycle {job.run_id}",
        f"gate {modes.gate}, delivery {modes.delivery_policy}, external send {modes.external_send}",
        f"live fire: {progress.fire.reason}",
        *progress.notes,
        _checkpoint_line(job),
    ]
    try:
        message_id = add_message(job.plane, "\n".join(line[:500] for line in lines), BY)
    except OpsError as error:
        progress.message = (None, error.what)
        progress.notes.append(f"no daily message: {error.what}")
        return
    progress.message = (message_id, "waits in the outbox")
    progress.done.append(f"daily message {message_id}")


def _checkpoint_line(job: Job) -> str:
    from ops_core.control.checkpoint import as_line, checkpoint_of

    with job.plane.snapshot() as found:
        return as_line(checkpoint_of(found, job.settings))
