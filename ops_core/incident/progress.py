"""What comes next in an incident, as a pure function of what happened so far.

The loop that handles an incident has no memory of its own: it asks here, does the one thing, records it, and asks
again. So going on after a crash is the same as going on, and every order of events can be tried in tests without any
system.

An incident goes in rounds. A round begins with a look at everything, decides about every target, and makes attempts:
one remediation planned, permitted, applied, verified, undone where it did not help. A remediation is tried at most once
per target and incident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from ops_core.budget import RECOVER_S
from ops_core.clock import parse_instant
from ops_core.errors import RecordError
from ops_core.incident.events import AFTERWARDS, Event, Kind, State
from ops_core.incident.looks import Look
from ops_core.incident.words import reason
from ops_core.remediation.plan import Plan
from ops_core.verdict import Verdict

__all__ = ["Act", "Attempt", "Event", "History", "Kind", "Next", "Round", "Stage", "State"]

ROUNDS_MAX = 3
LOOKS_MAX = 30
CHOICE_LOOKS_MAX = 6
DECISIONS_MAX = 20
CANDIDATES_MAX = 3
CODES_SHOWN_MAX = 20
GATE_OPEN = ("gate.real_enabled", None)


class Stage(StrEnum):
    """How far an attempt is."""

    PLANNED = "planned"
    PERMITTED = "permitted"
    ACTED = "acted"
    TO_UNDO = "to_undo"
    SOLVED = "solved"
    GIVEN_UP = "given_up"


@dataclass(kw_only=True)
class Attempt:
    """One remediation of one target. `plan` is None where none could be made."""

    number: int
    decision: int
    target: str | None
    remediation: str
    stage: Stage
    plan: Plan | None = None
    armed: bool = False
    looks: list[Look] = field(default_factory=list)


@dataclass(kw_only=True)
class Round:
    """A look at everything and what followed from it. `decisions` is None until they are made."""

    look: Look
    begun_seq: int
    decisions: list[dict[str, Any]] | None = None
    attempts: list[Attempt] = field(default_factory=list)
    interrupted: bool = False

    @property
    def armed(self) -> bool:
        """Whether anything was begun in this round."""
        return any(attempt.armed for attempt in self.attempts)


class Act(StrEnum):
    """What the loop has to do now."""

    OBSERVE = "observe"
    DECIDE = "decide"
    PLAN = "plan"
    PERMIT = "permit"
    APPLY = "apply"
    VERIFY = "verify"
    UNDO = "undo"
    CLOSE = "close"
    FILE = "file"
    NOTHING = "nothing"


_FOLLOWING = {
    Stage.PLANNED: Act.PERMIT,
    Stage.PERMITTED: Act.APPLY,
    Stage.ACTED: Act.VERIFY,
    Stage.TO_UNDO: Act.UNDO,
}


@dataclass(frozen=True, kw_only=True)
class Next:
    """One thing to do, with what it needs. `reason` is as `words.reason` makes it."""

    act: Act
    attempt: Attempt | None = None
    decision: int = -1
    target: str | None = None
    remediation: str = ""
    state: State = State.OPEN
    reason: Mapping[str, Any] = field(default_factory=dict)


class History:
    """An incident's events, understood.

    Raises:
        RecordError: the events are damaged or in an order in which they cannot have happened.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = tuple(events)
        self.rounds: list[Round] = []
        self.attempts: list[Attempt] = []
        self.looks: list[Look] = []
        self.end: Event | None = None
        self.filed = False
        self._abort: tuple[State, Mapping[str, Any]] | None = None
        for event in self.events:
            try:
                self._take(event)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise RecordError(
                    f"the incident's events are damaged: {type(error).__name__}: {error}", where=f"event {event.seq}"
                ) from None
        if not self.rounds:
            raise RecordError("the incident's events are damaged: it was never opened", where="event 1")

    @property
    def round(self) -> Round:
        """The latest round."""
        return self.rounds[-1]

    @property
    def state(self) -> State:
        """What the incident is."""
        return State(self.end.data["state"]) if self.end else State.OPEN

    @cached_property
    def recover_by(self) -> datetime:
        """The end of the ten minutes that recovery may take, from when the first look ended."""
        return parse_instant(self.rounds[0].look.finished_at) + timedelta(seconds=RECOVER_S)

    @property
    def by_hand(self) -> str:
        """The remediation that somebody chose, where the table was not asked; empty where it was."""
        first = (self.rounds[0].decisions or [{}])[0]
        return str(first["candidates"][0]) if first.get("by_hand") else ""

    @property
    def acted(self) -> bool:
        """Whether anything was ever begun."""
        return any(attempt.armed for attempt in self.attempts)

    def attempt(self, number: int) -> Attempt:
        """The attempt of that number, from 1."""
        return self.attempts[number - 1]

    def next_label(self) -> str:
        """The label of the next observation."""
        return f"O{len(self.looks) + 1}"

    def affected(self) -> set[str | None]:
        """Every target about which anything bad was found."""
        return {bad.target for look in self.looks for bad in look.bad}

    # -- understanding -------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if self.end is not None and event.kind not in AFTERWARDS:
            raise ValueError(f"{event.kind} after the end")
        handlers = {
            Kind.OPENED: self._observed,
            Kind.OBSERVED: self._observed,
            Kind.DECIDED: self._decided,
            Kind.PLANNED: self._planned,
            Kind.UNPLANNED: self._planned,
            Kind.PERMITTED: self._moved,
            Kind.REFUSED: self._refused,
            Kind.ARMED: self._armed,
            Kind.ACTED: self._moved,
            Kind.UNACTED: self._unacted,
            Kind.VERIFIED: self._verified,
            Kind.UNDONE: self._moved,
            Kind.UNDO_FAILED: self._undo_failed,
            Kind.INTERRUPTED: self._interrupted,
            Kind.CLOSED: self._closed,
            Kind.FILED: self._filed,
        }
        handler = handlers.get(event.kind)
        if handler is not None:
            handler(event)

    def _observed(self, event: Event) -> None:
        look = Look.from_json(event.data["look"])
        self.looks.append(look)
        if look.whole:
            self.rounds.append(Round(look=look, begun_seq=event.seq))
        else:
            self.attempt(event.data["attempt"]).looks.append(look)

    def _decided(self, event: Event) -> None:
        self.round.decisions = list(event.data["decisions"])

    def _planned(self, event: Event) -> None:
        plan = Plan.from_json(event.data["plan"]) if event.kind is Kind.PLANNED else None
        attempt = Attempt(
            number=event.data["attempt"],
            decision=event.data["decision"],
            target=event.data["target"],
            remediation=event.data["remediation"],
            stage=Stage.PLANNED if plan else Stage.GIVEN_UP,
            plan=plan,
        )
        if attempt.number != len(self.attempts) + 1:
            raise ValueError(f"attempt {attempt.number} is out of place")
        self.attempts.append(attempt)
        self.round.attempts.append(attempt)

    def _moved(self, event: Event) -> None:
        stages = {Kind.PERMITTED: Stage.PERMITTED, Kind.ACTED: Stage.ACTED, Kind.UNDONE: Stage.GIVEN_UP}
        self.attempt(event.data["attempt"]).stage = stages[event.kind]

    def _refused(self, event: Event) -> None:
        self._abort = (State.REFUSED, reason("guard", detail=event.data["reason"]))

    def _armed(self, event: Event) -> None:
        self.attempt(event.data["attempt"]).armed = True

    def _unacted(self, event: Event) -> None:
        attempt, result, detail = self.attempt(event.data["attempt"]), event.data["result"], event.data["reason"]
        if result == "refused":
            state = State.ESCALATED if attempt.armed else State.REFUSED
            self._abort = (state, reason("guard", detail=detail))
        elif result == "stopped":
            self._abort = (State.INTERRUPTED, reason("stopped", detail=detail))
        elif result == "unknown":
            self._abort = (State.ESCALATED, reason("cannot_tell", detail=detail))
        attempt.stage = Stage.TO_UNDO if attempt.armed and attempt.plan and attempt.plan.undo else Stage.GIVEN_UP

    def _verified(self, event: Event) -> None:
        attempt = self.attempt(event.data["attempt"])
        back = Stage.TO_UNDO if attempt.plan and attempt.plan.undo else Stage.GIVEN_UP
        attempt.stage = Stage.SOLVED if event.data["good"] else back

    def _undo_failed(self, event: Event) -> None:
        self.attempt(event.data["attempt"]).stage = Stage.GIVEN_UP
        stopped = event.data["result"] == "stopped"
        why = reason("stopped" if stopped else "undo_failed", detail=event.data["reason"])
        self._abort = (State.INTERRUPTED if stopped else State.ESCALATED, why)

    def _interrupted(self, _event: Event) -> None:
        self.round.interrupted = True

    def _closed(self, event: Event) -> None:
        State(event.data["state"])
        self.end = event

    def _filed(self, _event: Event) -> None:
        self.filed = True

    # -- deciding ------------------------------------------------------------------------------------------------

    def next(self, now: datetime, *, remediate: bool = True) -> Next:
        """What to do now. Every event that follows changes the answer, so that asking again always comes to an end."""
        if self.end is not None:
            return Next(act=Act.NOTHING if self.filed else Act.FILE)
        if self._abort is not None:
            return Next(act=Act.CLOSE, state=self._abort[0], reason=self._abort[1])
        current = self.round
        if current.interrupted and not current.armed:
            # Nothing was begun on what was seen then, and who knows how long ago that was.
            return self._look_again()
        if current.decisions is None:
            return self._after_look(current)
        for attempt in current.attempts:
            if attempt.stage in _FOLLOWING:
                return Next(act=_FOLLOWING[attempt.stage], attempt=attempt)
        if not remediate:
            return self._close(State.ESCALATED, reason("not_asked"))
        return self._next_attempt(current, now)

    def _after_look(self, current: Round) -> Next:
        look, left = current.look, self._left(current.look)
        if look.verdict == Verdict.HEALTHY:
            return self._close(State.RECOVERED, {})
        if look.bad and not left and not look.unseen:
            return self._close(State.RECOVERED, reason("gate_open"))
        if not left:
            # What was not seen may be seen the next moment; twice in a row it is for a person to find out why.
            twice = len(self.rounds) > 1 and not self._left(self.rounds[-2].look)
            return self._not_seen(current) if twice else self._look_again()
        if self.by_hand:
            return self._after_choice(look)
        worked = sum(one.armed for one in self.rounds[:-1])
        if worked >= ROUNDS_MAX:
            return self._close(State.ESCALATED, reason("rounds_over", rounds=worked, codes=_codes(look)))
        return Next(act=Act.DECIDE)

    def _after_choice(self, look: Look) -> Next:
        """Whoever chose a remediation gets it and nothing else: what it brings about on purpose is no failure of it."""
        before = {(bad.code, bad.target) for bad in self.rounds[0].look.bad}
        solved = [one for one in self.attempts if one.stage is Stage.SOLVED and one.plan]
        on_purpose = {(code, one.target) for one in solved if one.plan for code in one.plan.leaves}
        if not look.unseen and on_purpose.difference(before).issuperset(self._left(look)):
            return self._close(State.RECOVERED, reason("on_purpose", codes=_codes(look)))
        if any(one.armed for one in self.attempts) and len(self.rounds) <= CHOICE_LOOKS_MAX:
            # Nothing may have been bad before, so nothing was waited for: what was restarted gets a while to be there.
            return self._look_again()
        return self._close(State.ESCALATED, reason("by_hand", remediation=self.by_hand, codes=_codes(look)))

    def _not_seen(self, current: Round) -> Next:
        codes = _listed([f"{u.code}[{u.target}]" if u.target else u.code for u in current.look.unseen])
        return self._close(State.ESCALATED, reason("not_seen", codes=codes or current.look.verdict))

    def _next_attempt(self, current: Round, now: datetime) -> Next:
        tried = {(attempt.target, attempt.remediation) for attempt in self.attempts if attempt.armed}
        tried |= {(attempt.target, attempt.remediation) for attempt in current.attempts}
        solved = {(attempt.decision, attempt.target) for attempt in current.attempts if attempt.stage is Stage.SOLVED}
        named = False
        for index, decision in enumerate((current.decisions or [])[:DECISIONS_MAX]):
            if (index, decision["target"]) in solved:
                continue
            for target, remediation in _ways(decision):
                named = True
                if (target, remediation) in tried:
                    continue
                if now >= self.recover_by:
                    why = reason("time_over", minutes=f"{RECOVER_S / 60:g}", codes=_codes(current.look))
                    return self._close(State.ESCALATED, why)
                return Next(act=Act.PLAN, decision=index, target=target, remediation=remediation)
        if any(attempt.armed for attempt in current.attempts):
            return self._look_again()
        key = "nothing_left" if named else "no_remediation"
        return self._close(State.ESCALATED, reason(key, codes=_codes(current.look)))

    def _look_again(self) -> Next:
        if len(self.looks) >= LOOKS_MAX:
            why = reason("rounds_over", rounds=len(self.rounds), codes=_codes(self.round.look))
            return self._close(State.ESCALATED, why)
        return Next(act=Act.OBSERVE)

    def _left(self, look: Look) -> list[tuple[str, str | None]]:
        """What is bad, but for a gate that had to be opened for what was done."""
        return [(b.code, b.target) for b in look.bad if not (self.acted and (b.code, b.target) == GATE_OPEN)]

    @staticmethod
    def _close(state: State, why: Mapping[str, Any]) -> Next:
        return Next(act=Act.CLOSE, state=state, reason=why)


def _ways(decision: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    """What may be tried, in order: what answers the cause; where that did not help, what steadies its dependents."""
    answers = [(decision["target"], remediation) for remediation in decision["candidates"][:CANDIDATES_MAX]]
    steady = decision.get("for_dependents")
    return [*answers, *((other["target"], steady) for other in decision.get("dependents", ()) if steady)]


def _codes(look: Look) -> str:
    return _listed([f"{b.code}[{b.target}]" if b.target else b.code for b in look.bad])


def _listed(codes: list[str]) -> str:
    once = list(dict.fromkeys(codes))
    more = len(once) - CODES_SHOWN_MAX
    return ", ".join(once[:CODES_SHOWN_MAX]) + (f" (+{more})" if more > 0 else "")
