"""Says how a game day goes on: a line for each fault, and at a terminal one below them that is rewritten."""

from __future__ import annotations

from collections.abc import Callable

from ops_core.clock import Clock
from ops_core.drill.gameday.results import Fate, Injected
from ops_core.drill.matrix.progress import NAME_COLUMNS, Rewritten, times_told
from ops_core.report.language import SOURCE, translator
from ops_core.report.text import duration, visible

FATE_COLUMNS = 9


class DayTeller:
    """Tells what happens while it happens.

    Args:
        write: takes text as it is, and shows it at once.
        clock: tells the time.
        columns: of the terminal; 0 where nobody looks at one.
    """

    def __init__(self, write: Callable[[str], None], clock: Clock, columns: int) -> None:
        self._clock, self._screen = clock, Rewritten(write, columns)
        self._begun_s, self._duration_s = clock.monotonic(), 0
        self._fault = ""
        self._fates: list[str] = []

    def begin(self, duration_s: int) -> None:
        """The stack is healthy; from now on faults are injected for so long."""
        self._begun_s, self._duration_s = self._clock.monotonic(), duration_s
        self.tick()

    def started(self, fault: str) -> None:
        """A fault is being injected."""
        self._fault = fault
        self.tick()

    def ended(self, line: Injected) -> None:
        """A fault was withdrawn."""
        self._fault = ""
        self._fates.append(line.fate)
        self._screen.leave(told(line))
        self.tick()

    def tick(self) -> None:
        """Something happened."""
        if self._duration_s:
            passed_s = self._clock.monotonic() - self._begun_s
            self._screen.show(progress_line(passed_s, self._duration_s, self._fates, self._fault))

    def close(self) -> None:
        """Take the line away: nothing more will happen."""
        self._screen.close()


def told(line: Injected) -> str:
    """What became of one fault, on a line."""
    head = f"{line.number:>4}  {line.fault:<{NAME_COLUMNS}}  {line.fate:<{FATE_COLUMNS}}"
    if line.why or line.problems:
        return visible(f"{head}  {'; '.join(part for part in (line.why, *line.problems) if part)}")
    times = times_told(line.detect_s, line.recover_s)
    return visible(f"{head}  {times}  {', '.join(line.remedied) or 'a person acts'}")


def progress_line(passed_s: float, duration_s: int, fates: list[str], fault: str) -> str:
    """`2 min 10 s of 10 min: 12 recovered, 2 escalated, 0 lost; now killed`."""
    translate = translator(SOURCE)
    counts = ", ".join(f"{fates.count(fate)} {fate}" for fate in (Fate.RECOVERED, Fate.ESCALATED, Fate.LOST))
    line = f"{duration(int(passed_s), translate)} of {duration(duration_s, translate)}: {counts}"
    return line + (f"; now {fault}" if fault else "")
