"""A rehearsal: break a stack for real, let the runbook deal with it, and hold it to what it promised.

Everything is made fresh in a directory of its own: stack, control store, what is known to be good. Nothing of it is
left but the reports.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ops_core.clock import Clock, new_run_id
from ops_core.config import Settings, load_settings
from ops_core.control.opening import plane_of
from ops_core.control.service import ControlPlane
from ops_core.drill.base_stack import Stack
from ops_core.drill.fault import Fault
from ops_core.drill.own import bring_along
from ops_core.drill.people import give_two_keys
from ops_core.drill.promised import Rehearsal, about, dealt_with, differences, judge
from ops_core.errors import OpsError, UsageError
from ops_core.incident.loop import Choice, run_incident
from ops_core.incident.store import Incidents
from ops_core.observation.launch import Launched, observe
from ops_core.verdict import Judged, Verdict

__all__ = [
    "Rehearsal",
    "environment_of",
    "rehearse",
    "rehearse_on",
    "see_it_healthy",
    "stack_of_its_own",
    "suites_of",
]

ACTOR = "drill"
REASON = "a rehearsal on a stack of its own"
AFTERWARDS_S = 20.0
PAUSE_S = 0.5


def rehearse(
    fault: Fault,
    *,
    reports_dir: Path,
    clock: Clock,
    say: Callable[[str], None],
    lang: str = "en",
    verify_s: float | None = None,
    config: Path | None = None,
) -> Rehearsal:
    """Go the whole way once: start, see it healthy, break it, detect, decide, recover, verify, report, take it down.

    Args:
        fault: what to break.
        reports_dir: where records and reports go; everything else is thrown away.
        clock: tells the time and sleeps.
        say: told what happens, a line at a time.
        lang: language of what is said and written.
        verify_s: seconds that a remedy gets to show its effect; see `run_incident`.
        config: the `ops.toml` whose profile means the stack; the shipped one by default.

    Raises:
        OpsError: the rehearsal could not be held: the stack does not start, or is not healthy to begin with.
    """
    with stack_of_its_own(fault.stack, reports_dir=reports_dir, clock=clock, config=config) as (stack, settings, plane):
        if fault.prepare is not None:
            fault.prepare(stack, fault.service)
        looked = [see_it_healthy(stack, settings, say, suite) for suite in suites_of(fault)]
        rehearsal = rehearse_on(
            stack,
            fault,
            settings=settings,
            plane=plane,
            clock=clock,
            say=say,
            lang=lang,
            verify_s=verify_s,
            healthy_record=looked[-1],
        )
        plane.verify_chain()
    return rehearsal


@contextlib.contextmanager
def stack_of_its_own(
    kind: type[Stack[Any]], *, reports_dir: Path, clock: Clock, config: Path | None = None
) -> Iterator[tuple[Stack[Any], Settings, ControlPlane]]:
    """A stack that runs, the settings that mean it, and its control plane, on which drills may act.

    Its variables are in the environment. At the end it is taken down, and its folder is thrown away.

    Args:
        kind: of the stack.
        reports_dir: where records and reports go.
        clock: tells the time and sleeps.
        config: the `ops.toml` whose profile means the stack; the shipped one by default.

    Raises:
        OpsError: it does not start, or the profile does not belong to it.
    """
    with tempfile.TemporaryDirectory(prefix="ops-drill-") as folder:
        stack = kind(Path(folder), clock=clock, reports_dir=reports_dir, config=config)
        with stack, environment_of(stack):
            bring_along(config, stack)
            settings = _of_the_stack(stack)
            plane = plane_of(settings, clock, ACTOR)
            plane.create()
            plane.release(REASON)
            plane.set_gate("MOCK_ONLY", REASON)
            yield stack, settings, plane


def _of_the_stack(stack: Stack[Any]) -> Settings:
    """The settings that mean this stack, and nothing of anybody's beside it.

    Raises:
        UsageError: the profile is not a drill, or keeps its control store or its reports elsewhere.
    """
    settings = load_settings(stack.config, stack.PROFILE)
    apart = settings.control_dir.is_relative_to(stack.work_dir) and settings.reports_dir == stack.reports_dir
    if not settings.drill or settings.control_url or not apart:
        raise UsageError(
            f"the profile {settings.profile!r} does not belong to the {stack.layout.KIND}",
            where=str(settings.path),
            allowed='drill = true, control_dir = "${OPS_CONTROL_DIR}", reports_dir = "${OPS_REPORTS_DIR}"',
            next_step="take the profile out, and the shipped one counts",
        )
    return settings


def suites_of(fault: Fault) -> tuple[str, ...]:
    """What is looked at before the fault: what tells which versions are good, then what has to see the fault."""
    own = (fault.stack.SUITE,) if fault.service else ()
    return tuple(dict.fromkeys([*own, fault.looked_at_by]))


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
    healthy_record: Path | None = None,
) -> Rehearsal:
    """Break a stack that runs and was seen healthy, let the runbook deal with it, take the fault back, and look again.

    The fault is withdrawn whatever happens; only once it is, the stack is held against how it stood before.

    Args:
        stack: whose variables are in the environment.
        fault: what to break.
        settings: the configuration that means this stack.
        plane: its control plane.
        clock: tells the time and sleeps.
        say: told what happens, a line at a time.
        lang: language of what is said and written.
        verify_s: see `rehearse`.
        healthy_record: of the look that saw it healthy.

    Raises:
        OpsError: the rehearsal could not be held, or the fault could not be withdrawn.
    """
    before = _standing(stack, plane)
    try:
        fault.inject(stack)
        injected_at = clock.now()
        say(f"injected {fault.name}: {fault.description.get(lang, fault.description['en'])}")
        if fault.two_keys:
            _give_keys(settings, plane, fault, stack.work_dir / "people", say)
        outcome = run_incident(
            settings,
            suite=fault.looked_at_by,
            plane=plane,
            clock=clock,
            say=say,
            lang=lang,
            injected_at=injected_at,
            fault=fault.name,
            verify_s=fault.verify_s if fault.verify_s is not None else verify_s,
            choice=_choice(fault),
        )
        refusal = fault.refused(stack, fault.service) if fault.refused is not None else ""
        healed = not fault.in_force(stack)
    finally:
        fault.withdraw(stack)
    changed = differences(before, _standing(stack, plane))
    changed += _unwell(stack, settings, fault.looked_at_by)
    say(f"withdrawn, and {'as before' if not changed else 'NOT as before'}")
    events = Incidents(plane, clock, ACTOR).events(outcome.incident_id) if outcome.incident_id else ()
    return judge(
        fault,
        outcome,
        dealt_with(events),
        injected_at,
        healed=healed,
        healthy_record=healthy_record,
        changed=tuple(changed),
        refusal=refusal,
    )


def see_it_healthy(stack: Stack[Any], settings: Settings, say: Callable[[str], None], suite: str | None = None) -> Path:
    """The first observation: what is in force is seen good, and so worth rolling back to. Its record is returned.

    Raises:
        OpsError: it is not healthy.
    """
    seen = _look(settings, stack, suite or stack.SUITE)
    if seen.observation.verdict is not Verdict.HEALTHY:
        raise OpsError(
            f"the {stack.layout.KIND} is {seen.observation.verdict} before anything was broken", where=str(seen.path)
        )
    say(f"the {stack.layout.KIND} is up and HEALTHY: {len(seen.observation.judgements)} checks")
    return seen.path


def _look(settings: Settings, stack: Stack[Any], suite: str) -> Launched:
    record = settings.reports_dir / suite / f"{new_run_id(stack.clock.now())}.json"
    return observe(settings, suite=suite, record=record)


def _unwell(stack: Stack[Any], settings: Settings, suite: str) -> list[str]:
    """What the suite still finds once the fault was withdrawn; what it measures over a while gets that while."""
    until = stack.clock.monotonic() + AFTERWARDS_S
    while True:
        seen = _look(settings, stack, suite).observation
        if seen.verdict is Verdict.HEALTHY:
            return []
        if stack.clock.monotonic() >= until:
            left = [*about(seen, Judged.BAD), *about(seen, Judged.UNKNOWN)]
            return [f"{one.code} is {seen.verdict}" for one in left] or [f"the verdict is {seen.verdict}"]
        stack.clock.sleep(PAUSE_S)


def _standing(stack: Stack[Any], plane: ControlPlane) -> dict[str, str]:
    """How the stack and its control plane stand."""
    state = plane.state()
    return {
        **stack.standing(),
        "the emergency stop": "engaged" if state.stopped else "released",
        "the gate": state.gate.value,
        "the sender": "enabled" if state.sender.enabled else "disabled",
    }


def _give_keys(settings: Settings, plane: ControlPlane, fault: Fault, folder: Path, say: Callable[[str], None]) -> None:
    for one in fault.all_parts:
        if one.two_keys and one.remediation is not None and one.target is not None:
            give_two_keys(settings, plane, one.remediation, one.target, folder)
            say(f"two people approved {one.remediation} of {one.target}")


def _choice(fault: Fault) -> Choice | None:
    if not fault.by_hand or fault.remediation is None or fault.target is None:
        return None
    return Choice(remediation=fault.remediation, target=fault.target)


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
