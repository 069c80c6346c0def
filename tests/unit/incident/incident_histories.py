"""Random histories of incidents: whatever the world answers, and however often the program is killed in between."""

from __future__ import annotations

from hypothesis import strategies as st
from incident_world import AT, look

from ops_core.clock import parse_instant
from ops_core.decision.match import UNMATCHED_CAUSE
from ops_core.incident.progress import Act, Event, History, Kind, State
from ops_core.incident.store import Incident, StepRow
from ops_core.incident.words import reason
from ops_core.remediation.plan import LinkPointsTo, Plan, Step
from ops_core.remediation.runner import StepState

NOW = parse_instant(AT)
ACTS_MAX = 400
INTERRUPTIONS_MAX = 6
CODES = ("guard.open", "health.slow", "process.not_running", "gate.real_enabled")
VERBS = ("restart_service", "rollback_config", "rollback_release", "third_verb", "fourth_verb")
DEPENDENTS = [{"target": name, "findings": ["health.not_ok"], "evidence": ["O1"]} for name in ("front", "back")]
pairs = st.tuples(st.sampled_from(CODES[:3]), st.sampled_from(["web", "api"])) | st.just(("gate.real_enabled", None))


def plan_of(remediation, target, *, undo):
    step = Step(name="swap", argv=("mv", "a", "b"), timeout_s=1.0, outcome=LinkPointsTo(link="/l", destination="v1"))
    return Plan(
        remediation=remediation,
        target=target,
        findings=("guard.open",),
        steps=(step, step),
        undo=(step,) if undo else (),
        summary={"en": f"do {remediation}", "ko": "하기"},
        no_undo={} if undo else {"en": "none"},
    )


class Simulation:
    """One incident, handled by `History.next` against a world that answers as `draw` says."""

    def __init__(self, draw, *, remediate=True, now=NOW):
        self.draw, self.remediate, self.now = draw, remediate, now
        self.events, self.steps, self.planned = [], {}, []
        self.interruptions = 0
        self.add(Kind.OPENED, look=look("O1", bad=self.pick(st.lists(pairs, min_size=1, max_size=4))).to_json())

    def pick(self, strategy):
        return self.draw(strategy)

    def add(self, kind, **data):
        self.events.append(Event(seq=len(self.events) + 1, at=AT, kind=kind, data=data))

    @property
    def incident(self):
        data = {"drill": True, "targets": ["web", "api"], "injected_at": None, "fault": ""}
        history = History(self.events)
        return Incident(
            id="20260105T090000Z-abc123",
            opened_at=AT,
            state=history.state,
            profile="default",
            suite="observe",
            version=len(self.events),
            data=data,
        )

    @property
    def rows(self):
        return [self.steps[key] for key in sorted(self.steps)]

    def run(self):
        """Handle the incident to its end."""
        for _ in range(ACTS_MAX):
            wanted = History(self.events).next(self.now, remediate=self.remediate)
            if wanted.act is Act.NOTHING:
                return self
            if (
                wanted.act is not Act.FILE
                and self.interruptions < INTERRUPTIONS_MAX
                and self.pick(st.integers(0, 9)) == 0
            ):
                self.interruptions += 1
                self.add(Kind.INTERRUPTED, reason=reason("crashed"))
                continue
            self.do(wanted)
        raise AssertionError("it does not come to an end")

    def do(self, wanted):
        history = History(self.events)
        if wanted.act is Act.OBSERVE:
            bad = self.pick(st.lists(pairs, max_size=3))
            unseen = self.pick(st.lists(pairs, max_size=1)) if not bad else []
            self.add(Kind.OBSERVED, look=look(history.next_label(), bad=bad, unseen=unseen).to_json())
        elif wanted.act is Act.DECIDE:
            self.add(Kind.DECIDED, decisions=[self.decision(history, t) for t in dict.fromkeys(self.targets(history))])
        elif wanted.act is Act.PLAN:
            self.plan(history, wanted)
        elif wanted.act is Act.CLOSE:
            self.add(Kind.CLOSED, state=wanted.state.value, reason=dict(wanted.reason))
        elif wanted.act is Act.FILE:
            self.add(Kind.FILED)
        else:
            {Act.PERMIT: self.permit, Act.APPLY: self.apply, Act.VERIFY: self.verify, Act.UNDO: self.undo}[wanted.act](
                history, wanted.attempt
            )

    def targets(self, history):
        return [bad.target for bad in history.round.look.bad]

    def decision(self, history, target):
        current = history.round.look
        codes = [bad.code for bad in current.bad if bad.target == target]
        known = self.pick(st.booleans())
        verbs = self.pick(st.lists(st.sampled_from(VERBS), unique=True, max_size=5)) if known else []
        return {
            "target": target,
            "row_id": "a-row" if known else None,
            "where": "decisions.toml:1",
            "severity": "critical",
            "findings": codes[:1],
            "given": [],
            "attributed": codes[1:],
            "evidence": list(current.cited(current.bad[0].evidence)),
            "cause": dict(UNMATCHED_CAUSE),
            "action": dict(UNMATCHED_CAUSE),
            "candidates": verbs if target is not None else [],
            "dependents": self.pick(st.sampled_from([[], DEPENDENTS])) if target == "web" else [],
            "for_dependents": self.pick(st.sampled_from([None, "steady_verb"])),
        }

    def plan(self, history, wanted):
        target = wanted.target
        number = len(history.attempts) + 1
        about = {"attempt": number, "decision": wanted.decision, "target": target, "remediation": wanted.remediation}
        self.planned.append((target, wanted.remediation))
        if self.pick(st.integers(0, 3)) == 0:
            self.add(Kind.UNPLANNED, **about, reason="cannot", next="")
            return
        plan = plan_of(wanted.remediation, target, undo=self.pick(st.booleans()))
        self.add(Kind.PLANNED, **about, plan=plan.to_json(), digest=plan.digest)
        for phase, steps in (("apply", plan.steps), ("undo", plan.undo)):
            for index, _ in enumerate(steps):
                self.step(number, phase, index, StepState.PLANNED)

    def step(self, number, phase, index, state):
        self.steps[number, phase, index] = StepRow(
            attempt=number,
            phase=phase,
            index=index,
            state=state,
            armed_at=None,
            ended_at=None,
            data={"command": "mv a b", "mark": {}, "armings": [], "detail": "", "elapsed_s": 0.1},
        )

    def permit(self, _history, attempt):
        allowed = self.pick(st.integers(0, 4)) > 0
        kind = Kind.PERMITTED if allowed else Kind.REFUSED
        self.add(kind, attempt=attempt.number, code="x", reason="the gate says so", next="")

    def carry_out(self, attempt, phase, count):
        """Some steps, and how it ended."""
        result = self.pick(st.sampled_from(["done", "done", "done", "failed", "unknown", "refused", "stopped"]))
        reached = count if result == "done" else self.pick(st.integers(0, count - 1))
        for index in range(reached):
            self.arm(attempt, phase, index, StepState.DONE)
        if result in {"failed", "unknown", "stopped"}:
            self.arm(attempt, phase, reached, StepState.FAILED if result == "failed" else StepState.UNKNOWN)
        return result

    def arm(self, attempt, phase, index, state):
        about = {"attempt": attempt.number, "phase": phase, "index": index, "command": "mv a b"}
        for again in ("", *(["interrupted"] if self.pick(st.integers(0, 5)) == 0 else [])):
            self.add(Kind.ARMED, **about, again=again)
        self.add(Kind.STEP, **about, state=state.value, detail="", elapsed_s=0.1)
        self.step(attempt.number, phase, index, state)

    def apply(self, _history, attempt):
        result = self.carry_out(attempt, "apply", len(attempt.plan.steps))
        if result == "done":
            self.add(Kind.ACTED, attempt=attempt.number)
        else:
            self.add(Kind.UNACTED, attempt=attempt.number, result=result, step=1, reason="it went wrong", code="")

    def verify(self, history, attempt):
        good = self.pick(st.booleans())
        bad = [] if good else [("guard.open", attempt.target)]
        found = look(history.next_label(), bad=bad, whole=False)
        self.add(Kind.OBSERVED, look=found.to_json(), attempt=attempt.number)
        self.add(Kind.VERIFIED, attempt=attempt.number, good=good, codes=[code for code, _ in bad], polls=1)

    def undo(self, _history, attempt):
        result = self.carry_out(attempt, "undo", len(attempt.plan.undo))
        kind = Kind.UNDONE if result == "done" else Kind.UNDO_FAILED
        self.add(kind, attempt=attempt.number, result=result, reason="" if result == "done" else "it went wrong")


@st.composite
def histories(draw, *, remediate=True):
    """An incident that was handled to its end."""
    return Simulation(draw, remediate=remediate).run()


FINAL = {State.RECOVERED, State.ESCALATED, State.REFUSED, State.INTERRUPTED}
