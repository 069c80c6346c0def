"""Says how a matrix run goes on: at a terminal one line that is rewritten, elsewhere a line for each fault."""

from __future__ import annotations

from collections.abc import Callable

from ops_core.clock import Clock
from ops_core.drill.matrix.results import FaultResult, Status
from ops_core.report.text import display_width, visible

# As many as the longest name of a shipped fault has.
NAME_COLUMNS = 32
REWRITE = "\r\x1b[2K"
WORDS = {
    Status.PASSED: "as promised",
    Status.FAILED: "NOT as promised",
    Status.SKIPPED: "skipped",
    Status.ERROR: "could not be held",
}


class Rewritten:
    """A line at the bottom of a terminal that is rewritten, with lines that stay above it.

    Args:
        write: takes text as it is, and shows it at once.
        columns: of the terminal; 0 where nobody looks at one.
    """

    def __init__(self, write: Callable[[str], None], columns: int) -> None:
        self._write, self.columns = write, columns
        self._shown = ""

    def show(self, line: str) -> None:
        """Rewrite the line, cut to the terminal; where nobody looks at one nothing is written."""
        while self.columns and display_width(line) > self.columns - 1:
            line = line[:-1]
        if self.columns and line != self._shown:
            self._write(REWRITE + line)
            self._shown = line

    def leave(self, text: str) -> None:
        """A line that stays."""
        self.close()
        self._write(text + "\n")

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            self._write(REWRITE)
            self._shown = ""


class Teller:
    """Tells what happens while it happens.

    Args:
        write: takes text as it is, and shows it at once.
        clock: tells the time.
        columns: of the terminal; 0 where nobody looks at one.
    """

    def __init__(self, write: Callable[[str], None], clock: Clock, columns: int) -> None:
        self._clock, self._screen = clock, Rewritten(write, columns)
        self._total = self._done = self._bad = 0
        self._jobs = 1
        self._running: list[str] = []
        self._begun_s = clock.monotonic()

    def begin(self, total: int, jobs: int) -> None:
        """So many faults are to be held, so many of them at once."""
        self._total, self._jobs, self._begun_s = total, jobs, self._clock.monotonic()
        self._redraw()

    def started(self, fault: str) -> None:
        """A fault is being held."""
        self._running.append(fault)
        self._redraw()

    def ended(self, result: FaultResult) -> None:
        """A fault has been held, or could not be."""
        if result.fault in self._running:
            self._running.remove(result.fault)
        self._done += 1
        bad = result.status in (Status.FAILED, Status.ERROR)
        self._bad += bad
        if not self._screen.columns or bad:
            self._screen.leave(self._told(result))
        self._redraw()

    def tick(self) -> None:
        """Some time has passed."""
        self._redraw()

    def close(self) -> None:
        """Take the line away: nothing more will happen."""
        self._screen.close()

    def _told(self, result: FaultResult) -> str:
        number = f"{self._done:>{len(str(self._total))}}/{self._total}"
        head = f"{number}  {result.fault:<{NAME_COLUMNS}}  {WORDS[Status(result.status)]}"
        why = [part for part in (result.reason, *result.problems) if part]
        told = "; ".join(why) if why else times_told(result.detect_s, result.recover_s)
        return visible(f"{head}  {told}".rstrip())

    def _redraw(self) -> None:
        line = progress_line(
            done=self._done,
            total=self._total,
            bad=self._bad,
            running=self._running,
            left_s=left_s(self._done, self._total, self._clock.monotonic() - self._begun_s),
        )
        self._screen.show(line)


def progress_line(*, done: int, total: int, bad: int, running: list[str], left_s: float | None) -> str:
    """`12/103 held, 1 not as promised, about 4 min left: killed, slow`."""
    parts = [f"{done}/{total} held"]
    if bad:
        parts.append(f"{bad} not as promised")
    if left_s is not None:
        parts.append(f"about {rough(left_s)} left")
    return ", ".join(parts) + (f": {', '.join(running)}" if running else "")


def times_told(detect_s: float | None, recover_s: float | None) -> str:
    """`detected 1.2 s, recovered 6.7 s`, as far as it is known."""
    times = (("detected", detect_s), ("recovered", recover_s))
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times if seconds is not None)


def left_s(done: int, total: int, taken_s: float) -> float | None:
    """Seconds that the rest will take if it goes on like this; None where nothing was seen yet, or nothing is left."""
    return taken_s / done * (total - done) if 0 < done < total else None


def rough(seconds: float) -> str:
    """A span of time as exactly as it can be foreseen."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
