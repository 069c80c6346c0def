"""Seconds allotted, and the account of who spent them.

A probe is charged for the time its *target* took. Time in which this process could not run (a busy machine, another
probe's slow code, waiting for a free slot) is nobody's fault but ours and is not charged: otherwise a loaded laptop
would report healthy systems as UNKNOWN. `ChargedClock` is that account.
"""

from __future__ import annotations

from dataclasses import dataclass

OBSERVE_TOTAL_S = 60.0
DECIDE_S = 300.0
RECOVER_S = 600.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """An absolute instant on a monotonic clock."""

    at: float

    @classmethod
    def after(cls, now: float, budget_s: float) -> Deadline:
        """The deadline `budget_s` seconds after `now`."""
        return cls(now + budget_s)

    def remaining_s(self, now: float) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - now)

    def passed(self, now: float) -> bool:
        """Whether the deadline is reached: the interval is half-open, so at the instant itself it has passed."""
        return now >= self.at


class ChargedClock:
    """Monotonic time less the time in which we could not run.

    `tick(now)` is called by a heartbeat that asked to be woken every `interval_s`. Between two ticks at most
    `interval_s + tolerance_s` are charged: if the heartbeat comes later than that, nothing else on the event loop could
    run either. Readings never go back, and stand still while the loop is stalled.
    """

    def __init__(self, start: float, interval_s: float, tolerance_s: float = 0.005) -> None:
        self._most_s = interval_s + tolerance_s
        # (last tick, charged until then), replaced as one: other threads read while the heartbeat ticks.
        self._state = (start, start)

    def tick(self, now: float) -> None:
        """The heartbeat: account for the time since the last one."""
        last, _ = self._state
        self._state = (max(last, now), self.read(now))

    def read(self, now: float) -> float:
        """Charged time: comparable only with other readings of the same clock."""
        last, charged = self._state
        return charged + min(max(0.0, now - last), self._most_s)
