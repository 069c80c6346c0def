"""The error-budget policy: a rollout runs where the budget of what it touches is known not to be spent.

A change is the likeliest cause of trouble. So while a promise is broken already, or nobody knows whether it is, nothing
new goes out, unless a person says why it has to, and that is recorded. Emergency stop and gate are asked as for every
other act; the command is a work of its own, which a stop ends with everything that it started.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.clock import Clock
from ops_core.config import Settings, known_secrets
from ops_core.control.model import REASON_MAX_CHARS, tidy
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused, UsageError
from ops_core.remediation.child import Ended, run_child
from ops_core.remediation.guard import Guard
from ops_core.slo.availability import BudgetState
from ops_core.slo.figures import TargetFigures, figures
from ops_core.slo.periods import days_until

KIND = "rollout"
ARGUMENTS_MAX = 256
ARGUMENT_MAX_CHARS = 4096
SHOWN_MAX_CHARS = 8192


class BudgetRefused(Refused):
    """The budget of a target is spent, or nobody knows whether it is. `rulings` says so of each target."""

    def __init__(self, what: str, rulings: tuple[Ruling, ...], *, where: str, next_step: str) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.rulings = rulings

    def as_dict(self) -> dict[str, Any]:
        """The four parts, with the figures for programs."""
        return {**super().as_dict(), "budgets": [one.as_dict() for one in self.rulings]}


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What the budget of one target says about a rollout. Shares are of the days that the budget is for."""

    target: str
    state: BudgetState
    objective: float
    days: int
    left_ratio: float | None
    spent_s: float
    allowed_s: float
    unknown_share: float | None

    @property
    def why(self) -> str:
        """The figures in words."""
        of = f"of {self.allowed_s:.0f} s that {self.objective * 100:.6g} % of {self.days} days allow"
        if self.state is BudgetState.UNKNOWN:
            share = 100.0 if self.unknown_share is None else self.unknown_share * 100
            return f"nobody knows: {share:.1f} % of {self.days} days were not observed"
        return f"{self.spent_s:.0f} s were bad {of}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "target": self.target,
            "state": self.state.value,
            "objective": self.objective,
            "days": self.days,
            "left_ratio": None if self.left_ratio is None else round(self.left_ratio, 6),
            "spent_s": round(self.spent_s, 3),
            "allowed_s": round(self.allowed_s, 3),
            "unknown_share": None if self.unknown_share is None else round(self.unknown_share, 6),
            "why": self.why,
        }


@dataclass(frozen=True, kw_only=True)
class RolledOut:
    """How a rollout ended; `overridden` tells whether it ran although a budget said no."""

    ended: Ended
    rulings: tuple[Ruling, ...]
    overridden: bool
    stopped: bool


def rulings(settings: Settings, plane: ControlPlane, clock: Clock, targets: Sequence[str]) -> tuple[Ruling, ...]:
    """What the error budgets of these targets say now; of all targets, if none is named.

    Raises:
        UsageError: there is no such target, or none at all: a rollout without a budget would be one that nobody knows.
    """
    if not settings.targets:
        raise UsageError(
            "there is no target whose error budget could be asked",
            where=f"[profiles.{settings.profile}.targets]",
            allowed="at least one target",
        )
    wanted = [settings.target(name).name for name in dict.fromkeys(targets)]
    days = settings.slo.budget_days
    found = figures(settings, plane, clock, days_until(clock.now(), days, settings.slo.zone))
    return tuple(_ruling(one, days) for one in found.targets if not wanted or one.name in wanted)


def roll_out(
    settings: Settings,
    plane: ControlPlane,
    clock: Clock,
    argv: Sequence[str],
    *,
    targets: Sequence[str] = (),
    override: bool = False,
    reason: str = "",
    folder: Path,
    timeout_s: float,
) -> RolledOut:
    """Run a command where budget, emergency stop and gate permit it, and record that.

    Args:
        settings: the profile.
        plane: its control plane.
        clock: tells the time.
        argv: the command, as an argument list.
        targets: what it touches; all targets, if none is named.
        override: run it although a budget is spent or unknown; never although a guard says no.
        reason: why; needed for an override.
        folder: where it runs.
        timeout_s: seconds after which it is ended.

    Raises:
        BudgetRefused: a budget is spent, or not known. Nothing was run.
        Refused: the emergency stop is engaged, or the gate does not permit it. Nothing was run.
        UsageError: it cannot be run as asked.
        StoreUnusable: it cannot be recorded. Nothing was run.
    """
    _check(argv, override=override, reason=reason)
    found = rulings(settings, plane, clock, targets)
    held = [one for one in found if one.state is not BudgetState.LEFT]
    shown = _shown(settings, argv)
    told = {
        "argv": shown,
        "targets": [one.target for one in found],
        "budgets": [one.as_dict() for one in found],
        "reason": tidy(reason, "", REASON_MAX_CHARS),
        "override": bool(held) and override,
    }
    if held and not override:
        _record(plane, clock, "rollout.refused", told)
        raise BudgetRefused(
            "; ".join(f"the error budget of {one.target} is {one.state.value}: {one.why}" for one in held),
            found,
            where=", ".join(one.target for one in held),
            next_step='repair first, or: ops rollout --override --reason "why it cannot wait" -- …',
        )
    guard = Guard(plane, settings.drill)
    guard.check()
    with ExitStack() as until:
        work = until.enter_context(_work(plane))
        with guard.at_the_point_of_effect() as change:
            change.audit(at=clock.now(), actor=plane.actor, action="rollout.begun", subject=work.id, detail=told)
        try:
            ended = run_child(argv, timeout_s=timeout_s, must_end=work.must_end, cwd=folder, env=work.environ)
        except OSError as error:
            ended = Ended(exit_code=-1, why=f"cannot be started: {error.strerror}", output="", elapsed_s=0.0)
        stopped = bool(ended.why and work.must_end())
        outcome = {
            "argv": shown,
            "exit_code": ended.exit_code,
            "why": ended.why,
            "elapsed_s": round(ended.elapsed_s, 3),
        }
        _record(plane, clock, "rollout.ended", outcome, subject=work.id)
    return RolledOut(ended=ended, rulings=found, overridden=bool(held), stopped=stopped)


def _work(plane: ControlPlane) -> Any:
    from ops_core.control.running import registered

    return registered(plane, KIND)


def _record(plane: ControlPlane, clock: Clock, action: str, told: dict[str, Any], subject: str = "") -> None:
    with plane.transaction() as change:
        change.audit(at=clock.now(), actor=plane.actor, action=action, subject=subject, detail=told)


def _ruling(one: TargetFigures, days: int) -> Ruling:
    return Ruling(
        target=one.name,
        state=one.budget_state,
        objective=one.objective,
        days=days,
        left_ratio=one.budget.left_ratio,
        spent_s=one.budget.spent_s,
        allowed_s=one.budget.allowed_s,
        unknown_share=one.availability.unknown_share,
    )


def _shown(settings: Settings, argv: Sequence[str]) -> str:
    """The command for the record: as it would be typed, without secrets."""
    from ops_core.probes.instruments.redact import Redactor
    from ops_core.remediation.plan import shown

    return Redactor(known_secrets(settings).values()).text(shown(tuple(argv)))[:SHOWN_MAX_CHARS]


def _check(argv: Sequence[str], *, override: bool, reason: str) -> None:
    if not argv or not argv[0]:
        raise UsageError("there is nothing to roll out", where="COMMAND", allowed="ops rollout -- COMMAND ARGUMENT…")
    if len(argv) > ARGUMENTS_MAX or any(len(one) > ARGUMENT_MAX_CHARS or "\0" in one for one in argv):
        allowed = f"{ARGUMENTS_MAX} arguments of {ARGUMENT_MAX_CHARS} characters, without a null"
        raise UsageError("the command is too long, or no command", where="COMMAND", allowed=allowed)
    if override and not tidy(reason, ""):
        raise UsageError(
            "an override needs a reason", where="--reason", allowed="a line that says why", next_step='--reason "…"'
        )
