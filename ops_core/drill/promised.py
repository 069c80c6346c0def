"""What became of a fault, held against what the fault catalogue promises. Pure: it reads what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ops_core.clock import parse_instant
from ops_core.drill.fault import RECOVERED, Fault
from ops_core.drill.matrix.results import About, Decided, JudgedCheck, Remedied
from ops_core.errors import OpsError
from ops_core.incident.events import Event, Kind
from ops_core.incident.loop import IncidentOutcome
from ops_core.incident.progress import History
from ops_core.observation.record import Observation
from ops_core.report.model import IncidentView
from ops_core.verdict import Judged

CONTROL_PLANE = "control plane"


@dataclass(frozen=True, kw_only=True)
class Dealt:
    """How the runbook dealt with a fault: what its incident recorded, in the order in which it happened."""

    decisions: tuple[Decided, ...] = ()
    remedied: tuple[Remedied, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """How a rehearsal went. Seconds count from the moment at which the fault was in force.

    Attributes:
        fault: its name.
        suite: the checks that looked.
        outcome: what came of the incident loop.
        shown: the incident as it is reported; None where nothing was found.
        expected: what had to be found.
        judged: every check of the first look after the fault.
        findings: what that look found.
        unknown: what that look could not judge.
        missed: expected and not found.
        false_alarms: found though nothing of the kind was broken.
        facts: what the first look said about the versions of the target.
        decisions: what the table said, round after round.
        rows: the rows that matched, in the order in which they did.
        remedied: the remediations that were begun, in order.
        detect_s: seconds until it was found.
        decide_s: seconds until it was decided what to do.
        recover_s: seconds until the recovery was verified.
        record: of the first look after the fault.
        healthy_record: of the look before it.
        restored: whether the stack was as before once the fault was withdrawn.
        refusal: how it was refused at the door; empty where a check has to see it.
        problems: in which ways the runbook did not do what the fault catalogue promises; empty is a pass.
    """

    fault: str
    suite: str
    outcome: IncidentOutcome
    shown: IncidentView | None
    expected: tuple[About, ...]
    judged: tuple[JudgedCheck, ...]
    findings: tuple[About, ...]
    unknown: tuple[About, ...]
    missed: tuple[About, ...]
    false_alarms: tuple[About, ...]
    facts: tuple[str, ...]
    decisions: tuple[Decided, ...]
    rows: tuple[str, ...]
    remedied: tuple[Remedied, ...]
    detect_s: float | None
    decide_s: float | None
    recover_s: float | None
    record: Path | None
    healthy_record: Path | None
    restored: bool
    refusal: str
    problems: tuple[str, ...]

    @property
    def view(self) -> IncidentView:
        """The incident as it is reported.

        Raises:
            OpsError: there is none, because nothing was found.
        """
        if self.shown is None:
            raise OpsError(f"the fault {self.fault} was not noticed: the verdict was {self.outcome.outcome}")
        return self.shown

    @property
    def state(self) -> str:
        """How it ended: what the incident came to; `unknown` or `healthy` where there was none."""
        return self.outcome.outcome

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "fault": self.fault,
            "incident": self.outcome.incident_id,
            "state": self.state,
            "findings": [{"code": one.code, "target": one.target} for one in self.findings],
            "row": self.shown.row_id if self.shown else None,
            "rows": list(self.rows),
            "remediation": self.shown.remediation if self.shown else None,
            "undone": [one.name for one in self.remedied if one.undone],
            "detect_s": self.detect_s,
            "decide_s": self.decide_s,
            "recover_s": self.recover_s,
            "restored": self.restored,
            "problems": list(self.problems),
            "files": [str(path) for path in self.outcome.files],
        }


def judged_in(seen: Observation | None) -> tuple[JudgedCheck, ...]:
    """What each check of a look said."""
    return tuple(
        JudgedCheck(suite=one.suite, check=one.check, finding=one.finding, target=one.target, judged=one.judged.value)
        for one in (seen.judgements if seen else ())
    )


def about(seen: Observation | None, judged: Judged) -> tuple[About, ...]:
    """What a look found, or could not judge."""
    found = (one for one in (seen.judgements if seen else ()) if one.judged is judged)
    return tuple(dict.fromkeys(About(code=one.finding or "check.unnamed", target=one.target) for one in found))


def dealt_with(events: Sequence[Event]) -> Dealt:
    """What an incident's events say about decisions and remediations."""
    if not events:
        return Dealt()
    history = History(events)
    undone = {event.data["attempt"] for event in history.events if event.kind is Kind.UNDONE}
    acted = {event.data["attempt"] for event in history.events if event.kind is Kind.ACTED}
    good = {event.data["attempt"] for event in history.events if event.kind is Kind.VERIFIED and event.data["good"]}
    decisions = tuple(
        Decided(target=one["target"], row=one["row_id"], remediation=(one["candidates"] or [None])[0])
        for part in history.rounds
        for one in part.decisions or ()
    )
    remedied = tuple(
        Remedied(
            name=one.remediation,
            target=one.target,
            applied=one.number in acted,
            verified=one.number in good,
            undone=one.number in undone,
        )
        for one in history.attempts
        if one.armed
    )
    return Dealt(decisions=decisions, remedied=remedied)


def judge(
    fault: Fault,
    outcome: IncidentOutcome,
    dealt: Dealt,
    injected_at: datetime,
    *,
    healed: bool,
    healthy_record: Path | None,
    changed: Sequence[str],
    refusal: str = "",
) -> Rehearsal:
    """What happened, held against what the fault catalogue promises.

    Args:
        fault: what was injected.
        outcome: what came of the incident loop.
        dealt: what its incident says was decided and done.
        injected_at: when the fault was in force.
        healed: whether the fault was not in force any more when the incident had ended.
        healthy_record: of the look before the fault.
        changed: in which ways the stack is not as before.
        refusal: how it was refused at the door; empty where it was not.
    """
    seen, view = outcome.observation, outcome.view
    findings, unknown = about(seen, Judged.BAD), about(seen, Judged.UNKNOWN)
    expected = tuple(About(code=code, target=target) for code, target in fault.expected)
    allowed = {*fault.about, *({None} if fault.by_hand else ())}
    facts = tuple(seen.facts.get(fault.target, ())) if seen else ()

    def after(instant: str | None) -> float | None:
        return None if instant is None else round((parse_instant(instant) - injected_at) / timedelta(seconds=1), 3)

    rows = tuple(dict.fromkeys(one.row for one in dealt.decisions if one.row is not None))
    missed = tuple(one for one in expected if one not in findings)
    wrong = tuple(one for one in findings if one.target not in allowed or one.code in fault.absent)
    problems = (
        *(f"{one.code} was not found about {one.target or CONTROL_PLANE}" for one in missed),
        *_alarms(fault, wrong),
        *_unseen(fault, unknown),
        *(("nothing says that it was refused",) if fault.refused is not None and not refusal else ()),
        *_decided(fault, dealt, rows),
        *_ended(fault, outcome, healed=healed),
        *(f"not as before once it was withdrawn: {one}" for one in changed),
    )
    return Rehearsal(
        fault=fault.name,
        suite=fault.looked_at_by,
        outcome=outcome,
        shown=view,
        expected=expected,
        judged=judged_in(seen),
        findings=findings,
        unknown=unknown,
        missed=missed,
        false_alarms=wrong,
        facts=facts,
        decisions=dealt.decisions,
        rows=rows,
        remedied=dealt.remedied,
        detect_s=after(view.detected_at) if view else None,
        decide_s=after(view.decided_at) if view else None,
        recover_s=after(view.recovered_at) if view else None,
        record=outcome.record,
        healthy_record=healthy_record,
        restored=not changed,
        refusal=refusal,
        problems=problems,
    )


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """In which ways a stack stands otherwise than before."""
    return [
        f"{key} is {now.get(key, '') or 'nothing'}, and was {before.get(key, '') or 'nothing'}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]


def _alarms(fault: Fault, wrong: Sequence[About]) -> Iterator[str]:
    others = sorted({one.target or CONTROL_PLANE for one in wrong if one.code not in fault.absent})
    if others:
        yield f"findings about what was not broken: {', '.join(others)}"
    for code in dict.fromkeys(one.code for one in wrong if one.code in fault.absent):
        yield f"{code} was found, and must not be"


def _unseen(fault: Fault, unknown: Sequence[About]) -> Iterator[str]:
    for code in fault.unseen:
        if About(code=code, target=fault.target) not in unknown:
            yield f"{code} was judged, though it could not be seen"


def _decided(fault: Fault, dealt: Dealt, rows: Sequence[str]) -> Iterator[str]:
    for one in fault.all_parts:
        if one.row is not None and not one.by_hand and one.row not in rows:
            yield f"the row {one.row} did not match; these did: {_listed(rows)}"
        yield from _remedied(one, dealt)
    taken_back = [one.name for one in dealt.remedied if one.undone]
    if fault.undone and (fault.taken_back or fault.remediation) not in taken_back:
        yield f"{fault.taken_back or fault.remediation} was not taken back; these were: {_listed(taken_back)}"
    if fault.remediation is None and not fault.parts:
        for acted in (one for one in dealt.remedied if one.name not in fault.then):
            yield f"{acted.name} was begun, where a person has to act"


def _remedied(fault: Fault, dealt: Dealt) -> Iterator[str]:
    names = [one.name for one in dealt.remedied]
    for wanted in (name for name in (fault.remediation, *fault.then) if name is not None):
        own = [one for one in dealt.remedied if one.name == wanted]
        decided = [one.remediation for one in dealt.decisions if one.remediation]
        if not own and not names and wanted in decided:
            # What heals nothing may be impossible as well: there is nothing to go back to.
            if fault.curable:
                yield f"{wanted} was decided on, and not begun"
        elif not own:
            yield f"the remedy was {_listed(names or decided)}, not {wanted}"
        elif (fault.curable or wanted in fault.then) and not (own[-1].verified or (fault.undone and own[-1].undone)):
            yield f"{wanted} did not help"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _ended(fault: Fault, outcome: IncidentOutcome, *, healed: bool) -> Iterator[str]:
    if outcome.outcome != fault.ends:
        why = "" if fault.ends == RECOVERED or fault.curable else "nothing heals it, and yet "
        yield f"{why}the end was {outcome.outcome}, not {fault.ends}"
    elif outcome.outcome == RECOVERED and not healed:
        yield f"it was called {RECOVERED} while the fault was still in force"
