"""An incident as reports tell it: plain frozen data, checked whole before a word of it is written.

The incident is stored as this record and every report is rendered from it, now or a year later. What a report says
cites evidence by id, and `IncidentView.validate` proves that every id leads somewhere:

    O1                  the first observation
    O1:guard[core-api]  what the probe `guard` saw of `core-api` in it
    S2                  the second step of the plan
    A17                 any other record the incident keeps, such as a row of the audit chain

Texts that the decision table or a remediation brings along are kept in all their languages (`Text`), so that the same
record reads in English and in Korean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops_core.budget import DECIDE_S, OBSERVE_TOTAL_S, RECOVER_S
from ops_core.clock import parse_instant
from ops_core.config import LANGUAGES
from ops_core.errors import RecordError
from ops_core.finding import valid_code
from ops_core.report import words
from ops_core.report.seen import FindingView, Text, UnknownView, said
from ops_core.report.strict import decode, encode
from ops_core.targets import NAME
from ops_core.verdict import Verdict

__all__ = [
    "EvidenceView",
    "FindingView",
    "Impact",
    "IncidentView",
    "ObservationView",
    "Phase",
    "StepView",
    "Text",
    "TimelineEntry",
    "UndoView",
    "UnknownView",
    "said",
]

SCHEMA = 1
LABEL = r"[A-Z][0-9]{1,6}"
ID = re.compile(rf"{LABEL}(?::[^\W\d]\w{{0,63}}(?:\[{NAME.pattern}\])?)?")
_OBSERVATION = re.compile(r"O[0-9]{1,6}")
_STEP = re.compile(r"S[0-9]{1,6}")


@dataclass(frozen=True, kw_only=True)
class ObservationView:
    """One run of the suite: O1, O2, …, the path of its JSON, and what it was made for (a key of `words.PURPOSES`)."""

    label: str
    run_id: str
    record: str
    purpose: str
    verdict: str
    used_s: float
    total_s: float


@dataclass(frozen=True, kw_only=True)
class EvidenceView:
    """One piece of evidence in one line. `reason` says why it could not be seen, and is empty where it was."""

    id: str
    explanation: str
    reason: str = ""

    @property
    def seen(self) -> bool:
        """Whether the probe could look."""
        return not self.reason


@dataclass(frozen=True, kw_only=True)
class StepView:
    """One step of the plan as it would be typed, and its outcome (a key of `words.OUTCOMES`)."""

    command: str
    outcome: str
    detail: str = ""
    elapsed_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class UndoView:
    """The way back: the command that takes it, and what became of it (a key of `words.UNDO`)."""

    command: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class TimelineEntry:
    """One event. `kind` chooses the sentence from `words.TIMELINE`, `params` fill it in, `evidence` proves it.

    Parameters that are words of ours (`severity`, `outcome`, `verdict`) are given by key: they are translated.
    """

    at: str
    kind: str
    params: Mapping[str, str]
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """How long one part of the recovery took against its goal, in seconds; None where it was not reached or known."""

    took_s: float | None
    goal_s: float

    @property
    def met(self) -> bool | None:
        """Whether the goal was met: not over it. None where the phase was not completed."""
        return None if self.took_s is None else self.took_s <= self.goal_s


@dataclass(frozen=True, kw_only=True)
class Impact:
    """What was bad about one target, all findings together."""

    target: str | None
    codes: tuple[str, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class IncidentView:
    """From the first look to verified recovery, or to wherever it ended. Times are ISO 8601 with a zone.

    `severity` and `row_id` come from the decision: empty and None where no row matched. `decision_evidence` holds the
    ids that the decision rests on, `facts` the codes that steered it. `resolution` says what was done in the words of
    the remediation, and is empty where nothing was. `checkpoint` is the line of the audit's head when the incident
    ended, empty before that.
    """

    schema: int
    id: str
    profile: str
    suite: str
    drill: bool
    targets: tuple[str, ...]
    state: str
    severity: str
    opened_at: str
    detected_at: str | None
    decided_at: str | None
    acted_at: str | None
    recovered_at: str | None
    ended_at: str | None
    findings: tuple[FindingView, ...]
    unknown: tuple[UnknownView, ...]
    facts: tuple[str, ...]
    row_id: str | None
    row_where: str
    cause: Text
    action: Text
    decision_evidence: tuple[str, ...]
    remediation: str | None
    plan_digest: str | None
    plan_steps: tuple[StepView, ...]
    undo: UndoView | None
    resolution: Text
    prevention: tuple[Text, ...]
    observations: tuple[ObservationView, ...]
    evidence: tuple[EvidenceView, ...]
    timeline: tuple[TimelineEntry, ...]
    checkpoint: str

    @classmethod
    def from_json(cls, value: object, where: str = "incident") -> IncidentView:
        """The incident that `to_json` was called on.

        Raises:
            RecordError: it is not such a record, or cites what it does not hold.
        """
        view = decode(cls, value, where)
        view.validate()
        return view

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object; `from_json` makes an equal incident of it."""
        encoded: dict[str, Any] = encode(self)
        return encoded

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that may be cited: observations, evidence, steps, in this order."""
        labels = tuple(o.label for o in self.observations)
        return (*labels, *(e.id for e in self.evidence), *self.step_ids)

    @property
    def step_ids(self) -> tuple[str, ...]:
        """S1, S2, … as many as the plan has steps."""
        return tuple(f"S{number}" for number, _ in enumerate(self.plan_steps, start=1))

    @property
    def looks(self) -> tuple[str, ...]:
        """The labels of all observations: what statements about everything that was asked rest on."""
        return tuple(o.label for o in self.observations)

    @property
    def decided_on(self) -> tuple[str, ...]:
        """What the decision rests on: its own evidence, else that of the findings, else the observations."""
        found = dict.fromkeys(i for finding in self.findings for i in finding.evidence)
        return self.decision_evidence or tuple(found) or self.looks

    @property
    def affected(self) -> tuple[str, ...]:
        """The targets with findings, in the order in which they were found."""
        return tuple(dict.fromkeys(f.target for f in self.findings if f.target is not None))

    @property
    def impact(self) -> tuple[Impact, ...]:
        """What was bad, one entry per target, in the order in which it was found."""
        parts = []
        for target in dict.fromkeys(f.target for f in self.findings):
            own = [f for f in self.findings if f.target == target]
            evidence = dict.fromkeys(i for f in own for i in f.evidence)
            parts.append(
                Impact(target=target, codes=tuple(dict.fromkeys(f.code for f in own)), evidence=tuple(evidence))
            )
        return tuple(parts)

    @property
    def unseen(self) -> tuple[EvidenceView, ...]:
        """Evidence that could not be had and that no entry of `unknown` speaks of."""
        told = {i for part in self.unknown for i in part.evidence}
        return tuple(e for e in self.evidence if not e.seen and e.id not in told)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first look to recovery, or to the end where there was none; None while it lasts."""
        return _between(self.opened_at, self.recovered_at or self.ended_at)

    @property
    def detect(self) -> Phase:
        """First look to finding."""
        return Phase(took_s=_between(self.opened_at, self.detected_at), goal_s=OBSERVE_TOTAL_S)

    @property
    def decide(self) -> Phase:
        """Finding to decision."""
        return Phase(took_s=_between(self.detected_at, self.decided_at), goal_s=DECIDE_S)

    @property
    def recover(self) -> Phase:
        """Finding to verified recovery."""
        return Phase(took_s=_between(self.detected_at, self.recovered_at), goal_s=RECOVER_S)

    def offset_s(self, at: str) -> float:
        """Seconds from the first look to `at`; negative where the clock was set back in between."""
        return (parse_instant(at) - parse_instant(self.opened_at)).total_seconds()

    def validate(self) -> None:
        """Refuse an incident that does not hold together.

        Raises:
            RecordError: a value is not allowed or an id leads nowhere; the message says which.
        """
        if self.schema != SCHEMA:
            raise RecordError(f"schema {self.schema} is not known here", where="schema", allowed=str(SCHEMA))
        for where, text in (("id", self.id), *((f"targets[{i}]", t) for i, t in enumerate(self.targets))):
            if not NAME.fullmatch(text):
                raise RecordError(f"{text[:60]!a} is not a name", where=where)
        _one_of(self.state, words.STATES, "state")
        _one_of(self.severity, {**words.SEVERITIES, "": ""}, "severity")
        if (self.state == "recovered") != (self.recovered_at is not None):
            raise RecordError("recovered_at goes with the state recovered, and with no other", where="recovered_at")
        if self.state == "recovered" and not (self.observations and self.observations[-1].purpose == "verification"):
            raise RecordError("a recovery is verified by a last look", where="observations", allowed="verification")
        self._validate_instants()
        self._validate_parts()
        self._validate_ids()

    def _validate_instants(self) -> None:
        for name in ("opened_at", "detected_at", "decided_at", "acted_at", "recovered_at", "ended_at"):
            _instant(getattr(self, name), name)
        for index, entry in enumerate(self.timeline):
            _instant(entry.at, f"timeline[{index}].at")

    def _validate_parts(self) -> None:
        for index, observation in enumerate(self.observations):
            _one_of(observation.purpose, words.PURPOSES, f"observations[{index}].purpose")
            _one_of(observation.verdict, dict.fromkeys(Verdict), f"observations[{index}].verdict")
        for index, step in enumerate(self.plan_steps):
            _one_of(step.outcome, words.OUTCOMES, f"plan_steps[{index}].outcome")
        if self.undo is not None:
            _one_of(self.undo.outcome, words.UNDO, "undo.outcome")
        for where, text in self._texts():
            for lang in text:
                _one_of(lang, dict.fromkeys(LANGUAGES), where)
        codes = [*((f"findings[{i}]", f.code) for i, f in enumerate(self.findings))]
        codes += [(f"unknown[{i}]", u.code) for i, u in enumerate(self.unknown)]
        codes += [(f"facts[{i}]", fact) for i, fact in enumerate(self.facts)]
        for where, code in codes:
            if not valid_code(code):
                raise RecordError(f"{code[:60]!a} is not a code", where=where)
        for index, entry in enumerate(self.timeline):
            _entry(entry, f"timeline[{index}]")

    def _validate_ids(self) -> None:
        if not self.observations:
            raise RecordError("an incident has at least one observation", where="observations")
        for index, observation in enumerate(self.observations):
            if not _OBSERVATION.fullmatch(observation.label):
                where = f"observations[{index}].label"
                raise RecordError(f"{observation.label[:60]!a} is not a label", where=where, allowed="O1, O2, …")
        for index, evidence in enumerate(self.evidence):
            _evidence_id(evidence.id, self.looks, f"evidence[{index}].id")
        known: set[str] = set()
        for one in self.ids:
            if one in known:
                raise RecordError(f"{one} stands for more than one thing", where="evidence")
            known.add(one)
        for where, cited, needed in self._citations():
            missing = next((wanted for wanted in cited if wanted not in known), None)
            if missing is not None:
                raise RecordError(f"{missing[:90]!a} is cited but not there", where=where)
            if needed and not cited:
                raise RecordError("a statement without evidence", where=where, allowed="at least one evidence id")

    def _texts(self) -> Iterator[tuple[str, Text]]:
        yield from (("cause", self.cause), ("action", self.action), ("resolution", self.resolution))
        yield from ((f"prevention[{index}]", text) for index, text in enumerate(self.prevention))

    def _citations(self) -> Iterator[tuple[str, tuple[str, ...], bool]]:
        yield "decision_evidence", self.decision_evidence, False
        for name in ("findings", "unknown", "timeline"):
            for index, part in enumerate(getattr(self, name)):
                yield f"{name}[{index}].evidence", part.evidence, True


def _between(start: str | None, end: str | None) -> float | None:
    """Seconds between two instants; None where one is missing, or the clock was set back in between."""
    if start is None or end is None:
        return None
    seconds = (parse_instant(end) - parse_instant(start)).total_seconds()
    return seconds if seconds >= 0 else None


def _evidence_id(one: str, labels: tuple[str, ...], where: str) -> None:
    if not ID.fullmatch(one) or _STEP.match(one):
        raise RecordError(f"{one[:90]!a} is not an evidence id", where=where, allowed="such as O1:guard[core-api]")
    if one.startswith("O") and one.partition(":")[0] not in labels:
        raise RecordError(f"{one} belongs to an observation that is not here", where=where)


def _instant(text: str | None, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise RecordError(
            f"{text[:60]!a} is not an instant", where=where, allowed="ISO 8601 with a zone: 2026-01-04T09:05:00Z"
        ) from None


def _one_of(value: str, allowed: Mapping[str, object], where: str) -> None:
    if value not in allowed:
        names = ", ".join(key for key in allowed if key)
        raise RecordError(f"{value[:60]!a} is not allowed here", where=where, allowed=names)


def _entry(entry: TimelineEntry, where: str) -> None:
    _one_of(entry.kind, words.TIMELINE, f"{where}.kind")
    wanted = set(re.findall(r"%\((\w+)\)s", words.TIMELINE[entry.kind]))
    if set(entry.params) != wanted:
        raise RecordError(
            f"the event {entry.kind} has other parameters", where=f"{where}.params", allowed=", ".join(sorted(wanted))
        )
    for name, value in entry.params.items():
        if name in words.TRANSLATED:
            _one_of(value, words.TRANSLATED[name], f"{where}.params.{name}")
