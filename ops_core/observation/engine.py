"""Runs all probes at once, each in its own budget, and is always done at the total deadline.

One event loop in a daemon thread runs the async probes; each plain function gets a daemon thread of its own. A monitor
thread keeps the promises that the loop cannot keep by itself: at the total deadline every pair has an answer, and a
probe that blocks the loop is named, given up, and its neighbours move to a fresh loop.

Nothing here waits for a probe to agree to be stopped. When a budget ends, the pair is answered "not seen" at once and
its task is cancelled; whether it obeys is its own affair. Threads that hang are daemon threads and are left behind.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import dataclasses
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from ops_core.budget import ChargedClock
from ops_core.clock import Clock, SystemClock, isoformat
from ops_core.errors import OpsError
from ops_core.evidence import EvidenceRecord
from ops_core.observation.fitting import UnfitError, fit, plain_text
from ops_core.observation.look import Look, Pair, Seen
from ops_core.observation.loop import TICK_S, ProbeLoopThread
from ops_core.probes.instruments.context import Lookout, new_actions

BLOCKED_AFTER_S = 2.0
MONITOR_EVERY_S = 0.05
REASON_MAX_CHARS = 600
RAISED_MAX_CHARS = 4000


class Engine:
    """Answers every pair exactly once, in time.

    Args:
        pairs: what to look at.
        lookout_for: makes the view of the run for a pair, given the charged clock.
        total_s: seconds from now after which everything unanswered is answered "not seen".
        in_flight_max: how many probes may run at once. Waiting for a place is not charged to the target.
        sink: is handed each record as it arrives. What it raises is kept in `sink_problem`.
        clock: tells when a look began.
        blocked_after_s: seconds of the loop's time that one probe may take without awaiting anything.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        lookout_for: Callable[[Callable[[], float]], Lookout],
        total_s: float,
        in_flight_max: int = 1000,
        sink: Callable[[EvidenceRecord], None] = lambda _: None,
        clock: Clock | None = None,
        blocked_after_s: float = BLOCKED_AFTER_S,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._sink = sink
        self.sink_problem = ""
        self._lock = threading.Condition()
        started = time.monotonic()
        self.started = started
        self.deadline = started + total_s
        self.total_s = total_s
        self.charged = ChargedClock(started, TICK_S)
        now = lambda: self.charged.read(time.monotonic())  # noqa: E731  # one line, used once
        self._looks = {pair.id: Look(pair=pair, lookout=lookout_for(now)) for pair in pairs}
        self._waiting = collections.deque(self._looks.values())
        self._unanswered = len(self._looks)
        self._in_flight_max = max(1, in_flight_max)
        self._running = 0
        self._blocked_after_s = blocked_after_s
        self._loop: ProbeLoopThread | None = None
        self._stopped = threading.Event()
        self.left_behind = 0

    def start(self) -> None:
        """Start all probes (as many at once as allowed) and the monitor."""
        if not self._looks:
            return
        _preload({name for look in self._looks.values() for name in look.pair.definition.arguments})
        self._start_loop()
        threading.Thread(target=self._monitor, name="runbook-monitor", daemon=True).start()

    def wait(self, ids: Iterable[str], tick: Callable[[], None] | None = None, tick_s: float = 0.25) -> None:
        """Wait until all of `ids` are answered; `tick` is called now and then, in the waiting thread."""
        for one in ids:
            look = self._looks[one]
            while not self._answered(look, tick_s):
                if tick is not None:
                    tick()

    def record(self, one: str) -> EvidenceRecord:
        """The answer for an evidence id, waiting for it."""
        self.wait([one])
        record = self._looks[one].record
        assert record is not None  # noqa: S101  # `wait` returns when it is there
        return record

    @property
    def ids(self) -> Collection[str]:
        """The evidence ids of all pairs."""
        return self._looks.keys()

    def records(self) -> list[EvidenceRecord]:
        """All answers so far, in the order of the pairs."""
        return [look.record for look in self._looks.values() if look.record is not None]

    def records_of(self, ids: Iterable[str]) -> list[EvidenceRecord]:
        """The answers there are for `ids`, without waiting."""
        return [record for one in ids if (record := self._looks[one].record) is not None]

    def progress(self) -> tuple[int, int]:
        """How many pairs are answered, of how many."""
        return len(self._looks) - self._unanswered, len(self._looks)

    def stop(self, reason: str) -> None:
        """Answer what is unanswered with `reason`, end the loop. Safe to call twice."""
        self._stopped.set()
        for look in list(self._looks.values()):
            if look.record is None:
                self.answer_unseen(look, reason)
        if self._loop is not None:
            self.left_behind += self._loop.close()
            self._loop = None

    # -- called by the loop thread -------------------------------------------------------------------------------

    def next_look(self) -> Look | None:
        """The next pair to be looked at, if there is a free place."""
        if self._stopped.is_set() or time.monotonic() >= self.deadline:
            # Answers free places, but nobody is asked any more.
            return None
        with self._lock:
            while self._waiting and self._running < self._in_flight_max:
                look = self._waiting.popleft()
                if look.record is not None:
                    continue
                self._running += 1
                look.running = True
                look.started = time.monotonic()
                look.charged_from = self.charged.read(look.started)
                look.started_at = isoformat(self._clock.now())
                return look
        return None

    def charged_s(self, look: Look) -> float:
        """Seconds charged to a look so far."""
        return max(0.0, self.charged.read(time.monotonic()) - look.charged_from) if look.running else 0.0

    def answer_seen(self, look: Look, value: Any) -> None:
        """The probe returned."""
        try:
            seen = fit(value, look.lookout.redact)
        except UnfitError as unfit:
            self.answer_unseen(look, f"the probe returned {unfit}", look.pair.definition.where)
        else:
            self._answer(look, seen=seen, reason="", where="")

    def keep(self, look: Look, value: Any) -> None:
        """What an attempt saw that is not the last one: it counts if the later ones see nothing."""
        try:
            look.last = fit(value, look.lookout.redact)
        except UnfitError:
            return

    def answer_unseen(self, look: Look, reason: str, where: str = "") -> None:
        """The probe could not look, or its time is over. An earlier attempt's evidence still counts as seen."""
        redacted = look.lookout.redact.text(plain_text(reason), cut=len(reason) >= RAISED_MAX_CHARS)
        text = "" if look.last else redacted[:REASON_MAX_CHARS]
        self._answer(look, seen=look.last, reason=text, where="" if look.last else where)

    def answer_error(self, look: Look, error: BaseException) -> None:
        """The probe raised."""
        if isinstance(error, OpsError):
            reason = f"{error.what} ({error.where})" if error.where else str(error.what)
            self.answer_unseen(look, reason)
            return
        frame = error.__traceback__
        line = look.pair.definition.line
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == str(look.pair.definition.file):
                line = frame.tb_lineno
            frame = frame.tb_next
        where = f"{look.pair.definition.file}:{line}"
        self.answer_unseen(look, f"the probe raised {type(error).__name__}: {_text_of(error)}", where)

    def budget_spent(self, look: Look) -> None:
        """The budget of a look is over: answer it, then cancel it, whether it obeys or not."""
        self.answer_unseen(look, f"no answer within the budget of {look.pair.budget_s:g} s{_last_action(look)}")
        look.cancel()

    def on_loop(self, look: Look, make: Callable[[], Any]) -> Any:
        """Run a coroutine for a plain probe on the loop, while the probe's own thread waits for it.

        Args:
            look: who asks. Once it is answered, its calls end.
            make: makes the coroutine; called again where the loop had to be left behind.
        """
        while look.record is None and not self._stopped.is_set():
            loop = self._loop
            call = loop.call(make) if loop is not None else None
            if call is None:
                # The loop has just been left behind; the next one is on its way.
                self._stopped.wait(TICK_S)
                continue
            look.cancel = call.cancel
            try:
                return call.result()
            except concurrent.futures.CancelledError:
                continue
        # Not an `Exception`: a probe that retries on those must come to its end as well.
        raise asyncio.CancelledError

    # -- inside --------------------------------------------------------------------------------------------------

    def _answer(self, look: Look, *, seen: Seen | None, reason: str, where: str) -> None:
        evidence, facts = seen or (None, ())
        record = EvidenceRecord(
            id=look.pair.id,
            probe=look.pair.definition.name,
            target=look.pair.target.name if look.pair.target else None,
            seen=evidence is not None,
            kind=type(evidence).__name__ if evidence is not None else None,
            evidence=evidence,
            reason=reason,
            where=where,
            started_at=look.started_at,
            elapsed_s=round(time.monotonic() - look.started, 4) if look.running else 0.0,
            charged_s=round(self.charged_s(look), 4),
            budget_s=look.pair.budget_s,
            attempts=max(1, look.attempts),
            facts=facts,
            actions=tuple(dict(action) for action in list(look.lookout.actions)),
        )
        with self._lock:
            if look.record is not None:
                return
            look.record = record
            self._unanswered -= 1
            if look.running:
                self._running -= 1
            try:
                self._sink(record)
            except Exception as error:  # noqa: BLE001  # the answer counts, whatever becomes of the note of it
                self.sink_problem = f"{type(error).__name__}: {error}"
            self._lock.notify_all()
        loop = self._loop
        if loop is not None and self._waiting:
            loop.poke()

    def _answered(self, look: Look, within_s: float) -> bool:
        with self._lock:
            return look.record is not None or (self._lock.wait(within_s) and look.record is not None)

    def _start_loop(self) -> None:
        running = [look for look in self._looks.values() if look.running and look.record is None]
        # Known before it runs: its first answers already have to tell it that there is a free place.
        self._loop = ProbeLoopThread(self, running)
        self._loop.start()

    def _monitor(self) -> None:
        """Enforce the total deadline, and notice a probe that blocks the loop."""
        last = time.monotonic()
        blocked_s, suspect = 0.0, None
        while not self._stopped.wait(MONITOR_EVERY_S):
            now = time.monotonic()
            passed_s, last = now - last, now
            if now >= self.deadline:
                break
            loop = self._loop
            if loop is None or now - loop.last_beat < MONITOR_EVERY_S * 4:
                blocked_s, suspect = 0.0, None
                continue
            # A thousand probes that each compute for a moment are no blocked loop: it has to be one and the same.
            culprit, at = loop.culprit()
            if culprit is not suspect:
                blocked_s, suspect = 0.0, culprit
            # Only as much of our own time counts as we were awake for: nor is a starved machine a blocked loop.
            blocked_s += min(passed_s, MONITOR_EVERY_S * 2)
            if culprit is not None and blocked_s >= self._blocked_after_s:
                blocked_s, suspect = 0.0, None
                self._abandon(loop, culprit, at)
        if not self._stopped.is_set():
            for look in list(self._looks.values()):
                if look.record is None:
                    over = f"the total budget of {self.total_s:g} s ended"
                    self.answer_unseen(look, over + _last_action(look))

    def _abandon(self, loop: ProbeLoopThread, culprit: Look, at: str) -> None:
        """Leave a blocked loop behind: name the culprit, look again for its neighbours on a fresh loop."""
        self.left_behind += 1
        name = culprit.pair.definition.name
        self.answer_unseen(
            culprit,
            f"the probe {name!r} blocked the event loop for {self._blocked_after_s:g} s; make it a plain `def`",
            at or culprit.pair.definition.where,
        )
        with self._lock:
            again = [
                look
                for look in self._looks.values()
                if look.record is None and look.running and look.pair.definition.is_async
            ]
            for look in again:
                look.running = False
                look.attempts = 0
                # The old loop may come to life again: what it still does is noted where nobody looks.
                look.lookout = dataclasses.replace(look.lookout, actions=new_actions())
                self._running -= 1
            self._waiting.extendleft(reversed(again))
        self.charged.tick(time.monotonic())
        loop.abandon()
        self._start_loop()


def _preload(arguments: set[str]) -> None:
    """Import what the instruments need now: on the loop it would stall every probe."""
    if arguments & {"http", "sse", "process"}:
        import h11  # noqa: F401  # only so that it is there


def _last_action(look: Look) -> str:
    if not look.lookout.actions:
        return ""
    action = look.lookout.actions[-1]
    what = " ".join(str(action[key]) for key in ("method", "url", "argv", "process") if action.get(key))
    seen = f"; saw status {action['status']}" if action.get("status") else ""
    seen += f" and {action['size_bytes']} bytes" if action.get("size_bytes") else ""
    return f" ({what}{seen})" if what else ""


def _text_of(error: BaseException) -> str:
    """What an exception says, as far as it can be asked."""
    try:
        return str(error)[:RAISED_MAX_CHARS]
    except Exception:  # noqa: BLE001  # its class is a user's own
        return "(its text cannot be had)"
