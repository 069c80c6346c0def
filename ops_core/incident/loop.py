"""Handles an incident from the first look to its end, or goes on with one that was interrupted.

The loop asks `progress` what comes next, has `stages` do it, and asks again. It remembers nothing itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ops_core.budget import RECOVER_S
from ops_core.clock import Clock, isoformat, parse_instant
from ops_core.config import Settings, known_secrets
from ops_core.control.service import ControlPlane
from ops_core.decision.inforce import proven_table
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS, EXIT_REFUSED, OpsError, UsageError
from ops_core.incident import words
from ops_core.incident.lock import claimed, is_held
from ops_core.incident.progress import Act, History, Kind, Next, State
from ops_core.incident.stages import Observe, Stages
from ops_core.incident.store import Incident, Incidents
from ops_core.incident.timeline import view_of
from ops_core.observation.launch import observe as launch
from ops_core.observation.record import Observation
from ops_core.remediation.catalogue import load_catalogue
from ops_core.remediation.guard import Guard
from ops_core.remediation.runner import Runner
from ops_core.report.model import IncidentView
from ops_core.verdict import Verdict

DRILL_VERIFY_S = 30.0
ACTOR = "incident"
ACTS_MAX = 500

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A remediation that somebody chose for a target, whatever the table says."""

    remediation: str
    target: str


@dataclass(frozen=True, kw_only=True)
class IncidentOutcome:
    """What came of it.

    Attributes:
        outcome: `healthy`, `unknown` (nothing bad, but not everything was seen), or what the incident came to:
            `recovered`, `escalated`, `refused`, `interrupted`.
        exit_code: 0 healthy or recovered, 1 findings remain, 2 a guard refused or ended it, 3 not seen.
        incident_id: None where no incident was opened.
        view: the incident as it is reported.
        files: the reports that were written.
        observation: the first look of this run; None where an interrupted incident was gone on with.
        record: where that look was recorded.
    """

    outcome: str
    exit_code: int
    incident_id: str | None = None
    view: IncidentView | None = None
    files: tuple[Path, ...] = ()
    observation: Observation | None = None
    record: Path | None = None


EXIT_CODES = {
    "healthy": EXIT_DONE,
    State.RECOVERED: EXIT_DONE,
    State.ESCALATED: EXIT_FINDINGS,
    State.REFUSED: EXIT_REFUSED,
    State.INTERRUPTED: EXIT_REFUSED,
    "unknown": EXIT_FAILED,
}


def run_incident(
    settings: Settings,
    *,
    suite: str,
    plane: ControlPlane,
    clock: Clock,
    say: Say,
    lang: str,
    remediate: bool = True,
    injected_at: datetime | None = None,
    fault: str = "",
    verify_s: float | None = None,
    actor: str = ACTOR,
    observe: Observe = launch,
    choice: Choice | None = None,
) -> IncidentOutcome:
    """Look, decide, recover behind the guard, verify, report. An interrupted incident is gone on with first.

    Args:
        settings: the profile.
        suite: what to look at.
        plane: the control plane; its store is made (stopped) where it is missing.
        clock: tells the time and sleeps.
        say: told what happens, a line at a time.
        lang: the language of what is said and written.
        remediate: False looks, decides and reports only, and leaves interrupted incidents alone.
        injected_at: when a drill injected its fault; `fault` is its name.
        fault: see `injected_at`.
        verify_s: seconds that a remediation gets to show its effect; by default 30 in a drill, else what is left of
            the ten minutes.
        actor: who is named in the audit chain.
        observe: runs a suite; for tests.
        choice: what is done in place of asking the table, well or not; and nothing beside it.

    Raises:
        LoopBusy: another process handles an incident on this control store.
        UsageError: there is no such remediation or target.
        ConfigError: the decision table or a remediation cannot be relied on. Nothing was looked at.
        ObservationFailed: the suite could not be run.
        StoreUnusable: nothing can be recorded, so nothing is done.
    """
    plane.create()
    with claimed(settings.state_dir, clock) as hold:
        stages = _stages(settings, suite, plane, clock, say, lang, verify_s, actor, observe, hold)
        if choice is not None:
            stages.catalogue.get(choice.remediation)
            settings.target(choice.target)
            _give_up(stages, choice)
        elif remediate:
            gone_on = _unfinished(stages)
            if gone_on is not None:
                return gone_on
        look, launched = stages.first_look()
        seen = launched.observation
        if seen.verdict is not Verdict.UNHEALTHY and choice is None:
            outcome = "healthy" if seen.verdict is Verdict.HEALTHY else "unknown"
            return IncidentOutcome(
                outcome=outcome, exit_code=EXIT_CODES[outcome], observation=seen, record=launched.path
            )
        data = {"injected_at": isoformat(injected_at) if injected_at else None, "fault": fault, "lang": lang}
        incident = stages.incidents.open(settings, suite, look, data)
        say(words.say("opened", lang, id=incident.id))
        if choice is not None:
            stages.decide_by_hand(incident, look, choice.remediation, choice.target)
        found = _handle(stages, incident, remediate=remediate)
        return dataclasses.replace(found, observation=seen, record=launched.path)


def resume_incident(
    settings: Settings,
    incident_id: str,
    *,
    plane: ControlPlane,
    clock: Clock,
    say: Say,
    lang: str,
    verify_s: float | None = None,
    actor: str = ACTOR,
    observe: Observe = launch,
) -> IncidentOutcome:
    """Go on with one interrupted incident; arguments and errors as in `run_incident`.

    Raises:
        UsageError: there is no such incident, or it is of another profile.
    """
    with claimed(settings.state_dir, clock) as hold:
        incident = of_the_loop(Incidents(plane, clock, actor).get(incident_id))
        if incident.profile != settings.profile:
            raise UsageError(
                f"the incident is of profile {incident.profile!r}",
                where=f"incident {incident_id}",
                next_step=f"--profile {incident.profile}",
            )
        stages = _stages(settings, incident.suite, plane, clock, say, lang, verify_s, actor, observe, hold)
        return _resume(stages, incident)


def incident_view(
    settings: Settings, plane: ControlPlane, clock: Clock, incident_id: str, lang: str = "en"
) -> IncidentView:
    """An incident as it is now; one that is open while nobody handles it is shown as interrupted.

    Raises:
        UsageError: there is no such incident.
    """
    incidents = Incidents(plane, clock, ACTOR)
    incident = of_the_loop(incidents.get(incident_id))
    view = view_of(incident, incidents.events(incident_id), incidents.steps(incident_id), lang)
    return dataclasses.replace(view, state=shown_state(settings, incident).value)


def list_incidents(plane: ControlPlane, clock: Clock, profile: str | None = None) -> tuple[Incident, ...]:
    """The incidents there are, the latest first."""
    return Incidents(plane, clock, ACTOR).listed(profile)


def of_the_loop(incident: Incident) -> Incident:
    """That incident, if it is one that the loop handles.

    Raises:
        UsageError: people handle it.
    """
    if incident.of_people:
        raise UsageError(
            "people handle that incident, not the loop",
            where=f"incident {incident.id}",
            next_step=f"ops incident show {incident.id}",
        )
    return incident


def shown_state(settings: Settings, incident: Incident) -> State:
    """The state to show: open is interrupted where the loop should be at it and is not."""
    if incident.of_people:
        return incident.state
    if incident.state is State.OPEN and not is_held(settings.state_dir):
        return State.INTERRUPTED
    return incident.state


def _stages(
    settings: Settings,
    suite: str,
    plane: ControlPlane,
    clock: Clock,
    say: Say,
    lang: str,
    verify_s: float | None,
    actor: str,
    observe: Observe,
    hold: int,
) -> Stages:
    from ops_core.probes.instruments.redact import Redactor

    catalogue = load_catalogue(settings)
    guard = Guard(plane, settings.drill)
    runner = Runner(
        clock=clock,
        folder=settings.root,
        must_end=guard.must_end(),
        redact=Redactor(known_secrets(settings).values()).text,
        hold=hold,
        say=say,
    )
    return Stages(
        settings=settings,
        suite=suite,
        clock=clock,
        incidents=Incidents(plane, clock, actor),
        guard=guard,
        catalogue=catalogue,
        table=proven_table(settings, catalogue.names()),
        runner=runner,
        observe=observe,
        say=say,
        lang=lang,
        verify_s=verify_s if verify_s is not None else (DRILL_VERIFY_S if settings.drill else RECOVER_S),
    )


def _unfinished(stages: Stages) -> IncidentOutcome | None:
    """Finish what others left: reports that were not written, and an incident that was interrupted.

    None where a fresh look is due: nothing was left, or it is too old to go on with.
    """
    for incident in stages.incidents.unfinished(stages.settings.profile, stages.suite):
        if incident.state is not State.OPEN:
            _filed(stages, incident)
            continue
        if not _too_old(stages, incident):
            return _resume(stages, incident)
        _resume(stages, incident)
    return None


def _give_up(stages: Stages, choice: Choice) -> None:
    """End what others left open: its plan was made for what was there before somebody chose otherwise."""
    for incident in stages.incidents.unfinished(stages.settings.profile, stages.suite):
        if incident.state is State.OPEN:
            stages.say(words.say("resumed", stages.lang, id=incident.id))
            _interrupt(
                stages, incident, words.reason("superseded", remediation=choice.remediation, target=choice.target)
            )
            _handle(stages, incident, remediate=True)


def _interrupt(stages: Stages, incident: Incident, why: Mapping[str, Any]) -> None:
    """Look what became of what was begun, so that the record says it, and do nothing else for its sake."""
    stages.settle(incident, History(stages.incidents.events(incident.id)))
    stages.close(incident, State.INTERRUPTED, why)


def _too_old(stages: Stages, incident: Incident) -> bool:
    last = stages.incidents.events(incident.id)[-1]
    return stages.clock.now() - parse_instant(last.at) > timedelta(seconds=RECOVER_S)


def _resume(stages: Stages, incident: Incident) -> IncidentOutcome:
    if incident.state is State.OPEN:
        stages.say(words.say("resumed", stages.lang, id=incident.id))
        if _too_old(stages, incident):
            _interrupt(stages, incident, words.reason("too_old", minutes=f"{RECOVER_S / 60:g}"))
        else:
            stages.incidents.append(incident.id, Kind.INTERRUPTED, {"reason": words.reason("crashed")})
    return _handle(stages, incident, remediate=True)


def _handle(stages: Stages, incident: Incident, *, remediate: bool) -> IncidentOutcome:
    for _ in range(ACTS_MAX):
        history = History(stages.incidents.events(incident.id))
        wanted = history.next(stages.clock.now(), remediate=remediate)
        if wanted.act is Act.NOTHING or (wanted.act is Act.FILE and not _filed(stages, incident)):
            break
        if wanted.act is not Act.FILE:
            _do(stages, incident, history, wanted)
    else:
        raise OpsError(f"the incident does not come to an end in {ACTS_MAX} acts", where=f"incident {incident.id}")
    incident = stages.incidents.get(incident.id)
    events, steps = stages.incidents.events(incident.id), stages.incidents.steps(incident.id)
    return IncidentOutcome(
        outcome=incident.state.value,
        exit_code=EXIT_CODES[incident.state],
        incident_id=incident.id,
        view=view_of(incident, events, steps, stages.lang),
        files=stages.written,
    )


def _filed(stages: Stages, incident: Incident) -> bool:
    """Write the reports. Where that fails the incident has ended all the same, and the next run writes them."""
    try:
        stages.file(incident)
    except OpsError as error:
        stages.say(str(error))
        return False
    return True


def _do(stages: Stages, incident: Incident, history: History, wanted: Next) -> None:
    attempt = wanted.attempt
    if wanted.act is Act.OBSERVE:
        stages.look(incident, history)
    elif wanted.act is Act.DECIDE:
        stages.decide(incident, history)
    elif wanted.act is Act.PLAN:
        stages.plan(incident, history, wanted)
    elif wanted.act is Act.CLOSE:
        stages.close(incident, wanted.state, wanted.reason)
    elif attempt is None:
        raise OpsError(f"{wanted.act} needs an attempt", where=f"incident {incident.id}")
    elif wanted.act is Act.PERMIT:
        stages.permit(incident, attempt)
    elif wanted.act is Act.APPLY:
        stages.apply(incident, attempt)
    elif wanted.act is Act.VERIFY:
        stages.verify(incident, history, attempt)
    else:
        stages.undo(incident, attempt)
