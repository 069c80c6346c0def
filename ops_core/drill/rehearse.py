"""A rehearsal: break a stack for real, let the runbook deal with it, and hold it to what it promised.

Everything is made fresh in a directory of its own: stack, control store, what is known to be good. Nothing of it is
left but the reports.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ops_core.clock import Clock, new_run_id, parse_instant
from ops_core.config import Settings, load_settings
from ops_core.control.opening import plane_of
from ops_core.control.service import ControlPlane
from ops_core.drill.base_stack import Stack
from ops_core.drill.fault import Fault
from ops_core.drill.people import give_two_keys
from ops_core.errors import OpsError
from ops_core.incident.loop import IncidentOutcome, run_incident
from ops_core.observation.launch import observe
from ops_core.report.model import IncidentView
from ops_core.verdict import Verdict

ACTOR = "drill"
REASON = "a rehearsal on a stack of its own"
ESCALATED, RECOVERED = "escalated", "recovered"


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """How a rehearsal went. Seconds count from the moment at which the fault was in force.

    `problems` says in which ways the runbook did not do what the fault catalogue promises; empty is a pass.
    """

    fault: str
    outcome: IncidentOutcome
    view: IncidentView
    detect_s: float | None
    decide_s: float | None
    recover_s: float | None
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "fault": self.fault,
            "incident": self.view.id,
            "state": self.view.state,
            "findings": [{"code": finding.code, "target": finding.target} for finding in self.view.findings],
            "row": self.view.row_id,
            "remediation": self.view.remediation,
            "detect_s": self.detect_s,
            "decide_s": self.decide_s,
            "recover_s": self.recover_s,
            "problems": list(self.problems),
            "files": [str(path) for path in self.outcome.files],
        }


def rehearse(
    fault: Fault,
    *,
    reports_dir: Path,
    clock: Clock,
    say: Callable[[str], None],
    lang: str = "en",
    verify_s: float | None = None,
) -> Rehearsal:
    """Go the whole way once: start, see it healthy, break it, detect, decide, recover, verify, report, take it down.

    Args:
        fault: what to break.
        reports_dir: where records and reports go; everything else is thrown away.
        clock: tells the time and sleeps.
        say: told what happens, a line at a time.
        lang: language of what is said and written.
        verify_s: seconds that a remedy gets to show its effect; see `run_incident`.

    Raises:
        OpsError: the rehearsal could not be held: the stack does not start, or is not healthy to begin with.
    """
    with tempfile.TemporaryDirectory(prefix="ops-drill-") as folder:
        stack = fault.stack(Path(folder), clock=clock, reports_dir=reports_dir)
        with stack, environment_of(stack):
            settings = load_settings(stack.config, stack.PROFILE)
            plane = plane_of(settings, clock, ACTOR)
            plane.create()
            plane.release(REASON)
            plane.set_gate("MOCK_ONLY", REASON)
            see_it_healthy(stack, settings, say)
            rehearsal = rehearse_on(
                stack, fault, settings=settings, plane=plane, clock=clock, say=say, lang=lang, verify_s=verify_s
            )
            plane.verify_chain()
    return rehearsal


def rehearse_on(
    stack: Stack[Any],
    fault: Fault,
    *,
    settings: Settings,
    plane: ControlPlane,
    clock: Clock,
    say: Callable[[str], None],
    lang: str = "en",
    verify_s: float | None = None,
) -> Rehearsal:
    """Break a stack that runs and was seen healthy, let the runbook deal with it, and take the fault back.

    Args:
        stack: whose variables are in the environment.
        fault: what to break.
        settings: the configuration that means this stack.
        plane: its control plane.
        clock: tells the time and sleeps.
        say: told what happens, a line at a time.
        lang: language of what is said and written.
        verify_s: see `rehearse`.

    Raises:
        OpsError: the rehearsal could not be held, or nothing was noticed.
    """
    try:
        fault.inject(stack)
        injected_at = clock.now()
        say(f"injected {fault.name}: {fault.description.get(lang, fault.description['en'])}")
        if fault.two_keys:
            give_two_keys(settings, plane, fault.remediation, fault.target, stack.work_dir / "people")
            say(f"two people approved {fault.remediation} of {fault.target}")
        outcome = run_incident(
            settings,
            suite=stack.SUITE,
            plane=plane,
            clock=clock,
            say=say,
            lang=lang,
            injected_at=injected_at,
            fault=fault.name,
            verify_s=verify_s,
        )
        healed = not fault.in_force(stack)
    finally:
        fault.withdraw(stack)
    return _judged(fault, outcome, injected_at, healed=healed)


def _judged(fault: Fault, outcome: IncidentOutcome, injected_at: datetime, *, healed: bool) -> Rehearsal:
    """What happened, held against what the fault catalogue promises."""
    view = outcome.view
    if view is None:
        raise OpsError(f"the fault {fault.name} was not noticed: the verdict was {outcome.outcome}")

    def after(instant: str | None) -> float | None:
        return None if instant is None else round((parse_instant(instant) - injected_at) / timedelta(seconds=1), 3)

    return Rehearsal(
        fault=fault.name,
        outcome=outcome,
        view=view,
        detect_s=after(view.detected_at),
        decide_s=after(view.decided_at),
        recover_s=after(view.recovered_at),
        problems=tuple(_problems(fault, view, healed=healed)),
    )


def see_it_healthy(stack: Stack[Any], settings: Settings, say: Callable[[str], None]) -> None:
    """The first observation: what is in force is seen good, and so worth rolling back to."""
    record = settings.reports_dir / stack.SUITE / f"{new_run_id(stack.clock.now())}.json"
    seen = observe(settings, suite=stack.SUITE, record=record)
    if seen.observation.verdict is not Verdict.HEALTHY:
        raise OpsError(
            f"the {stack.layout.KIND} is {seen.observation.verdict} before anything was broken", where=str(seen.path)
        )
    say(f"the {stack.layout.KIND} is up and HEALTHY: {len(seen.observation.judgements)} checks")


def _problems(fault: Fault, view: IncidentView, *, healed: bool) -> Iterator[str]:
    found = {finding.code for finding in view.findings if finding.target == fault.target}
    for code in fault.findings:
        if code not in found:
            yield f"{code} was not found about {fault.target}"
    expected = {fault.target, *fault.dependents}
    others = sorted({finding.target or "control plane" for finding in view.findings} - expected)
    if others:
        yield f"findings about what was not broken: {', '.join(others)}"
    if fault.curable:
        if view.remediation != fault.remediation:
            yield f"the remedy was {view.remediation}, not {fault.remediation}"
        end = ESCALATED if fault.left else RECOVERED
        if view.state != end:
            yield f"the end was {view.state}, not {end}"
        elif not healed:
            yield f"it was called {end} while the fault was still in force"
    elif view.state != ESCALATED:
        yield f"nothing heals it, and yet the end was {view.state}, not {ESCALATED}"


@contextlib.contextmanager
def environment_of(stack: Stack[Any]) -> Iterator[None]:
    """The stack's variables, for `ops.toml` and for the processes that read it."""
    values = stack.environ()
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
