"""What happened in an incident, told event by event: the kind chooses the sentence, evidence proves it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ops_core.incident.looks import Look
from ops_core.incident.progress import Attempt, Event, History, Kind, State
from ops_core.incident.store import Incident, StepRow
from ops_core.incident.words import told
from ops_core.remediation.runner import StepState
from ops_core.report.model import TimelineEntry

DIGEST_SHOWN = 12
# What a step is called in a report; of an unknown one all that is known is that it was begun.
OUTCOMES = {
    StepState.PLANNED: "planned",
    StepState.ARMED: "armed",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.UNKNOWN: "armed",
}


class Teller:
    """Tells the events of one incident.

    Args:
        incident: its row.
        history: its events, understood.
        steps: the steps that are shown, in the order in which they are numbered S1, S2, …
        lang: the language of what our own events say.
    """

    def __init__(self, incident: Incident, history: History, steps: Sequence[StepRow], lang: str) -> None:
        self.incident = incident
        self.history = history
        self.steps = steps
        self.lang = lang
        self.first = history.rounds[0].look
        self.label = self.first.label

    def entries(self) -> list[TimelineEntry]:
        """One entry per event that a reader has to know of, in order."""
        entries = self._beginning()
        tellers: dict[Kind, Callable[[Event], list[TimelineEntry]]] = {
            Kind.OBSERVED: self._observed,
            Kind.DECIDED: self._decided,
            Kind.PLANNED: self._planned,
            Kind.UNPLANNED: self._unplanned,
            Kind.PERMITTED: self._permitted,
            Kind.REFUSED: self._permitted,
            Kind.ARMED: self._armed,
            Kind.STEP: self._step,
            Kind.ACTED: self._acted,
            Kind.UNACTED: self._unacted,
            Kind.VERIFIED: self._verified,
            Kind.UNDONE: self._undone,
            Kind.UNDO_FAILED: self._undone,
            Kind.INTERRUPTED: self._interrupted,
            Kind.CLOSED: self._closed,
        }
        for event in self.history.events:
            if event.kind in tellers:
                entries += tellers[event.kind](event)
        return entries

    def _beginning(self) -> list[TimelineEntry]:
        look, entries = self.first, []
        injected_at = self.incident.data.get("injected_at")
        if injected_at:
            fault = str(self.incident.data.get("fault") or "-")
            entries.append(_entry(injected_at, "injected", {"fault": fault}, (look.label,)))
        targets = ", ".join(look.targets) or "-"
        entries.append(_entry(look.started_at, "opened", {"targets": targets}, (look.label,)))
        return [*entries, *self._looked(look)]

    def _looked(self, look: Look) -> list[TimelineEntry]:
        entries = []
        if look.bad:
            codes = ", ".join(dict.fromkeys(bad.code for bad in look.bad))
            cited = dict.fromkeys(one for bad in look.bad for one in look.cited(bad.evidence))
            entries.append(_entry(look.finished_at, "detected", {"codes": codes}, tuple(cited)))
        if look.unseen:
            codes = ", ".join(dict.fromkeys(part.code for part in look.unseen))
            cited = dict.fromkeys(one for part in look.unseen for one in look.cited(part.evidence))
            entries.append(_entry(look.finished_at, "unknown", {"codes": codes}, tuple(cited)))
        return entries

    def _observed(self, event: Event) -> list[TimelineEntry]:
        look = Look.from_json(event.data["look"])
        self.label = look.label
        verified = _entry(look.finished_at, "verified", {"verdict": look.verdict}, (look.label,))
        return [verified, *(self._looked(look) if look.whole else [])]

    def _decided(self, event: Event) -> list[TimelineEntry]:
        entries = []
        for decision in event.data["decisions"]:
            cited = tuple(decision["evidence"]) or (self.label,)
            if decision["row_id"] is None:
                codes = ", ".join([*decision["findings"], *decision["attributed"]])
                entries.append(_entry(event.at, "undecided", {"codes": codes}, cited))
            else:
                params = {
                    "row": decision["row_id"],
                    "severity": decision["severity"],
                    "remediation": decision["candidates"][0] if decision["candidates"] else "-",
                }
                entries.append(_entry(event.at, "decided", params, cited))
            for other in decision.get("dependents", ()):
                params = {
                    "target": str(decision["target"]),
                    "codes": f"{other['target']} {', '.join(other['findings'])}",
                }
                entries.append(_entry(event.at, "attributed", params, tuple(other["evidence"]) or (self.label,)))
        return entries

    def _planned(self, event: Event) -> list[TimelineEntry]:
        attempt = self._attempt(event)
        steps = len(attempt.plan.steps) if attempt.plan else 0
        digest = str(event.data["digest"])[:DIGEST_SHOWN]
        params = {"steps": str(steps), "remediation": attempt.remediation, "digest": digest}
        return [_entry(event.at, "planned", params, self._rests_on(attempt))]

    def _unplanned(self, event: Event) -> list[TimelineEntry]:
        attempt = self._attempt(event)
        return [self._note(event, "unplanned", {"remediation": attempt.remediation, "detail": event.data["reason"]})]

    def _permitted(self, event: Event) -> list[TimelineEntry]:
        attempt = self._attempt(event)
        params = {"remediation": attempt.remediation, "reason": str(event.data["reason"])}
        return [_entry(event.at, event.kind.value, params, self._rests_on(attempt))]

    def _armed(self, event: Event) -> list[TimelineEntry]:
        label = self._step_label(event)
        entries = [_entry(event.at, "armed", {"step": label}, (label,))]
        if event.data["again"]:
            text = told({"key": "again", "params": {"step": label, "detail": event.data["again"]}}, self.lang)
            entries.insert(0, _entry(event.at, "note", {"text": text}, (label,)))
        return entries

    def _step(self, event: Event) -> list[TimelineEntry]:
        label = self._step_label(event)
        outcome = OUTCOMES[StepState(event.data["state"])]
        params = {"step": label, "outcome": outcome, "command": str(event.data["command"])}
        return [_entry(event.at, "step", params, (label,))]

    def _acted(self, event: Event) -> list[TimelineEntry]:
        attempt = self._attempt(event)
        return [_entry(event.at, "acted", {"remediation": attempt.remediation}, self._labels(attempt, "apply"))]

    def _unacted(self, event: Event) -> list[TimelineEntry]:
        attempt = self._attempt(event)
        return [self._note(event, "unapplied", {"remediation": attempt.remediation, "detail": event.data["reason"]})]

    def _verified(self, event: Event) -> list[TimelineEntry]:
        attempt = self._attempt(event)
        if event.data["good"]:
            return []
        params = {"remediation": attempt.remediation, "codes": ", ".join(event.data["codes"]) or "-"}
        return [_entry(event.at, "unrecovered", params, (self.label,))]

    def _undone(self, event: Event) -> list[TimelineEntry]:
        attempt = self._attempt(event)
        why = event.data.get("reason") or told(
            {"key": "still_bad", "params": {"remediation": attempt.remediation, "codes": self._bad_codes(attempt)}},
            self.lang,
        )
        return [_entry(event.at, event.kind.value, {"reason": str(why)}, self._labels(attempt, "undo"))]

    def _interrupted(self, event: Event) -> list[TimelineEntry]:
        return [_entry(event.at, "interrupted", {"reason": told(event.data["reason"], self.lang)}, (self.label,))]

    def _closed(self, event: Event) -> list[TimelineEntry]:
        state, why = State(event.data["state"]), event.data["reason"]
        text = told(why, self.lang) if why else ""
        if state is State.RECOVERED:
            entries = [_entry(event.at, "recovered", {}, (self.label,))]
            return [*entries, *([_entry(event.at, "note", {"text": text}, (self.label,))] if text else [])]
        if state is State.REFUSED:
            return []
        kind = "interrupted" if state is State.INTERRUPTED else "escalated"
        return [_entry(event.at, kind, {"reason": text}, (self.label,))]

    def _note(self, event: Event, key: str, params: Mapping[str, object]) -> TimelineEntry:
        text = told({"key": key, "params": dict(params)}, self.lang)
        return _entry(event.at, "note", {"text": text}, self._rests_on(self._attempt(event)))

    def _attempt(self, event: Event) -> Attempt:
        return self.history.attempt(int(event.data["attempt"]))

    def _bad_codes(self, attempt: Attempt) -> str:
        codes = dict.fromkeys(bad.code for look in attempt.looks[-1:] for bad in look.bad)
        return ", ".join(codes) or "-"

    def _rests_on(self, attempt: Attempt) -> tuple[str, ...]:
        """What the decision behind an attempt rests on."""
        decisions = next((r.decisions for r in self.history.rounds if attempt in r.attempts), None) or []
        evidence = decisions[attempt.decision]["evidence"] if attempt.decision < len(decisions) else ()
        return tuple(evidence) or (self.label,)

    def _labels(self, attempt: Attempt, phase: str) -> tuple[str, ...]:
        own = [f"S{n}" for n, row in enumerate(self.steps, 1) if (row.attempt, row.phase) == (attempt.number, phase)]
        return tuple(own) or (self.label,)

    def _step_label(self, event: Event) -> str:
        wanted = (event.data["attempt"], event.data["phase"], event.data["index"])
        for number, row in enumerate(self.steps, start=1):
            if (row.attempt, row.phase, row.index) == wanted:
                return f"S{number}"
        return self.label


def _entry(at: str, kind: str, params: Mapping[str, str], evidence: tuple[str, ...]) -> TimelineEntry:
    return TimelineEntry(at=at, kind=kind, params=dict(params), evidence=evidence)
