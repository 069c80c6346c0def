"""The five steps of a day on the operator's host: pull, backend, summary, live cycle, snapshot.

In strict order, each in its own budget, each leaving what it saw. The first that does not hold ends the day, and what
is behind it is not reached. It may be run again at any time: a bundle that is in force is not taken twice, and nothing
is shown twice.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops_core.clock import Clock, isoformat, new_run_id
from ops_core.config import Settings, read_secret
from ops_core.control import model
from ops_core.control.checkpoint import checkpoint_of
from ops_core.control.recorded import one_of
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError, Refused
from ops_core.handoff import child
from ops_core.handoff.installed import in_force
from ops_core.live.snapshots import RECEIPTS
from ops_core.push.exchange import certificates
from ops_core.split import steps
from ops_core.split.asking import Asked, Backend
from ops_core.split.lock import claimed
from ops_core.split.steps import NAMES, Outcome, State, Verdict

SCHEMA = "split_receipt_v1"
KIND = "split"
ENDED = RECEIPTS[KIND]
CONFIRM = {"confirm": "true"}
PULL_MAX_BYTES = 1 << 20
SEEN_MAX_CHARS = 700
BUSY_S = 15.0
Say = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What the pull told: its receipt or its error, or None; and why it had to be ended, if it had."""

    told: Mapping[str, Any] | None
    why: str = ""


Pull = Callable[[Settings, float], Pulled]


def run(
    settings: Settings,
    plane: ControlPlane,
    clock: Clock,
    *,
    say: Say = lambda _: None,
    pull: Pull | None = None,
) -> dict[str, Any]:
    """Go through the five steps and return the receipt.

    Args:
        settings: the profile.
        plane: its control plane.
        clock: tells the time.
        say: told each step as soon as it has ended.
        pull: takes the newest bundle within so many seconds; `ops handoff pull` in a process of its own unless given.

    Returns:
        The receipt; its `verdict` is COMPLETED, WARN, BLOCKED or FAILED. `recorded` is false where the store cannot be
        used.

    Raises:
        DayRunning: another run is under way.
        SecretMissing: the token that is named has no value.
    """
    with claimed(settings.control_dir, clock):
        day = _Day(
            settings=settings,
            plane=plane.impatient(BUSY_S),
            clock=clock,
            backend=backend_of(settings),
            pull=pull or pull_apart,
        )
        begun_at = isoformat(clock.now())
        told: list[dict[str, Any]] = []
        outcomes: list[Outcome] = []
        for number, (name, budget_s, act) in enumerate(day.steps, start=1):
            one, outcome = _carry_out(day, name, budget_s, act, reached=not (outcomes and outcomes[-1].state.ends))
            told.append({"step": number, **one})
            outcomes.append(outcome)
            say(told[-1])
        return _close(day, begun_at, told, outcomes)


def backend_of(settings: Settings) -> Backend:
    """The server that is asked.

    Raises:
        SecretMissing: the token that is named has no value.
        OpsError: the certificates cannot be read.
    """
    split = settings.split
    token = read_secret(settings, split.token) if split.token else ""
    return Backend(url=split.backend_url, token=token, tls=certificates(settings.ca_file, split.backend_url))


def pull_apart(settings: Settings, budget_s: float) -> Pulled:
    """Pull in a process of its own: it can be ended at any moment, and what is in force is whole all the same."""
    argv = (sys.executable, "-P", "-m", "ops_core.cli", "handoff", "pull", "--json")
    where = ("--config", str(settings.path), "--profile", settings.profile)
    try:
        said = child.run(
            (*argv, *where), budget_s=budget_s, env=os.environ, cwd=settings.root, limit_bytes=PULL_MAX_BYTES
        )
    except OSError as error:
        return Pulled(told=None, why=f"it cannot be started: {error.strerror}")
    if said.why:
        return Pulled(told=None, why=said.why)
    try:
        told = json.loads(said.out)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Pulled(told=None, why=f"it ended with {said.exit_code} and told nothing")
    return Pulled(told=told)


@dataclass(kw_only=True)
class _Day:
    """One run of the five steps: with what it is done, and what was seen so far."""

    settings: Settings
    plane: ControlPlane
    clock: Clock
    backend: Backend
    pull: Pull
    evidence: list[dict[str, Any]] = field(default_factory=list)
    receipt: Mapping[str, Any] = field(default_factory=dict)
    ends_at: float = 0.0

    @property
    def steps(self) -> Iterator[tuple[str, float, Callable[[], Outcome]]]:
        """The steps in their order: name, budget in seconds, act."""
        budgets = self.settings.split
        acts = (self._pull, self._health, self._summary, self._live_cycle, self._snapshot)
        seconds = (budgets.pull_s, budgets.health_s, budgets.summary_s, budgets.live_cycle_s, budgets.snapshot_s)
        return zip(NAMES, seconds, acts, strict=True)

    @property
    def left_s(self) -> float:
        """Seconds that the step which is under way has left."""
        return max(0.0, self.ends_at - self.clock.monotonic())

    def _pull(self) -> Outcome:
        pulled = self.pull(self.settings, self.left_s)
        here = in_force(self.settings)
        bundle, problem = ("", "") if here is None else (here.bundle_id, here.problem)
        told = pulled.told or {}
        seen = {name: told.get(name) for name in ("run_id", "outcome", "code", "bundle_id", "error") if told.get(name)}
        self.evidence.append({"pull": seen, "in_force": bundle or None, "problem": problem or pulled.why})
        return steps.judge_pull(pulled.told, pulled.why, bundle, problem)

    def _health(self) -> Outcome:
        return steps.judge_health(self._ask("GET", "/api/ops/health"))

    def _summary(self) -> Outcome:
        made = self._ask("POST", "/api/ops/summary/regenerate", CONFIRM)
        latest = self._ask_if_good(made, "/api/ops/summary/latest")
        return steps.judge_summary(made, latest, self._recorded("ops_summary", made))

    def _live_cycle(self) -> Outcome:
        made = self._ask("POST", "/api/live/cycle/run", CONFIRM)
        latest = self._ask_if_good(made, "/api/live/cycle/latest")
        self.receipt = made.document or {}
        return steps.judge_live_cycle(made, latest, self._recorded("live_cycle", made))

    def _snapshot(self) -> Outcome:
        asked = self._ask("GET", "/api/snapshots/resolve", {"ref": str(self.receipt.get("snapshot_ref"))})
        return steps.judge_snapshot(asked, self.receipt)

    def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Asked:
        asked = self.backend.ask(method, path, budget_s=self.left_s, query=query)
        self.evidence.append(asked.as_dict())
        return asked

    def _ask_if_good(self, made: Asked, path: str) -> Asked:
        """What is told as the latest; not asked where nothing was made that it could be."""
        return made if steps.answered(made)[1] is not None else self._ask("GET", path)

    def _recorded(self, kind: str, made: Asked) -> Mapping[str, Any] | None:
        """What our own record holds of the run that the backend says to have made."""
        run_id = (made.document or {}).get("run_id")
        if not isinstance(run_id, str) or steps.answered(made)[1] is not None:
            return None
        with self.plane.snapshot() as found:
            return one_of(found, RECEIPTS[kind], run_id)


def _carry_out(
    day: _Day, name: str, budget_s: float, act: Callable[[], Outcome], *, reached: bool
) -> tuple[dict[str, Any], Outcome]:
    """One step, whatever becomes of it, and what a receipt tells of it."""
    began = day.clock.monotonic()
    day.evidence, day.ends_at = [], began + budget_s
    outcome = _tried(day, act) if reached else Outcome(state=State.NOT_REACHED, seen="")
    return {
        "name": name,
        "state": outcome.state.value,
        "seen": outcome.seen[:SEEN_MAX_CHARS],
        "next": outcome.next_step,
        "budget_s": budget_s,
        "took_s": round(day.clock.monotonic() - began, 3),
        "evidence": day.evidence,
    }, outcome


def _tried(day: _Day, act: Callable[[], Outcome]) -> Outcome:
    try:
        outcome = act()
    except Refused as error:
        outcome = Outcome(state=State.BLOCKED, seen=error.what, next_step=error.next_step)
    except OpsError as error:
        outcome = steps.failed(error.what, error.next_step)
    except Exception as error:  # noqa: BLE001 - whatever a backend answers, the day has to leave a receipt
        # Its text is a stranger's and may hold anything.
        outcome = steps.failed(f"this is a defect of ops: {type(error).__name__}", "ops doctor")
    state = day.plane.state()
    if outcome.state is State.FAILED and state.stopped and not state.problem:
        # Whoever stops everything ends what was asked for: that is the guard working.
        seen = f"{model.why_stopped(state)}; before that: {outcome.seen}"
        return Outcome(state=State.BLOCKED, seen=seen, next_step=model.RELEASE_COMMAND)
    return outcome


def _close(day: _Day, begun_at: str, told: list[dict[str, Any]], outcomes: list[Outcome]) -> dict[str, Any]:
    """The receipt, recorded where that can be."""
    verdict, reason = steps.verdict_of(outcomes)
    plane, clock = day.plane, day.clock
    receipt: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": new_run_id(clock.now()),
        "asof": isoformat(clock.now()),
        "begun_at": begun_at,
        "ended_at": isoformat(clock.now()),
        "actor": plane.actor,
        "backend": day.settings.split.backend_url,
        "verdict": verdict.value,
        "reason": reason[: 2 * SEEN_MAX_CHARS],
        "next": next((one.next_step for one in outcomes if one.state.ends or one.alarm), ""),
        "steps": told,
        "live_cycle": day.receipt.get("run_id") if outcomes[3].state is not State.NOT_REACHED else None,
        "snapshot_ref": None,
        "recorded": False,
        "checkpoint": None,
    }
    try:
        with plane.transaction() as change:
            now = clock.now()
            run_id = new_run_id(now, f"{change.head[0] + 1:06d}")
            whole = {**receipt, "run_id": run_id, "snapshot_ref": f"{KIND}/{run_id}", "recorded": True}
            whole["checkpoint"] = checkpoint_of(change, day.settings)
            change.audit(at=now, actor=plane.actor, action=ENDED, subject=run_id, detail=whole)
    except OpsError as error:
        why = f"the receipt could not be recorded: {error.what}"
        failing = verdict in {Verdict.COMPLETED, Verdict.WARN}
        return {**receipt, "verdict": Verdict.FAILED.value if failing else verdict.value, "reason": f"{reason}; {why}"}
    return whole
