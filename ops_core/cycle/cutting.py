"""What cuts a cycle off: its budget, a signal, an emergency stop.

A signal only makes a note, which is read between acts. It breaks into an act only where that can leave nothing half
done: while another process is waited for, and never while the store is open, because a transaction that is abandoned in
the middle would lock out the very one that has to record the end.

Signals are listened to in the main thread only. Elsewhere a cycle notices between its acts.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ops_core.clock import Clock
from ops_core.cycle.sequence import Outcome

LEAST_S = 0.001


class CutOffError(BaseException):
    """The cycle has to end now. Not an `Exception`: nothing on the way may take it for a failure of its own."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class SignalledError(BaseException):
    """A signal broke into an act; `Limits.check` says what it means."""


class Limits:
    """How long a cycle may go on.

    Args:
        clock: tells the time.
        budget_s: seconds from the beginning of the work.
    """

    def __init__(self, clock: Clock, budget_s: float) -> None:
        self._clock = clock
        self._budget_s = budget_s
        self._ends = float("inf")
        self._must_end: Callable[[], str] = lambda: ""
        self._noted: int | None = None
        self._breaking = False

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return max(0.0, self._ends - self._clock.monotonic())

    def begin(self, must_end: Callable[[], str]) -> None:
        """The work begins now. `must_end` says why everything has to end, or nothing."""
        self._must_end = must_end
        self._ends = self._clock.monotonic() + self._budget_s

    def check(self) -> None:
        """Go on if that is allowed.

        Raises:
            CutOffError: it is not.
        """
        reason = self._must_end()
        if reason:
            raise CutOffError(Outcome.STOPPED, reason)
        if self.left_s <= 0 or self._noted == signal.SIGALRM:
            raise CutOffError(Outcome.TIMED_OUT, f"the budget of {self._budget_s:g} s is spent")
        if self._noted is not None:
            raise CutOffError(Outcome.INTERRUPTED, f"it was ended by {signal.Signals(self._noted).name}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Inside the block signals end nothing by themselves: what was done has to be written down first."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
        for one in before:
            signal.signal(one, self._on_signal)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, signal.SIG_DFL if handler is None else handler)

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Inside the block a signal, or the end of the budget, breaks into what is being done; no store is open here.

        Raises:
            CutOffError: it did, or has to.
        """
        timed = signal.getsignal(signal.SIGALRM) == self._on_signal
        self._breaking = True
        try:
            # After the flag: a signal that came just before is a note by now, and seen here.
            self.check()
            if timed:
                signal.setitimer(signal.ITIMER_REAL, max(LEAST_S, self.left_s))
            yield
        except SignalledError:
            self._breaking = False
            self.check()
            raise
        finally:
            self._breaking = False
            if timed:
                signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # The first one counts: nobody has to guess what the second was for.
        self._noted = number if self._noted is None else self._noted
        if self._breaking:
            self._breaking = False
            raise SignalledError
