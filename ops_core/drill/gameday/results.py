"""What came of a game day: a line for each fault, the figures, and what was verified. It is read back strictly.

Every fault that was injected is held against the incidents of the control store. A fault that none of them is about,
or whose incident neither recovered nor was escalated, is lost: nobody would have heard of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from ops_core.drill.fault import ESCALATED, RECOVERED
from ops_core.drill.matrix.grid import Times, times_of
from ops_core.drill.matrix.results import json_text, read_json
from ops_core.errors import RecordError
from ops_core.observation.journal import write_atomically
from ops_core.report.strict import decode, encode
from ops_core.slo.recovery import Happened, recovery_of

SCHEMA = "drill_gameday_v1"
JSON_FILE = "gameday.json"
MAX_BYTES = 64 << 20


class Fate(StrEnum):
    """What became of a fault; `interrupted` is one that was withdrawn because somebody ended the game day."""

    RECOVERED = "recovered"
    ESCALATED = "escalated"
    LOST = "lost"
    INTERRUPTED = "interrupted"


class Ended(StrEnum):
    """Why a game day is over: it goes on; its time was up; somebody ended it; it could not go on."""

    RUNNING = "running"
    TIME_UP = "time_up"
    INTERRUPTED = "interrupted"
    BROKEN_OFF = "broken_off"


class Outcome(StrEnum):
    """What a game day came to, the best first."""

    NONE_LOST = "none_lost"
    NOT_AS_PROMISED = "not_as_promised"
    NOT_VERIFIED = "not_verified"
    LOST = "lost"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Injected:
    """One fault that was injected, and what became of it.

    Attributes:
        number: 1, 2, 3 …
        fault: its name.
        injected_at: when it was begun to be injected.
        fate: a value of `Fate`.
        why: why it is lost; empty where it is not.
        incident: the incident that was opened; None where none was.
        found: what the first look found, without repetition.
        rows: rows of the decision table that matched, in order.
        remedied: remediations that were begun, in order.
        detect_s: seconds from when it was in force until it was found.
        recover_s: seconds from when it was found until recovery was verified; None where it never was.
        took_s: seconds until it was withdrawn and the stack was seen healthy again.
        restored: whether the stack was as before then; None where that could not be told.
        problems: in which ways the runbook did not do what the fault catalogue promises.
    """

    number: int
    fault: str
    injected_at: str
    fate: str
    why: str = ""
    incident: str | None = None
    found: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    remedied: tuple[str, ...] = ()
    detect_s: float | None = None
    recover_s: float | None = None
    took_s: float = 0.0
    restored: bool | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A game day in numbers. Means are those of the SLO report: of all incidents, and of those that recovered."""

    injected: int
    different: int
    recovered: int
    escalated: int
    lost: int
    as_promised: int
    not_restored: int
    mttd_s: float | None
    mttr_s: float | None
    automatic_rate: float | None
    detect: Times
    recover: Times


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was verified at the end. `problems` says what did not hold; empty is good.

    Attributes:
        stores: control stores that there were: a fault that takes the store away makes a second one.
        audit_rows: rows of their audit chains, each of which follows the one before.
        incidents: incidents of the stores whose reports say the same as the store.
        observations: records of looks that could be read back.
        problems: what is wrong.
    """

    stores: int = 0
    audit_rows: int = 0
    incidents: int = 0
    observations: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GameDay:
    """A game day as far as it came. Instants are ISO 8601 in UTC.

    Attributes:
        schema: `drill_gameday_v1`.
        run_id: its name, and that of its folder.
        seed: what reproduces its plan.
        duration_s: seconds that it was to last; the fault that is held then is brought to its end.
        catalogue: the faults that were drawn from, sorted; with the seed they are the plan.
        begun_at: when the stack was seen healthy.
        ended_at: when the last fault was withdrawn; so far, while it goes on.
        lasted_s: seconds between the two.
        ended: a value of `Ended`.
        why: why it could not go on; empty otherwise.
        injected: the faults, in order.
        unexplained: incidents that no fault explains.
        figures: all of it in numbers.
        verified: what was verified; None while it goes on.
    """

    schema: str = SCHEMA
    run_id: str
    seed: int
    duration_s: int
    catalogue: tuple[str, ...]
    begun_at: str
    ended_at: str
    lasted_s: float
    ended: str
    why: str = ""
    injected: tuple[Injected, ...] = ()
    unexplained: tuple[str, ...] = ()
    figures: Figures
    verified: Verified | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, a sentence each."""
        lines = [self.why] if self.why else []
        for one in self.injected:
            lines += [f"{one.number} {one.fault}: {told}" for told in (one.why, *one.problems) if told]
        lines += [f"the incident {name} is about no fault that was injected" for name in self.unexplained]
        return (*lines, *(self.verified.problems if self.verified is not None else ()))

    @property
    def outcome(self) -> Outcome:
        """What it came to. What was not brought to its end, or is not verified, is not good."""
        if self.ended != Ended.TIME_UP or not self.injected:
            return Outcome.UNFINISHED
        if self.figures.lost:
            return Outcome.LOST
        if self.verified is None or self.verified.problems:
            return Outcome.NOT_VERIFIED
        return Outcome.NOT_AS_PROMISED if self.problems else Outcome.NONE_LOST

    @classmethod
    def from_json(cls, value: object, where: str = "game day") -> GameDay:
        """The game day that `to_json` was called on.

        Raises:
            RecordError: it is not such a record.
        """
        if not isinstance(value, dict):
            raise RecordError("it is no JSON object", where=where)
        day = decode(cls, {key: one for key, one in value.items() if key != "outcome"}, where)
        if day.schema != SCHEMA:
            raise RecordError(f"unknown schema {ascii(day.schema)[:60]}", where=where, allowed=SCHEMA)
        return day

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return {**encode(self), "outcome": self.outcome.value}


def fate_of(incidents: Sequence[Happened]) -> tuple[Fate, str]:
    """What became of a fault, by the incidents that were opened while it was held; and why, where it is lost."""
    if not incidents:
        return Fate.LOST, "no incident was opened"
    for one in incidents:
        if one.state not in (RECOVERED, ESCALATED):
            return Fate.LOST, f"its incident {one.id} is {one.state}: neither recovered nor escalated"
    escalated = any(one.state == ESCALATED for one in incidents)
    return (Fate.ESCALATED if escalated else Fate.RECOVERED), ""


def figures_of(injected: Sequence[Injected], happened: Sequence[Happened], start: datetime, now: datetime) -> Figures:
    """A game day in numbers.

    Args:
        injected: the faults.
        happened: the incidents, as the SLO report reads them.
        start: when it began.
        now: the time.
    """
    recovery = recovery_of(happened, start, now, now)
    recovered = (one.recovery for one in recovery.incidents)
    held = [one for one in injected if one.fate != Fate.INTERRUPTED]
    return Figures(
        injected=len(held),
        different=len({one.fault for one in held}),
        recovered=sum(one.fate == Fate.RECOVERED for one in held),
        escalated=sum(one.fate == Fate.ESCALATED for one in held),
        lost=sum(one.fate == Fate.LOST for one in held),
        as_promised=sum(not one.problems and not one.why for one in held),
        not_restored=sum(one.restored is False for one in held),
        mttd_s=recovery.mttd.seconds,
        mttr_s=recovery.mttr.seconds,
        automatic_rate=recovery.automatic_rate,
        detect=times_of("detect", (one.detection.total_seconds() for one in recovery.incidents)),
        recover=times_of("recover", (one.total_seconds() if one is not None else None for one in recovered)),
    )


def write_day(folder: Path, day: GameDay) -> Path:
    """Write it down; a reader sees all of it or what was there before.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / JSON_FILE
    write_atomically(path, json_text(day.to_json()))
    return path


def read_day(path: Path) -> GameDay:
    """A game day that was written down.

    Raises:
        RecordError: there is none, or it is damaged.
    """
    return GameDay.from_json(read_json(path, MAX_BYTES), str(path))
