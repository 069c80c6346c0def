"""Says how healthy rounds go on: a line for each that is not clean, and at a terminal one below that is rewritten."""

from __future__ import annotations

from collections.abc import Callable

from ops_core.clock import Clock
from ops_core.drill.healthy.network import How, Slowness
from ops_core.drill.healthy.results import Alarm, Look, Visited
from ops_core.drill.matrix.progress import Rewritten, left_s, rough
from ops_core.report.text import visible


class RoundsTeller:
    """Tells what happens while it happens.

    Args:
        write: takes text as it is, and shows it at once.
        clock: tells the time.
        columns: of the terminal; 0 where nobody looks at one.
    """

    def __init__(self, write: Callable[[str], None], clock: Clock, columns: int) -> None:
        self._clock, self._screen = clock, Rewritten(write, columns)
        self._total = self._done = self._false = 0
        self._begun_s = clock.monotonic()

    def begin(self, total: int) -> None:
        """So many looks are to come."""
        self._total, self._begun_s = total, self._clock.monotonic()

    def visited(self, place: Visited) -> None:
        """A stack is up, or is not looked at."""
        self._screen.leave(visible(f"{place.stack}: {place_told(place)}"))

    def looking(self, number: int, suite: str) -> None:
        """A look begins."""
        left = left_s(self._done, self._total, self._clock.monotonic() - self._begun_s)
        self._screen.show(progress_line(self._done, self._total, self._false, f"{suite} {number}", left))

    def looked(self, look: Look) -> None:
        """A look is over."""
        self._done += 1
        if not look.clean:
            self._false += 1
            self._screen.leave(visible(look_told(look)))

    def close(self) -> None:
        """Take the line away: nothing more will happen."""
        self._screen.close()


def progress_line(done: int, total: int, false: int, now: str, seconds_left: float | None) -> str:
    """`12/90 looks, 1 FALSE, about 4 min left: observe 13`."""
    parts = [f"{done}/{total} looks", f"{false} FALSE" if false else "none false"]
    parts += [f"about {rough(seconds_left)} left"] if seconds_left is not None else []
    return f"{', '.join(parts)}: {now}"


def place_told(place: Visited) -> str:
    """What looks at a stack, and how far away it is."""
    if place.skipped:
        return f"not looked at: {place.skipped}"
    return ", ".join(place.suites) + (f"; {network_told(place.network)}" if place.network is not None else "")


def network_told(network: Slowness) -> str:
    """How the network is slow, or why it is not."""
    if network.how == How.NONE:
        return f"no network delay: {network.why}"
    by = "netem" if network.how == How.NETEM else f"a program that passes packets on late ({network.why})"
    added = f"{2 * network.one_way_ms:g} ms added to each round trip by {by}"
    return added + (f", {network.round_trip_ms:g} ms measured" if network.round_trip_ms is not None else "")


def look_told(look: Look) -> str:
    """What one look raised, on a line."""
    told = [alarm_told(one) for one in look.alarms] or [look.why or f"the verdict is {look.verdict}"]
    return f"{look.suite} {look.number}: {'; '.join(told)}"


def alarm_told(alarm: Alarm) -> str:
    """What a check raised."""
    head = f"{alarm.check}: {alarm.code}" + (f" about {alarm.target}" if alarm.target else "")
    return f"{head} {'could not be seen' if alarm.judged == 'unknown' else 'was found'}: {alarm.seen}"
