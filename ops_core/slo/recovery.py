"""How quickly trouble was found and repaired, and how often without a person. Pure: incidents in, figures out.

Every figure names the incidents it is computed from. An incident that ended without a verified recovery has no time of
recovery, and is not left out for it: it took at least as long as it was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ops_core.slo.availability import Verdict

SECURITY_SUBJECTS = frozenset({"guard", "secret", "integrity"})
SECURITY_CODES = frozenset({"payload.body_accepted", "payload.batch_accepted"})


@dataclass(frozen=True, kw_only=True)
class Happened:
    """An incident as figures need it.

    Attributes:
        id: which.
        began_at: when the trouble began, as far as known: when a drill injected it or a person says, else when the
            first look began that found it.
        detected_at: when it was found.
        recovered_at: when recovery was verified; None where it never was.
        ended_at: when the incident ended; None where it goes on.
        state: what it came to.
        began_known: whether `began_at` is more than the beginning of that look.
        automatic: recovered, and nobody had to lend a hand.
        security: whether a finding of it is about who gets in, or about what nobody may change.
        drill: whether it was a rehearsal.
        targets: what was hit.
    """

    id: str
    began_at: datetime
    detected_at: datetime
    recovered_at: datetime | None
    ended_at: datetime | None
    state: str
    began_known: bool = False
    automatic: bool = False
    security: bool = False
    drill: bool = False
    targets: tuple[str, ...] = ()

    @property
    def detection(self) -> timedelta:
        """From its beginning until it was found; nothing where a clock was put back between the two."""
        return max(timedelta(0), self.detected_at - self.began_at)

    @property
    def recovery(self) -> timedelta | None:
        """From when it was found until recovery was verified; None where it never was."""
        return None if self.recovered_at is None else max(timedelta(0), self.recovered_at - self.detected_at)

    def recovery_at_least(self, now: datetime) -> timedelta:
        """The same, and where there was none, how long it has been or was looked at."""
        until = self.recovered_at or self.ended_at or now
        return max(timedelta(0), until - self.detected_at)


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean of incidents in seconds, and which ones; None where there are none."""

    seconds: float | None
    incidents: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """The figures of the incidents that were found in one period.

    Attributes:
        incidents: all of them, the earliest first.
        mttd: mean time to detection.
        mttr: mean time to recovery, of those that recovered.
        mttr_at_least: the same of all: those that did not recover count with how long they were looked at.
        ended: the ids of those that are over, one way or another.
        automatic: the ids of those that recovered by themselves or by a remediation, without a person.
        escalated: the ids of those that were handed to a person, or that a guard kept from being repaired.
        open: the ids of those that go on.
        security: the ids of those about security.
    """

    incidents: tuple[Happened, ...]
    mttd: Mean
    mttr: Mean
    mttr_at_least: Mean
    ended: tuple[str, ...]
    automatic: tuple[str, ...]
    escalated: tuple[str, ...]
    open: tuple[str, ...]
    security: tuple[str, ...]

    @property
    def automatic_rate(self) -> float | None:
        """Of the incidents that are over, how many recovered automatically; None where none is over."""
        return len(self.automatic) / len(self.ended) if self.ended else None

    @property
    def unrecovered(self) -> tuple[str, ...]:
        """The ids of those without a verified recovery."""
        return tuple(one.id for one in self.incidents if one.recovered_at is None)

    def mttr_verdict(self, mttr_max_s: float) -> Verdict:
        """Whether recovery took less than `mttr_max_s` in the mean. With nothing to recover from, nobody knows."""
        if self.mttr_at_least.seconds is not None and self.mttr_at_least.seconds >= mttr_max_s:
            return Verdict.MISSED
        return Verdict.UNKNOWN if self.mttr.seconds is None or self.unrecovered else Verdict.MET

    def automatic_verdict(self, automatic_min: float) -> Verdict:
        """Whether more than `automatic_min` of the incidents that are over recovered automatically."""
        if self.automatic_rate is None:
            return Verdict.UNKNOWN
        return Verdict.MET if self.automatic_rate > automatic_min else Verdict.MISSED


def recovery_of(incidents: Iterable[Happened], start: datetime, end: datetime, now: datetime) -> Recovery:
    """The figures of the incidents that were found in `[start, end)`; each counts once, however often it is given."""
    once = {one.id: one for one in incidents if start <= one.detected_at < end}
    found = tuple(sorted(once.values(), key=lambda one: (one.detected_at, one.id)))
    recovered = [one for one in found if one.recovery is not None]
    over = [one for one in found if one.ended_at is not None]
    return Recovery(
        incidents=found,
        mttd=_mean(found, [one.detection for one in found]),
        mttr=_mean(recovered, [one.recovery for one in recovered if one.recovery is not None]),
        mttr_at_least=_mean(found, [one.recovery_at_least(now) for one in found]),
        ended=_ids(over),
        automatic=_ids([one for one in over if one.automatic]),
        escalated=_ids([one for one in over if one.recovered_at is None]),
        open=_ids([one for one in found if one.ended_at is None]),
        security=_ids([one for one in found if one.security]),
    )


def is_security(codes: Iterable[str]) -> bool:
    """Whether one of these findings is about who gets in, or about what nobody may change."""
    return any(code.partition(".")[0] in SECURITY_SUBJECTS or code in SECURITY_CODES for code in codes)


def security_verdict(found: int, allowed_max: int, *, observed: bool) -> Verdict:
    """Whether there were few enough security incidents. Where nobody looked, none found says nothing."""
    if found > allowed_max:
        return Verdict.MISSED
    return Verdict.MET if observed else Verdict.UNKNOWN


def _mean(incidents: Sequence[Happened], spans: Sequence[timedelta]) -> Mean:
    seconds = sum(spans, timedelta(0)).total_seconds() / len(spans) if spans else None
    return Mean(seconds=seconds, incidents=_ids(incidents))


def _ids(incidents: Sequence[Happened]) -> tuple[str, ...]:
    return tuple(one.id for one in incidents)
