"""Restores what was put in force for a while and is over: by whoever comes along, since nothing of ours always runs.

`ops cycle`, `ops daily`, `ops incident run`, `ops remediate --apply` and `ops remediate --restore` ask here first.
Where none of them is run, lowered limits stay lowered; where the guard does not permit it, they stay until it does.
"""

from __future__ import annotations

from collections.abc import Callable

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError
from ops_core.incident import words
from ops_core.incident.loop import ACTOR, Choice, IncidentOutcome, run_incident
from ops_core.incident.stages import Observe
from ops_core.observation.launch import observe as launch
from ops_core.remediation.guard import Guard
from ops_core.remediation.temporary import LEAVING, InForce, due_restorations, temporaries_in_force


def due_now(settings: Settings, clock: Clock) -> tuple[InForce, ...]:
    """What is in force although its time is over."""
    return due_restorations(temporaries_in_force(settings), clock.now())


def restore_due(
    settings: Settings,
    *,
    plane: ControlPlane,
    clock: Clock,
    say: Callable[[str], None],
    lang: str,
    actor: str = ACTOR,
    observe: Observe = launch,
) -> tuple[IncidentOutcome, ...]:
    """Restore what is over, each as a remediation of its own: planned, permitted, verified, recorded.

    Nothing is raised for one that cannot be restored: it is told, and the next one who comes along tries again.
    """
    outcomes = []
    for one in due_now(settings, clock):
        remediation = LEAVING[one.kind]
        found = Guard(plane, settings.drill).permission()
        if not found.allowed:
            # Nothing is opened for it: a schedule would open one every day, each with the same refusal.
            say(words.say("not_restored", lang, target=one.target, remediation=remediation, detail=found.reason))
            continue
        say(words.say("restoring", lang, target=one.target, remediation=remediation))
        try:
            outcomes.append(
                run_incident(
                    settings,
                    suite=settings.suite_of(one.target),
                    plane=plane,
                    clock=clock,
                    say=say,
                    lang=lang,
                    actor=actor,
                    observe=observe,
                    choice=Choice(remediation=remediation, target=one.target),
                )
            )
        except OpsError as error:
            say(words.say("not_restored", lang, target=one.target, remediation=remediation, detail=error.what))
    return tuple(outcomes)
