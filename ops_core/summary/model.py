"""What a summary is made from and of: the facts as they were read, and a risk. Plain frozen data.

A fact that could not be read is a fact too: `Unread` names it, so that nobody takes silence for health.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ops_core.decision.table import Severity


class Overall(StrEnum):
    """How everything stands, the best first."""

    OK = "OK"
    WARN = "WARN"
    BLOCKED = "BLOCKED"
    FAIL = "FAIL"

    @property
    def rank(self) -> int:
        """0 is the best."""
        return list(Overall).index(self)


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Something that is not as it should be, or that nobody knows to be.

    Attributes:
        code: stable, in capital letters.
        severity: how urgent it is.
        weighs: what it makes of the whole.
        what: one sentence.
        evidence: where it can be looked up; never empty.
        next_step: what to type.
    """

    code: str
    severity: Severity
    weighs: Overall
    what: str
    evidence: tuple[str, ...]
    next_step: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, under the names that scripts read."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "weighs": self.weighs.value,
            "what": self.what,
            "evidence": list(self.evidence),
            "next": self.next_step,
        }


@dataclass(frozen=True, kw_only=True)
class Unread:
    """An area that could not be read: which, why, and where one would look."""

    area: str
    why: str
    where: str


@dataclass(frozen=True, kw_only=True)
class Control:
    """The control plane: the stop, and what could let something real happen. `seq` names its newest change."""

    stopped: bool = True
    stop_reason: str = ""
    problem: str = ""
    remedy: str = ""
    gate: str = "DRY_RUN"
    gate_real: bool = False
    sender_on: bool = False
    window_open: bool = False
    evidence: str = "control"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The newest observation of a suite.

    Attributes:
        suite: which.
        run_id: which run; empty where there is none.
        finished_at: when it was judged.
        verdict: what it adds up to.
        bad: what was seen to be bad, as `finding[target]`.
        unseen: what could not be seen, in the same form.
        evidence: the ids behind both.
        problem: why the record cannot be read; empty where it can.
    """

    suite: str
    run_id: str = ""
    finished_at: datetime | None = None
    verdict: str = ""
    bad: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The latest receipt of its kind: a cycle, a live fire, a live cycle. `alive`: it is open and still goes on."""

    id: str
    result: str
    cause: str = ""
    alive: bool = False


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The bundle in force; `age_s` since it was made, `fresh_until` by this host's limit."""

    id: str
    problem: str = ""
    fresh: bool = False
    fresh_until: str = ""
    age_s: float = 0.0
    by_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """The hand-off of an operator's host: what is in force, and what came of the newest pull."""

    bundle: Bundle | None = None
    pull_id: str = ""
    pull_outcome: str = ""
    pull_code: str = ""
    pull_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Breached:
    """What was changed behind the program's back in one area of the suite `integrity`."""

    area: str
    count: int
    what: str
    where: tuple[str, ...]
    put_right: bool


@dataclass(frozen=True, kw_only=True)
class Handled:
    """An open incident; one that the loop handles has no severity."""

    id: str
    severity: str = ""
    title: str = ""
    overdue: bool = False


@dataclass(frozen=True, kw_only=True)
class Messages:
    """Messages of the last days whose fate is not known, or that certainly did not arrive: newest ids, and counts."""

    unknown: int = 0
    unknown_ids: tuple[str, ...] = ()
    failed: int = 0
    failed_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What the error budget of a target says: left, spent or unknown; and whether it burns too fast."""

    target: str
    state: str
    why: str
    burning: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a summary is made from, read at one instant.

    Attributes:
        asof: that instant.
        expected: the suites that say whether the targets are well.
        bundles: whether this host operates on bundles of another one; then its day is the live cycle.
        handoff: what is known of them; None where it takes none, or they could not be read.
        live_cycle: the latest; None where there was none.
        cycle: the same of the scheduled cycle.
        missed: keys of the slots that nobody ran: of the live cycle where bundles are taken, else of the cycle.
        budgets: one for each target.
        unread: what could not be read.
    """

    asof: datetime
    control: Control = Control()
    expected: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    breaches: tuple[Breached, ...] = ()
    bundles: bool = False
    handoff: Handoff | None = None
    cycle: Run | None = None
    live_fire: Run | None = None
    live_cycle: Run | None = None
    missed: tuple[str, ...] = ()
    incidents: tuple[Handled, ...] = ()
    messages: Messages = Messages()
    budgets: tuple[Budget, ...] = ()
    unread: tuple[Unread, ...] = ()
