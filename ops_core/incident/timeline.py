"""An incident's events as the view that every report is written from. Pure: the same events give the same view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops_core.incident.entries import OUTCOMES, Teller
from ops_core.incident.looks import Look
from ops_core.incident.progress import Attempt, Event, History, Kind, State
from ops_core.incident.store import Incident, StepRow
from ops_core.incident.words import prevention
from ops_core.remediation.plan import shown
from ops_core.remediation.runner import StepState
from ops_core.report.model import (
    SCHEMA,
    EvidenceView,
    FindingView,
    IncidentView,
    ObservationView,
    StepView,
    Text,
    UndoView,
    UnknownView,
)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How long it took, in seconds; None where it was not reached. All but the first count from the finding.

    `detected_s` counts from the injection of the fault where that is known, else from the beginning of the first look.
    """

    detected_s: float | None
    decided_s: float | None
    acted_s: float | None
    recovered_s: float | None
    ended_s: float | None


def view_of(incident: Incident, events: Sequence[Event], steps: Sequence[StepRow], lang: str = "en") -> IncidentView:
    """The view of an incident as far as these events go.

    Args:
        incident: its row.
        events: what happened, in order; all of it, or the first part.
        steps: the steps of its attempts.
        lang: the language of what our own events say; what a table or a remediation says is kept in all its languages.

    Raises:
        RecordError: the events are damaged.
    """
    return _Teller(incident, History(events), steps, lang).view()


def figures(view: IncidentView) -> Figures:
    """How long the parts of an incident took."""
    from ops_core.clock import parse_instant

    injected = next((entry.at for entry in view.timeline if entry.kind == "injected"), None)

    def between(start: str | None, end: str | None) -> float | None:
        if start is None or end is None:
            return None
        return max(0.0, (parse_instant(end) - parse_instant(start)).total_seconds())

    return Figures(
        detected_s=between(injected or view.opened_at, view.detected_at),
        decided_s=between(view.detected_at, view.decided_at),
        acted_s=between(view.detected_at, view.acted_at),
        recovered_s=between(view.detected_at, view.recovered_at),
        ended_s=between(view.detected_at, view.ended_at),
    )


class _Teller:
    """Puts one view together."""

    def __init__(self, incident: Incident, history: History, steps: Sequence[StepRow], lang: str) -> None:
        self.incident = incident
        self.history = history
        self.lang = lang
        self.steps = [row for row in steps if self._concerns(row)]
        self.first = history.rounds[0].look
        self.main = self._main_attempt()

    def view(self) -> IncidentView:
        history, decision = self.history, self._main_decision()
        closed = history.end
        return IncidentView(
            schema=SCHEMA,
            id=self.incident.id,
            profile=self.incident.profile,
            suite=self.incident.suite,
            drill=bool(self.incident.data.get("drill")),
            targets=tuple(self.incident.data.get("targets", ())),
            state=history.state.value,
            severity=str(decision.get("severity", "")),
            opened_at=self.first.started_at,
            detected_at=self.first.finished_at,
            decided_at=self._at(Kind.DECIDED),
            acted_at=self._at(Kind.ARMED),
            recovered_at=closed.at if closed and history.state is State.RECOVERED else None,
            ended_at=closed.at if closed else None,
            findings=self._findings(),
            unknown=self._unknown(),
            facts=tuple(
                sorted({code for part in self.first.facts for code in part.codes if part.target in self._hit()})
            ),
            row_id=decision.get("row_id"),
            row_where=str(decision.get("where", "")),
            cause=dict(decision.get("cause", {})),
            action=dict(decision.get("action", {})),
            decision_evidence=tuple(decision.get("evidence", ())),
            remediation=self.main.remediation if self.main else next(iter(decision.get("candidates", ())), None),
            plan_digest=self.main.plan.digest if self.main and self.main.plan else None,
            plan_steps=tuple(self._step_view(row) for row in self.steps),
            undo=self._undo(),
            resolution=self._resolution(),
            prevention=prevention(tuple(dict.fromkeys(bad.code for look in history.looks for bad in look.bad))),
            observations=tuple(_observation(look) for look in history.looks),
            evidence=tuple(
                EvidenceView(id=f"{look.label}:{one.id}", explanation=one.explanation, reason=one.reason)
                for look in history.looks
                for one in look.evidence
            ),
            timeline=tuple(Teller(self.incident, history, self.steps, self.lang).entries()),
            checkpoint=str(closed.data.get("checkpoint", "")) if closed else "",
        )

    # -- parts ---------------------------------------------------------------------------------------------------

    def _concerns(self, row: StepRow) -> bool:
        """Steps of attempts that these events know of; those of the way back only where it was taken."""
        if row.attempt > len(self.history.attempts):
            return False
        return row.phase == "apply" or any(
            e.kind in {Kind.ARMED, Kind.STEP} and (e.data["attempt"], e.data["phase"]) == (row.attempt, "undo")
            for e in self.history.events
        )

    def _main_attempt(self) -> Attempt | None:
        """The attempt that a summary names: the last that was begun, else the first that was planned."""
        planned = [attempt for attempt in self.history.attempts if attempt.plan]
        begun = [attempt for attempt in planned if attempt.armed]
        return begun[-1] if begun else next(iter(planned), None)

    def _main_decision(self) -> Mapping[str, Any]:
        rounds = [one for one in self.history.rounds if one.decisions]
        if not rounds:
            return {}
        decisions: list[dict[str, Any]] = rounds[0].decisions or []
        tried = next((attempt.decision for attempt in rounds[0].attempts if attempt.armed), 0)
        return decisions[tried] if tried < len(decisions) else {}

    def _hit(self) -> set[str | None]:
        return {bad.target for bad in self.first.bad}

    def _findings(self) -> tuple[FindingView, ...]:
        found: dict[tuple[str, str | None], FindingView] = {}
        for one in self.history.rounds:
            for bad in one.look.bad:
                view = FindingView(
                    code=bad.code,
                    target=bad.target,
                    check=bad.check,
                    expected=bad.expected,
                    seen=bad.seen,
                    where=bad.where,
                    evidence=one.look.cited(bad.evidence),
                )
                found.setdefault((bad.code, bad.target), view)
        return tuple(found.values())

    def _unknown(self) -> tuple[UnknownView, ...]:
        found: dict[tuple[str, str | None], UnknownView] = {}
        for one in self.history.rounds:
            for part in one.look.unseen:
                cited = one.look.cited(part.evidence)
                view = UnknownView(code=part.code, target=part.target, reason=part.reason, evidence=cited)
                found[part.code, part.target] = view
        return tuple(found.values())

    def _step_view(self, row: StepRow) -> StepView:
        refused = any(e.kind is Kind.REFUSED and e.data["attempt"] == row.attempt for e in self.history.events)
        outcome = "refused" if refused and row.state is StepState.PLANNED else OUTCOMES[row.state]
        return StepView(
            command=str(row.data.get("command", "")),
            outcome=outcome,
            detail=str(row.data.get("detail", "")),
            elapsed_s=row.data.get("elapsed_s"),
        )

    def _undo(self) -> UndoView | None:
        if self.main is None or self.main.plan is None:
            return None
        plan = self.main.plan
        if not self.main.armed:
            # Nothing was begun, so there is nothing to take back.
            return None
        command = " && ".join(shown(step.argv) for step in plan.undo)
        if not plan.undo:
            return UndoView(command=f"{plan.remediation} {plan.target}", outcome="impossible")
        for event in self.history.events:
            if event.kind is Kind.UNDONE and event.data["attempt"] == self.main.number:
                return UndoView(command=command, outcome="done")
            if event.kind is Kind.UNDO_FAILED and event.data["attempt"] == self.main.number:
                return UndoView(command=command, outcome="failed", detail=str(event.data["reason"]))
        return UndoView(command=command, outcome="available")

    def _resolution(self) -> Text:
        if self.history.state is not State.RECOVERED:
            return {}
        plans = [attempt.plan for attempt in self.history.attempts if attempt.armed and attempt.plan]
        return {
            lang: "; ".join(plan.summary.get(lang) or plan.summary["en"] for plan in plans)
            for lang in (("en", "ko") if plans else ())
        }

    def _at(self, kind: Kind) -> str | None:
        return next((event.at for event in self.history.events if event.kind is kind), None)


def _observation(look: Look) -> ObservationView:
    return ObservationView(
        label=look.label,
        run_id=look.run_id,
        record=look.record,
        purpose=look.purpose,
        verdict=look.verdict,
        used_s=look.used_s,
        total_s=look.total_s,
    )
