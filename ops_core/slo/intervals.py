"""From single looks to the time between them: what was good, what was bad, and what nobody can say.

A look is worth something until the next look of the same source, and for a limited time at most: after that nobody
knows. So the time line is cut into pieces that never overlap, and whatever is asked of it adds up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

ZERO = timedelta(0)


class Seen(IntEnum):
    """What a look says of a target; the greater one counts where two say something at the same time."""

    GOOD = 1
    UNSEEN = 2
    BAD = 3


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One look at one target: `at` is when it was judged, `source` the suite that looked."""

    at: datetime
    seen: Seen
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A piece of time `[start, end)` of which one thing is known."""

    start: datetime
    end: datetime
    seen: Seen


@dataclass(frozen=True, kw_only=True)
class Totals:
    """How a period divides: `good + bad + unknown` is its length, exactly."""

    good: timedelta = ZERO
    bad: timedelta = ZERO
    unknown: timedelta = ZERO

    def __add__(self, other: Totals) -> Totals:
        return Totals(good=self.good + other.good, bad=self.bad + other.bad, unknown=self.unknown + other.unknown)

    @property
    def length(self) -> timedelta:
        """All of it."""
        return self.good + self.bad + self.unknown

    @property
    def known(self) -> timedelta:
        """What somebody can say something about."""
        return self.good + self.bad


class Timeline:
    """The pieces of time that looks at one target make: in order, without overlaps, and none where nobody looked.

    Args:
        sights: the looks, in any order and any number of times; the time of a clock that was put back is taken as it
            was recorded.
        valid: for how long a look is worth something, if no other look of its source comes before.
    """

    def __init__(self, sights: Iterable[Sight], valid: timedelta) -> None:
        self.intervals = _merged(sights, valid)
        self._ends = [one.end for one in self.intervals]

    def totals(self, start: datetime, end: datetime) -> Totals:
        """How `[start, end)` divides. What lies outside counts for nothing; an empty period has no length."""
        if end <= start:
            return Totals()
        sums = dict.fromkeys(Seen, ZERO)
        for one in self.within(start, end):
            sums[one.seen] += min(one.end, end) - max(one.start, start)
        good, bad = sums[Seen.GOOD], sums[Seen.BAD]
        return Totals(good=good, bad=bad, unknown=end - start - good - bad)

    def within(self, start: datetime, end: datetime) -> Sequence[Interval]:
        """The pieces that have a part in `[start, end)`, whole."""
        first = bisect_right(self._ends, start)
        last = first
        while last < len(self.intervals) and self.intervals[last].start < end:
            last += 1
        return self.intervals[first:last]


def _merged(sights: Iterable[Sight], valid: timedelta) -> tuple[Interval, ...]:
    """The pieces of all sources laid over each other: at each instant the worst of what they say."""
    changes: list[tuple[datetime, Seen, int]] = []
    for pieces in _by_source(sights, valid):
        for one in pieces:
            changes += [(one.start, one.seen, 1), (one.end, one.seen, -1)]
    changes.sort(key=lambda change: change[0])
    found: list[Interval] = []
    here = dict.fromkeys(Seen, 0)
    since: datetime | None = None
    for at, seen, step in changes:
        worst = max((one for one, count in here.items() if count), default=None)
        if worst is not None and since is not None and at > since:
            if found and found[-1].end == since and found[-1].seen is worst:
                since = found.pop().start
            found.append(Interval(start=since, end=at, seen=worst))
        here[seen] += step
        since = at
    return tuple(found)


def _by_source(sights: Iterable[Sight], valid: timedelta) -> Iterable[list[Interval]]:
    """For each source, its looks as pieces of time: until its next look, and `valid` at most."""
    latest: dict[str, dict[datetime, Seen]] = {}
    for sight in sights:
        looks = latest.setdefault(sight.source, {})
        # Of two looks at the same instant the worse one counts: nobody can say which came first.
        looks[sight.at] = max(sight.seen, looks.get(sight.at, sight.seen))
    for looks in latest.values():
        instants = sorted(looks)
        ends = [*instants[1:], instants[-1] + valid]
        yield [
            Interval(start=at, end=min(end, at + valid), seen=looks[at]) for at, end in zip(instants, ends, strict=True)
        ]
