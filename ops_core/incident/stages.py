"""The things that handling an incident does, one method each. What comes when is `progress`'s business.

Every method ends by recording what happened. Where one is cut off before that, it is done again: looking, deciding and
planning change nothing, and what does change something is the runner's, which knows how to go on.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ops_core.clock import Clock, new_run_id, parse_instant
from ops_core.config import LANGUAGES, Settings
from ops_core.decision.cause import Dependencies
from ops_core.decision.match import Decision, decide
from ops_core.decision.table import DecisionTable, Severity
from ops_core.errors import OpsError
from ops_core.incident import files, words
from ops_core.incident.asked import Asked, asked_again, codes_of
from ops_core.incident.ledger import RefusedLedger, StepLedger
from ops_core.incident.looks import DETECTION, VERIFICATION, Look, look_of
from ops_core.incident.progress import DECISIONS_MAX, Attempt, History, Kind, Next, State
from ops_core.incident.store import Incident, Incidents
from ops_core.incident.timeline import view_of
from ops_core.observation.launch import Launched, ObservationFailed
from ops_core.remediation.catalogue import Catalogue
from ops_core.remediation.context import gather
from ops_core.remediation.guard import Guard, GuardRefused
from ops_core.remediation.plan import Plan, Step, shown
from ops_core.remediation.runner import Applied, Result, Runner
from ops_core.targets import dependencies_in
from ops_core.verdict import Verdict

POLL_PAUSE_S = 0.2
SETTLE_PAUSE_S = 1.0
# How long what failed because of a target gets to come back after it.
DEPENDENTS_S = 20.0
Observe = Callable[..., Launched]


@dataclass(kw_only=True)
class Stages:
    """Everything that handling an incident needs.

    Attributes:
        settings: the profile.
        suite: what is looked at.
        clock: tells the time and sleeps.
        incidents: where everything is recorded.
        guard: who permits.
        catalogue: the remediations there are.
        table: the decision table in force.
        runner: who applies plans.
        observe: runs a suite (`ops_core.observation.launch.observe`).
        say: told what happens, a line at a time.
        lang: the language of what is said and written.
        verify_s: seconds that a remediation gets to show its effect.
    """

    settings: Settings
    suite: str
    clock: Clock
    incidents: Incidents
    guard: Guard
    catalogue: Catalogue
    table: DecisionTable
    runner: Runner
    observe: Observe
    say: Callable[[str], None]
    lang: str
    verify_s: float
    written: tuple[Path, ...] = field(default=())

    def first_look(self) -> tuple[Look, Launched]:
        """Look at everything before there is an incident."""
        return self._whole_look("O1", DETECTION, set())

    def look(self, incident: Incident, history: History) -> None:
        """Look at everything again."""
        if history.by_hand and len(history.rounds) > 1:
            self.clock.sleep(min(SETTLE_PAUSE_S, self.verify_s))
        look, _ = self._whole_look(history.next_label(), VERIFICATION, history.affected())
        if not history.acted and not look.healthy:
            look = dataclasses.replace(look, purpose=DETECTION)
        self.incidents.append(incident.id, Kind.OBSERVED, {"look": look.to_json()})

    def decide(self, incident: Incident, history: History) -> None:
        """Ask the decision table about everything that was found in the latest look."""
        meaning = meaning_of(self.table, history.round.look, dependencies_in(self.settings.targets))
        self.incidents.append(incident.id, Kind.DECIDED, {"decisions": [plain for _, plain in meaning]})
        for one, plain in meaning:
            self._say(
                "decided",
                target=one.target or "control plane",
                severity=one.severity.value,
                cause=one.cause(self.lang),
                remediation=plain["candidates"][0] if plain["candidates"] else words.say("nobody", self.lang),
            )
        try:
            self.log(incident)
        except OpsError as error:
            # A log that cannot be written must not keep a service down; it is tried again at the end.
            self.say(str(error))

    def decide_by_hand(self, incident: Incident, look: Look, remediation: str, target: str) -> None:
        """Record that somebody chose a remediation, whatever the table says."""
        codes = list(dict.fromkeys(bad.code for bad in look.bad if bad.target == target))
        evidence = dict.fromkeys(one for bad in look.bad if bad.target == target for one in bad.evidence)
        decision = {
            "target": target,
            "row_id": "by-hand",
            "where": "ops remediate",
            "severity": Severity.MEDIUM.value,
            "findings": codes,
            "given": [],
            "attributed": [],
            "dependents": [],
            "evidence": list(look.cited(tuple(evidence))),
            "cause": {lang: words.say("chosen", lang, remediation=remediation, target=target) for lang in LANGUAGES},
            "action": {lang: words.say("chosen", lang, remediation=remediation, target=target) for lang in LANGUAGES},
            "candidates": [remediation],
            "for_dependents": None,
            "by_hand": True,
        }
        self.incidents.append(incident.id, Kind.DECIDED, {"decisions": [decision]})

    def plan(self, incident: Incident, history: History, wanted: Next) -> None:
        """Plan one remediation of one target as it is now."""
        decision = (history.round.decisions or [])[wanted.decision]
        about = {
            "attempt": len(history.attempts) + 1,
            "decision": wanted.decision,
            "target": wanted.target,
            "remediation": wanted.remediation,
        }
        try:
            target = self.settings.target(str(wanted.target))
            context = gather(self.settings, target, self.guard.plane, codes_of(decision, wanted.target))
            plan = self.catalogue.get(wanted.remediation).plan(context)
        except OpsError as error:
            self.incidents.append(incident.id, Kind.UNPLANNED, {**about, "reason": error.what, "next": error.next_step})
            self.say(
                words.told(words.reason("unplanned", remediation=wanted.remediation, detail=error.what), self.lang)
            )
            return
        self.incidents.plan(incident.id, plan, about)
        self._show(plan)

    def permit(self, incident: Incident, attempt: Attempt) -> None:
        """Ask the guard, for people: what counts is its answer at the moment of use."""
        found, plan = self.guard.permission(), _plan_of(attempt)
        if found.allowed and plan.two_keys:
            found = self.guard.keys_permission(plan.permit)
        data = {"attempt": attempt.number, "code": found.code, "reason": found.reason, "next": found.next_step}
        self.incidents.append(incident.id, Kind.PERMITTED if found.allowed else Kind.REFUSED, data)
        detail = found.reason + (f" (next: {found.next_step})" if found.next_step and not found.allowed else "")
        self._say("permitted" if found.allowed else "refused", detail=detail)

    def apply(self, incident: Incident, attempt: Attempt) -> None:
        """Carry out a plan, or what is left of it."""
        plan = _plan_of(attempt)
        ledger = self._ledger(incident, attempt, "apply")
        applied = self._applied(plan.steps, ledger)
        if applied.result is Result.DONE:
            self.incidents.append(incident.id, Kind.ACTED, {"attempt": attempt.number})
            return
        data = {
            "attempt": attempt.number,
            "result": applied.result.value,
            "step": applied.step,
            "reason": applied.reason,
        }
        self.incidents.append(incident.id, Kind.UNACTED, {**data, "code": applied.code})

    def verify(self, incident: Incident, history: History, attempt: Attempt) -> None:
        """Ask the checks that found the trouble again, until they are good or the time is over."""
        asked = self._asked(history, attempt)
        if asked.nothing:
            data = {"attempt": attempt.number, "good": True, "codes": [], "polls": 0}
            self.incidents.append(incident.id, Kind.VERIFIED, data)
            return
        left_s = (history.recover_by - self.clock.now()) / timedelta(seconds=1)
        until = self.clock.monotonic() + max(0.0, min(self.verify_s, left_s))
        folder = files.folder_of(self.settings, incident.id) / "verify"
        launched: Launched | None = None
        polls, waits = 0, False
        while launched is None or launched.observation.verdict is not Verdict.HEALTHY:
            if launched is not None and not waits and asked.helped(launched.observation):
                if asked.known is not None:
                    break
                until, waits = min(until, self.clock.monotonic() + DEPENDENTS_S), True
            if polls and self.clock.monotonic() >= until:
                break
            if polls:
                self.clock.sleep(POLL_PAUSE_S)
            polls += 1
            launched = self._poll(launched, folder / f"{history.next_label()}-{polls}.json", asked.nodeids, until)
        if launched is None:
            raise ObservationFailed("the checks could not be asked again", where=str(folder))
        look = look_of(
            launched.observation,
            label=history.next_label(),
            record=self._shown_path(launched.path),
            purpose=VERIFICATION,
            whole=False,
            affected={attempt.target},
        )
        self.incidents.append(incident.id, Kind.OBSERVED, {"look": look.to_json(), "attempt": attempt.number})
        codes = list(dict.fromkeys([bad.code for bad in look.bad] + [part.code for part in look.unseen]))
        data = {"attempt": attempt.number, "good": asked.helped(launched.observation), "codes": codes, "polls": polls}
        self.incidents.append(incident.id, Kind.VERIFIED, data)
        self._say("verifying", verdict=look.verdict)

    def undo(self, incident: Incident, attempt: Attempt) -> None:
        """Take the way back. Its steps say themselves whether what was in force before is in force again."""
        self._say("undoing", remediation=attempt.remediation)
        ledger = self._ledger(incident, attempt, "undo")
        applied = self._applied(_plan_of(attempt).undo, ledger)
        data = {"attempt": attempt.number, "result": applied.result.value, "reason": applied.reason}
        self.incidents.append(incident.id, Kind.UNDONE if applied.result is Result.DONE else Kind.UNDO_FAILED, data)

    def settle(self, incident: Incident, history: History) -> None:
        """Look what became of steps that were found armed, and begin nothing."""
        for attempt in history.attempts:
            if attempt.plan is not None:
                for phase, steps in (("apply", attempt.plan.steps), ("undo", attempt.plan.undo)):
                    self.runner.settle(steps, self._ledger(incident, attempt, phase))

    def close(self, incident: Incident, state: State, why: Mapping[str, Any]) -> None:
        """End the incident."""
        self.incidents.close(incident.id, state, why)
        detail = words.told(why, self.lang) if why else ""
        self._say("closed", id=incident.id, state=state.value, detail=f": {detail}" if detail else "")

    def file(self, incident: Incident) -> None:
        """Write what people read, and record that it was written."""
        self.log(incident)
        events, steps = self.incidents.events(incident.id), self.incidents.steps(incident.id)
        view = view_of(incident, events, steps, self.lang)
        self.written = files.write_reports(self.settings, view, self.lang, self.say)
        files.log_line(self.settings, view, self.lang, self.say)
        self.incidents.append(incident.id, Kind.FILED, {})

    def log(self, incident: Incident) -> None:
        """See to it that the log has the line of the incident's beginning."""
        beginning = []
        for event in self.incidents.events(incident.id):
            beginning.append(event)
            if event.kind is Kind.DECIDED:
                break
        files.log_line(self.settings, view_of(incident, beginning, (), self.lang), self.lang, self.say)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _asked(self, history: History, attempt: Attempt) -> Asked:
        made = next(one for one in history.rounds if attempt in one.attempts)
        decision = (made.decisions or [])[attempt.decision]
        return asked_again(made.look, decision, attempt.target, _plan_of(attempt).leaves)

    def _ledger(self, incident: Incident, attempt: Attempt, phase: str) -> StepLedger:
        plan = _plan_of(attempt)
        permit = plan.permit if plan.two_keys else None
        return StepLedger(self.incidents, incident.id, attempt.number, phase, self.guard, permit)

    def _applied(self, steps: Sequence[Step], ledger: StepLedger) -> Applied:
        """Carry out steps as a work that the emergency stop knows of."""
        with contextlib.ExitStack() as stack:
            try:
                work = self.guard.begin_work(stack)
            except GuardRefused as refusal:
                # What others began is looked at all the same; nothing is begun.
                return self.runner.apply(steps, RefusedLedger(ledger, refusal))
            runner = dataclasses.replace(self.runner, must_end=work.must_end, environ=work.environ)
            return runner.apply(steps, ledger)

    def _whole_look(self, label: str, purpose: str, affected: set[str | None]) -> tuple[Look, Launched]:
        self._say("looking", suite=self.suite)
        record = self.settings.reports_dir / self.suite / f"{new_run_id(self.clock.now())}.json"
        launched = self.observe(self.settings, suite=self.suite, record=record, lang=self.lang)
        seen = launched.observation
        self._say("verdict", verdict=seen.verdict.value, used_s=seen.used_s)
        look = look_of(
            seen, label=label, record=self._shown_path(record), purpose=purpose, whole=True, affected=affected
        )
        if look.bad:
            codes = dict.fromkeys(f"{bad.code}[{bad.target}]" if bad.target else bad.code for bad in look.bad)
            self._say("found", codes=", ".join(codes))
        return look, launched

    def _poll(self, before: Launched | None, record: Path, nodeids: Sequence[str], until: float) -> Launched | None:
        try:
            launched = self.observe(self.settings, suite=self.suite, record=record, only=nodeids, lang=self.lang)
        except ObservationFailed:
            if self.clock.monotonic() >= until:
                raise
            return before
        if before is not None:
            # Only the last answer is cited.
            for path in (before.path, before.path.with_suffix(".journal.jsonl")):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        return launched

    def _show(self, plan: Plan) -> None:
        summary = plan.summary.get(self.lang) or plan.summary["en"]
        self._say("planned", digest=plan.digest[:12], summary=summary)
        for number, step in enumerate(plan.steps, start=1):
            self.say(f"  {number}. {shown(step.argv)}")

    def _shown_path(self, path: Path) -> str:
        return str(path.relative_to(self.settings.root) if path.is_relative_to(self.settings.root) else path)

    def _say(self, key: str, **params: object) -> None:
        self.say(words.say(key, self.lang, **params))


def meaning_of(
    table: DecisionTable, look: Look, depends_on: Dependencies | None = None
) -> list[tuple[Decision, dict[str, Any]]]:
    """What the decision table says about what a look found: each decision, and the same as it is recorded."""
    facts = look.facts_by_target()
    unseen = [(part.code, part.target) for part in look.unseen]
    at = parse_instant(look.finished_at)
    decisions = decide(table, look.findings, facts, unseen, at, depends_on)[:DECISIONS_MAX]
    return [(one, _recorded(table, one, look, facts.get(one.target, ()))) for one in decisions]


def _recorded(table: DecisionTable, decision: Decision, look: Look, facts: Sequence[str]) -> dict[str, Any]:
    cited = look.cited(decision.evidence)
    also = look.cited([f"deployment[{decision.target}]"]) if decision.given else ()
    return {
        "target": decision.target,
        "row_id": decision.row_id,
        "where": decision.where,
        "severity": decision.severity.value,
        "findings": list(decision.findings),
        "given": list(decision.given),
        "attributed": list(decision.attributed),
        "dependents": [
            {"target": one.target, "findings": list(one.findings), "evidence": list(look.cited(one.evidence))}
            for one in decision.dependents
        ],
        "evidence": list(dict.fromkeys([*cited, *also])),
        "cause": _cause(decision),
        "action": dict(decision.actions),
        "candidates": list(candidates(table, decision, facts)),
        "for_dependents": decision.for_dependents,
    }


def _cause(decision: Decision) -> dict[str, str]:
    """The cause in every language, with what fails because of it."""
    listed = "; ".join(f"{one.target} {', '.join(one.findings)}" for one in decision.dependents)
    if not listed:
        return dict(decision.causes)
    return {lang: f"{text} ({words.say('because', lang, listed=listed)})" for lang, text in decision.causes.items()}


def candidates(table: DecisionTable, decision: Decision, facts: Sequence[str]) -> tuple[str, ...]:
    """The remediations for a decision: its own, then those of further rows that match the same target.

    Only rows that speak of what decided count: what answers a slow service is no second try for an open guard. None
    where the table leaves the deciding row to a person: a less urgent row must not act in their place.
    """
    if decision.remediation is None:
        return ()
    codes, deciding = {*decision.findings, *decision.attributed}, set(decision.findings)
    rows = (row for row in table.rows if deciding & set(row.when) and row.matches(codes, set(facts)))
    further = (row.remediation for row in rows if row.remediation is not None)
    return tuple(dict.fromkeys([decision.remediation, *further]))


def _plan_of(attempt: Attempt) -> Plan:
    assert attempt.plan is not None  # noqa: S101 - only what was planned gets here
    return attempt.plan
