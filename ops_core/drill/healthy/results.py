"""What came of healthy rounds: each look, what it raised though nothing was broken, and how often each check did.

It is written anew after each look, so that what was seen outlives whoever ends the run, and it is read back strictly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ops_core.drill.healthy.network import Slowness
from ops_core.drill.healthy.rates import CONFIDENCE, at_most
from ops_core.drill.matrix.results import json_text, read_json
from ops_core.errors import OpsError, RecordError
from ops_core.observation.journal import write_atomically
from ops_core.observation.record import Observation
from ops_core.report.strict import decode, encode
from ops_core.verdict import Judged, Verdict

SCHEMA = "drill_healthy_v1"
JSON_FILE = "healthy.json"
MAX_BYTES = 64 << 20


class Ended(StrEnum):
    """Why the rounds are over: they go on; all were held; somebody ended them; they could not go on."""

    RUNNING = "running"
    HELD = "held"
    INTERRUPTED = "interrupted"
    BROKEN_OFF = "broken_off"


class Outcome(StrEnum):
    """What the rounds came to, the best first."""

    NO_FALSE_ALARM = "no_false_alarm"
    FALSE_ALARMS = "false_alarms"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """What a check raised though nothing was broken. `judged` is `bad` or `unknown`, as `Judged` names it."""

    check: str
    code: str
    target: str | None
    judged: str
    expected: str
    seen: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look of one suite.

    Attributes:
        number: of the round, from 1.
        stack: the profile of the stack.
        suite: which looked.
        begun_at: when it began, ISO 8601 in UTC.
        verdict: what it came to.
        checks: those that judged something, each once, sorted.
        alarms: what was raised.
        took_s: seconds from its start to its end, starting pytest included.
        used_s: seconds of the total budget that it used; None where there is no record.
        budget_s: seconds that it had.
        record: its record, relative to the folder of the run; None where it left none.
        why: why it came to no record; empty otherwise.
    """

    number: int
    stack: str
    suite: str
    begun_at: str
    verdict: str
    checks: tuple[str, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    took_s: float
    used_s: float | None = None
    budget_s: float
    record: str | None = None
    why: str = ""

    @property
    def clean(self) -> bool:
        """Whether it saw everything, and all of it good."""
        return self.verdict == Verdict.HEALTHY and not self.alarms

    def raised(self, check: str) -> list[Alarm]:
        """What one check raised."""
        return [alarm for alarm in self.alarms if alarm.check == check]


@dataclass(frozen=True, kw_only=True)
class Visited:
    """A stack that was looked at, or not. `why` says why not; `network` is None without stress.

    Attributes:
        stack: its profile, or its kind where several share one.
        suites: that looked.
        skipped: why it was not looked at; empty where it was.
        network: how it was slow.
    """

    stack: str
    suites: tuple[str, ...]
    skipped: str = ""
    network: Slowness | None = None


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often something raised anything, of so many looks, and how often it may yet (`CONFIDENCE`, one-sided).

    `check` is empty for a suite as a whole, and both names are for all looks together.
    """

    suite: str
    check: str
    looks: int
    found: int
    unknown: int
    false: int
    rate: float
    at_most: float


@dataclass(frozen=True, kw_only=True)
class Healthy:
    """Healthy rounds as far as they came.

    Attributes:
        schema: `drill_healthy_v1`.
        run_id: its name, and that of its folder.
        rounds: looks of each suite that were wanted.
        stress: whether there was stress.
        cores: of this machine, as far as they may be used.
        busy: processes that kept them busy.
        begun_at: ISO 8601 in UTC.
        ended_at: so far, while they go on.
        ended: a value of `Ended`.
        why: why they could not go on; empty otherwise.
        places: what was looked at.
        looks: each look, in order.
    """

    schema: str = SCHEMA
    run_id: str
    rounds: int
    stress: bool
    cores: int
    busy: int
    begun_at: str
    ended_at: str
    ended: str
    why: str = ""
    places: tuple[Visited, ...] = ()
    looks: tuple[Look, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What they came to. An alarm is false also where the rounds were not brought to their end."""
        if any(not look.clean for look in self.looks):
            return Outcome.FALSE_ALARMS
        return Outcome.NO_FALSE_ALARM if self.ended == Ended.HELD and self.looks else Outcome.UNFINISHED

    @property
    def total(self) -> Rate:
        """All looks together."""
        return _rate("", "", self.looks)

    @property
    def suites(self) -> tuple[Rate, ...]:
        """By suite, in the order in which they looked."""
        names = dict.fromkeys(look.suite for look in self.looks)
        return tuple(_rate(name, "", [look for look in self.looks if look.suite == name]) for name in names)

    @property
    def checks(self) -> tuple[Rate, ...]:
        """By check, those that raised most first."""
        names = sorted({(look.suite, check) for look in self.looks for check in look.checks})
        rates = [_rate(suite, check, self._of(suite, check)) for suite, check in names]
        return tuple(sorted(rates, key=lambda one: (-one.false, -one.at_most)))

    def _of(self, suite: str, check: str) -> list[Look]:
        return [look for look in self.looks if look.suite == suite and check in look.checks]

    @classmethod
    def from_json(cls, value: object, where: str = "healthy rounds") -> Healthy:
        """The rounds that `to_json` was called on; what follows from the looks is worked out again.

        Raises:
            RecordError: it is no such record.
        """
        if not isinstance(value, dict):
            raise RecordError("it is no JSON object", where=where)
        follows = ("outcome", "total", "suites", "checks", "confidence")
        rounds = decode(cls, {key: one for key, one in value.items() if key not in follows}, where)
        if rounds.schema != SCHEMA:
            raise RecordError(f"unknown schema {ascii(rounds.schema)[:60]}", where=where, allowed=SCHEMA)
        return rounds

    def to_json(self) -> dict[str, Any]:
        """A plain JSON object, with what follows from it."""
        return {
            **encode(self),
            "outcome": self.outcome.value,
            "confidence": CONFIDENCE,
            "total": encode(self.total),
            "suites": encode(self.suites),
            "checks": encode(self.checks),
        }


def alarms_of(seen: Observation) -> tuple[Alarm, ...]:
    """What an observation found, and what it could not see."""
    return tuple(
        Alarm(
            check=one.check,
            code=one.finding or "check.unnamed",
            target=one.target,
            judged=one.judged.value,
            expected=one.expected,
            seen=one.seen,
        )
        for one in seen.judgements
        if one.judged in (Judged.BAD, Judged.UNKNOWN)
    )


def checks_of(seen: Observation) -> tuple[str, ...]:
    """The checks that judged something."""
    return tuple(sorted({one.check for one in seen.judgements if one.judged is not Judged.SKIPPED}))


def write_healthy(folder: Path, rounds: Healthy) -> Path:
    """Write the rounds into their folder, whole or not at all.

    Raises:
        OpsError: that is not possible.
    """
    path = folder / JSON_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json_text(rounds.to_json()))
    except OSError as error:
        raise OpsError(f"the rounds cannot be recorded: {error.strerror}", where=str(folder)) from None
    return path


def read_healthy(path: Path) -> Healthy:
    """Read the rounds back.

    Raises:
        RecordError: there are none, or they are damaged.
    """
    return Healthy.from_json(read_json(path, MAX_BYTES), str(path))


def _rate(suite: str, check: str, looks: Iterable[Look]) -> Rate:
    some = list(looks)
    judged = [{one.judged for one in (look.raised(check) if check else look.alarms)} for look in some]
    # A look that came to no verdict has no check to blame, and saw nothing.
    blind = [not check and not raised and not look.clean for look, raised in zip(some, judged, strict=True)]
    false = sum(bool(raised) or unseen for raised, unseen in zip(judged, blind, strict=True))
    return Rate(
        suite=suite,
        check=check,
        looks=len(some),
        found=sum(Judged.BAD in raised for raised in judged),
        unknown=sum(Judged.UNKNOWN in raised or unseen for raised, unseen in zip(judged, blind, strict=True)),
        false=false,
        rate=false / len(some) if some else 0.0,
        at_most=at_most(false, len(some)),
    )
