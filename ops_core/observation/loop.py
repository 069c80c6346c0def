"""The event loop that runs async probes, in a daemon thread that may be left behind.

It starts looks as places become free, beats a heart that keeps the account of charged time, and cancels what has spent
its budget. Threads that asyncio itself would start (name look-ups, `to_thread`) are daemon threads too: an executor's
threads are joined when the interpreter ends, and one hanging name server would hold up the verdict.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import heapq
import itertools
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from types import FrameType
from typing import Any

from ops_core.observation.look import Keeper, Look
from ops_core.probes.instruments import ASYNCHRONOUS, Synchronous, instrument

TICK_S = 0.02
RETRY_PAUSE_S = 0.1
CLOSE_WAIT_S = 0.3
_LOOK: contextvars.ContextVar[Look] = contextvars.ContextVar("runbook_look")


class DaemonLoop(asyncio.SelectorEventLoop):
    """An event loop whose helper threads are daemon threads."""

    def run_in_executor(  # type: ignore[override]  # the same, but for the types of `args`
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """As asyncio's, but without an executor the call gets a daemon thread of its own.

        There is no limit but that of probes in flight: behind a limit, look-ups that hang would starve those that work.
        """
        if executor is not None:
            return super().run_in_executor(executor, func, *args)
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def run() -> None:
            if not result.set_running_or_notify_cancel():
                return
            try:
                value = func(*args)
            except BaseException as error:  # noqa: BLE001  # it belongs to whoever awaits
                settle = functools.partial(result.set_exception, error)
            else:
                settle = functools.partial(result.set_result, value)
            if not self.is_closed():
                settle()

        threading.Thread(target=run, name="runbook-helper", daemon=True).start()
        return asyncio.wrap_future(result, loop=self)


class ProbeLoopThread:
    """One generation of the loop. `last_beat` is monotonic time; abandoned loops start and answer nothing any more.

    Args:
        keeper: whose looks to run.
        running: looks of plain probes that run already; their budgets are watched from here on.
    """

    def __init__(self, keeper: Keeper, running: Iterable[Look] = ()) -> None:
        self._keeper = keeper
        self._loop = DaemonLoop()
        # Whatever a left-behind task still wants to complain about, nobody is there to read it.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._thread = threading.Thread(target=self._run, name="runbook-probes", daemon=True)
        self._order = itertools.count()
        self._budgets: list[tuple[float, int, Look]] = []
        for look in running:
            self._watch(look)
        self._calls: set[concurrent.futures.Future[Any]] = set()
        self._ended = False
        self.last_beat = time.monotonic()
        self._abandoned = threading.Event()

    def start(self) -> None:
        """Start the thread; it starts looking at once."""
        self._thread.start()

    def poke(self) -> None:
        """Tell the loop that places or looks have become free."""
        self._threadsafe(self._launch)

    def call(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> concurrent.futures.Future[Any] | None:
        """Run a coroutine for another thread; None when this loop takes no more."""
        if self._abandoned.is_set():
            return None
        coroutine = make()
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            # The loop was closed in between.
            coroutine.close()
            return None
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        if self._abandoned.is_set():
            future.cancel()
        return future

    def abandon(self) -> None:
        """Leave the loop to itself: who waits for it waits no more, and should it come to life again, it ends."""
        self._abandoned.set()
        for future in list(self._calls):
            future.cancel()
        self._threadsafe(self._cancel_all)

    def close(self) -> int:
        """Cancel what runs and end the thread, if it can be ended; returns how many threads were left behind."""
        self.abandon()
        self._thread.join(CLOSE_WAIT_S)
        return int(self._thread.is_alive())

    def culprit(self) -> tuple[Look | None, str]:
        """For which look the loop's thread is executing code right now, and where in the probe's file (`file:line`)."""
        frames = _frames_of(self._thread.ident or 0)
        look = next((found for frame in frames if (found := _look_of(frame)) is not None), None)
        if look is None:
            return None, ""
        file = str(look.pair.definition.file)
        own = (f"{f.f_code.co_filename}:{f.f_lineno}" for f in frames if f.f_code.co_filename == file)
        return look, next(own, "")

    def _threadsafe(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            # The loop is closed: there is nobody left to tell.
            return

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._beat)
        self._loop.call_soon(self._launch)
        while not self._ended:
            try:
                # asyncio lets SystemExit and KeyboardInterrupt of any task through, and a probe may stop the loop:
                # neither ends the looking of the others.
                self._loop.run_forever()
            except BaseException:  # noqa: BLE001, S112  # the task that raised it has it, too
                continue
        if not asyncio.all_tasks(self._loop):
            self._loop.close()

    def _beat(self) -> None:
        """Account for lateness, cancel what is over budget, come again.

        A timer callback, not a task: it runs in the very iteration that brought new data, so lateness is on the books
        before any probe looks at the clock.
        """
        if self._abandoned.is_set():
            return
        now = time.monotonic()
        self._keeper.charged.tick(now)
        self.last_beat = now
        charged = self._keeper.charged.read(now)
        while self._budgets and self._budgets[0][0] <= charged:
            _, _, look = heapq.heappop(self._budgets)
            if look.record is None:
                self._keeper.budget_spent(look)
        self._loop.call_later(TICK_S, self._beat)

    def _watch(self, look: Look) -> None:
        heapq.heappush(self._budgets, (look.charged_from + look.pair.budget_s, next(self._order), look))

    def _launch(self) -> None:
        while not self._abandoned.is_set() and (look := self._keeper.next_look()) is not None:
            self._watch(look)
            if look.pair.definition.is_async:
                # Whatever the probe starts in its turn inherits the context: so it is known whose code is running.
                context = contextvars.copy_context()
                context.run(_LOOK.set, look)
                task = self._loop.create_task(self._drive(look), context=context)
                look.cancel = task.cancel
            else:
                self._drive_thread(look)

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        closing = self._loop.create_task(self._wait_for(tasks))
        closing.add_done_callback(self._end)

    @staticmethod
    async def _wait_for(tasks: set[asyncio.Task[Any]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WAIT_S / 2)

    def _end(self, _closing: object) -> None:
        self._ended = True
        self._loop.stop()

    async def _drive(self, look: Look) -> None:
        try:
            value = await self._attempts(look)
            if not self._abandoned.is_set():
                self._keeper.answer_seen(look, value)
        except asyncio.CancelledError:
            # A probe that raises this by itself has not looked; if we cancelled it, it is answered already, or is
            # looking again on another loop.
            if not self._abandoned.is_set():
                self._keeper.answer_unseen(look, "the probe was cancelled")
        except BaseException as error:  # noqa: BLE001  # whatever a probe raises, the answer is: not seen
            if not self._abandoned.is_set():
                self._keeper.answer_error(look, error)

    async def _attempts(self, look: Look) -> Any:
        """What the probe returns in the end. Raises what it raises in the end."""
        definition = look.pair.definition
        arguments = {name: _argument(name, look) for name in definition.arguments}
        for attempt in range(1, definition.attempts):
            look.attempts = attempt
            try:
                value = await definition.function(**arguments)
            except Exception:  # noqa: BLE001, S110  # that is what the further attempts are for
                pass
            else:
                if definition.until(value):
                    return value
                self._keeper.keep(look, value)
            await asyncio.sleep(RETRY_PAUSE_S * attempt)
        look.attempts = definition.attempts
        return await definition.function(**arguments)

    def _drive_thread(self, look: Look) -> None:
        def run() -> None:
            try:
                self._keeper.answer_seen(look, self._attempts_in_thread(look))
            except BaseException as error:  # noqa: BLE001  # whatever a probe raises, the answer is: not seen
                self._keeper.answer_error(look, error)

        thread = threading.Thread(target=run, name=f"runbook-{look.pair.id}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._keeper.answer_unseen(look, f"this machine has no thread left for it: {error}")

    def _attempts_in_thread(self, look: Look) -> Any:
        """The same for a plain function, in its own thread."""
        definition = look.pair.definition
        on_loop = functools.partial(self._keeper.on_loop, look)
        arguments = {
            name: Synchronous(argument, on_loop) if name in ASYNCHRONOUS else argument
            for name in definition.arguments
            for argument in [_argument(name, look)]
        }
        for attempt in range(1, definition.attempts):
            look.attempts = attempt
            try:
                value = definition.function(**arguments)
            except Exception:  # noqa: BLE001, S110  # that is what the further attempts are for
                pass
            else:
                if definition.until(value):
                    return value
                self._keeper.keep(look, value)
            time.sleep(RETRY_PAUSE_S * attempt)
            if look.record is not None:
                raise asyncio.CancelledError
        look.attempts = definition.attempts
        return definition.function(**arguments)


def _argument(name: str, look: Look) -> Any:
    return look.pair.target if name == "target" else instrument(name, look.lookout)


def _frames_of(thread_ident: int) -> list[FrameType]:
    """The frames of a running thread, innermost first; empty when it has ended."""
    frame: FrameType | None = sys._current_frames().get(thread_ident)  # noqa: SLF001  # documented, for exactly this: finding who blocks
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def _look_of(frame: FrameType) -> Look | None:
    """The look for which the event loop runs a callback in this frame, if it is one that runs callbacks."""
    if frame.f_code is not asyncio.Handle._run.__code__:  # noqa: SLF001  # the one place every callback passes through
        return None
    context = getattr(frame.f_locals.get("self"), "_context", None)
    return context.get(_LOOK) if isinstance(context, contextvars.Context) else None
