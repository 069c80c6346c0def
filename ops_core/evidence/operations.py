"""What was seen of the operations themselves: the control plane, cycles, live fire, and what nobody may touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ops_core.evidence.base import STRICT, Evidence


@dataclass(frozen=True, kw_only=True)
class ControlEvidence(Evidence):
    """The control plane as its store says. `stopped` is also true when the store is missing or unreadable."""

    store: str
    stopped: bool
    stop_reason: str
    gate: str
    changed_by: str = ""
    changed_at: str = ""
    problem: str = ""

    def explain(self) -> str:
        if self.problem:
            return f"emergency stop counts as engaged: {self.problem}"
        stop = f"engaged ({self.stop_reason})" if self.stopped else "released"
        return f"emergency stop {stop}, gate {self.gate}"


@dataclass(frozen=True, kw_only=True)
class DailyEvidence(Evidence):
    """What the daily checklist looks at: the control plane, and the cycle that ran last.

    Attributes:
        stopped: why everything is stopped; empty where it is not.
        gate: the one in force.
        window: status of the latest window, or NONE.
        window_left_s: seconds until it runs out.
        window_used: whether the latest cycle's own live fire consumed it.
        keys: how many approvals it has; `keys_problem` says why they do not prove themselves.
        due_slot: key of the slot that is due now, empty where none is; `due_run` whether it was run.
        missed: keys of the slots that nobody ran since the last cycle.
        run_id, result, cause, begun_at, ended_at: of the latest cycle; all empty where none ran yet.
        alive: whether it is still running.
    """

    stopped: str
    gate: str
    window: str = "NONE"
    window_left_s: int = 0
    window_used: bool = False
    keys: int = 0
    keys_needed: int = 2
    keys_problem: str = ""
    due_slot: str = ""
    due_run: bool = True
    missed: tuple[str, ...] = ()
    run_id: str = ""
    result: str = ""
    cause: str = ""
    begun_at: str = ""
    ended_at: str = ""
    alive: bool = False

    def explain(self) -> str:
        cycle = f"cycle {self.run_id} {self.result}" if self.run_id else "no cycle yet"
        return f"{self.stopped or 'emergency stop released'}; gate {self.gate}; window {self.window}; {cycle}"


@dataclass(frozen=True, kw_only=True)
class PreconditionSeen:
    """One precondition of a live fire: what it asks for, what was seen, and what to type where it does not hold."""

    __pydantic_config__: ClassVar[Any] = STRICT

    name: str
    ok: bool
    required: str
    seen: str
    next: str = ""


@dataclass(frozen=True, kw_only=True)
class LiveFireEvidence(Evidence):
    """What a live fire would see now: its eight preconditions. `problem`: the store could not be read."""

    profile: str
    preconditions: tuple[PreconditionSeen, ...]
    problem: str = ""

    def holds(self, name: str) -> bool:
        """Whether the precondition of that name holds."""
        return self._one(name).ok

    def explain_one(self, name: str) -> str:
        """What was seen of the precondition of that name, and what to type."""
        one = self._one(name)
        return f"{one.name} is {one.seen}, and must be {one.required}" + (f" (next: {one.next})" if one.next else "")

    def explain(self) -> str:
        missing = [one.name for one in self.preconditions if not one.ok]
        return f"missing for a live fire: {', '.join(missing)}" if missing else "a live fire may happen now"

    def _one(self, name: str) -> PreconditionSeen:
        return next(one for one in self.preconditions if one.name == name)


@dataclass(frozen=True, kw_only=True)
class Breach:
    """Something that was changed behind the program's back, or tried without permission.

    Attributes:
        area: "gate_mirror", "stop_mirror", "mirrors", "tickets", "logs", "contracts", "chain" or "real".
        where: the file, or what was tried.
        what: what was found, as one clause.
        at: when, as far as known: a file's modification time, or when it was recorded.
        by: who, as far as known: an actor, or the owner of what was found.
        put_right: whether the program has put it right since; it is told until somebody accepts it.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    area: str
    where: str
    what: str
    at: str = ""
    by: str = ""
    put_right: bool = False

    def explain(self) -> str:
        """In words: what, where, when and who as far as known."""
        known = [
            f"at {self.at}" if self.at else "at a time not known",
            f"by {self.by}" if self.by else "by nobody known",
        ]
        said = f"{self.where}: {self.what}, {', '.join(known)}"
        return f"{said}; put right since" if self.put_right else said


@dataclass(frozen=True, kw_only=True)
class IntegrityEvidence(Evidence):
    """Whether the files around the control store, and its own history, are what the program left there.

    `pending` names mirrors that an export has not yet brought up to date: late, and nobody's doing. `effect` says what
    is in force whatever those files say.
    """

    store: str
    audit_rows: int
    head_hash: str
    effect: str
    breaches: tuple[Breach, ...] = ()
    pending: tuple[str, ...] = ()
    accepted_at: str = ""

    def of(self, *areas: str) -> tuple[Breach, ...]:
        """The breaches in those areas."""
        return tuple(breach for breach in self.breaches if breach.area in areas)

    def tell(self, *areas: str) -> str:
        """The breaches in those areas in words, and that they had no effect."""
        found = self.of(*areas)
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        return "; ".join(breach.explain() for breach in found[:5]) + f"{more}. It had no effect: {self.effect}"

    def explain(self) -> str:
        late = f", {len(self.pending)} mirrors not yet exported" if self.pending else ""
        return f"{len(self.breaches)} breaches, {self.audit_rows} audit rows verified{late}"
