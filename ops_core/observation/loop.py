"""The event loop that runs async probes, in a daemon thread that may be left behind.

It starts looks as places become free, beats a heart that keeps the account of charged time, and cancels what has spent
its budget. Threads that asyncio itself would start (name look-ups, `to_thread`) are daemon threads too: an executor's
threads are joined when the interpreter ends, and one hanging name server would hold up the verdict.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ops_core.probes.instruments import Synchronous, instrument

if TYPE_CHECKING:
    from ops_core.observation.engine import Engine, Look

TICK_S = 0.02
RETRY_PAUSE_S = 0.1
CLOSE_WAIT_S = 0.3


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
    """One generation of the loop. `last_beat` is monotonic time; `abandoned` loops start nothing new."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = DaemonLoop()
        # Whatever a left-behind task still wants to complain about, nobody is there to read it.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._thread = threading.Thread(target=self._run, name="runbook-probes", daemon=True)
        self._budgets: list[tuple[float, int, Look]] = []
        self._order = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_beat = time.monotonic()
        self.abandoned = False

    def start(self) -> None:
        """Start the thread; it starts looking at once."""
        self._thread.start()

    def poke(self) -> None:
        """Tell the loop that places or looks have become free."""
        self._threadsafe(self._launch)

    def close(self) -> int:
        """Cancel what runs and end the thread, if it can be ended; returns how many threads were left behind."""
        self._threadsafe(self._cancel_all)
        self._thread.join(CLOSE_WAIT_S)
        return int(self._thread.is_alive())

    def culprit(self) -> tuple[Look | None, str]:
        """Whose code the loop's thread is executing right now, and where (`file:line`)."""
        from ops_core.observation.engine import frames_of

        innermost = ""
        for frame in frames_of(self._thread.ident or 0):
            if frame.f_code is self._drive.__code__:
                return frame.f_locals.get("look"), innermost
            innermost = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        return None, ""

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
        self._loop.run_forever()
        if not self._tasks:
            self._loop.close()

    def _beat(self) -> None:
        """Account for lateness, cancel what is over budget, come again.

        A timer callback, not a task: it runs in the very iteration that brought new data, so lateness is on the books
        before any probe looks at the clock.
        """
        if self.abandoned:
            return
        now = time.monotonic()
        self._engine.charged.tick(now)
        self.last_beat = now
        charged = self._engine.charged.read(now)
        while self._budgets and self._budgets[0][0] <= charged:
            _, _, look = heapq.heappop(self._budgets)
            if look.record is None:
                self._engine.budget_spent(look)
        self._loop.call_later(TICK_S, self._beat)

    def _launch(self) -> None:
        while not self.abandoned and (look := self._engine.next_look()) is not None:
            until = look.charged_from + look.pair.budget_s
            heapq.heappush(self._budgets, (until, next(self._order), look))
            if look.pair.definition.is_async:
                task = self._loop.create_task(self._drive(look))
                self._tasks.add(task)
                task.add_done_callback(self._ended)
                look.cancel = task.cancel  # type: ignore[assignment]  # its answer is of no interest
            else:
                self._drive_thread(look)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def _cancel_all(self) -> None:
        self.abandoned = True
        for task in list(self._tasks):
            task.cancel()
        closing = self._loop.create_task(self._wait_for(list(self._tasks)))
        closing.add_done_callback(lambda _: self._loop.stop())

    @staticmethod
    async def _wait_for(tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WAIT_S / 2)

    async def _drive(self, look: Look) -> None:
        definition = look.pair.definition
        try:
            arguments = {name: _argument(name, look) for name in definition.arguments}
            for attempt in range(1, definition.attempts + 1):
                look.attempts = attempt
                final = attempt == definition.attempts
                try:
                    value = await definition.function(**arguments)
                except Exception:
                    if final:
                        raise
                else:
                    if final or definition.until(value):
                        self._engine.answer_seen(look, value)
                        return
                    look.last = value if hasattr(value, "explain") else None
                await asyncio.sleep(RETRY_PAUSE_S * attempt)
        except asyncio.CancelledError:
            # A probe that raises this by itself has not looked; if we cancelled it, it is answered already.
            self._engine.answer_unseen(look, "the probe was cancelled")
        except BaseException as error:  # noqa: BLE001  # whatever a probe raises, the answer is: not seen
            self._engine.answer_error(look, error)

    def _drive_thread(self, look: Look) -> None:
        definition = look.pair.definition

        def run() -> None:
            try:
                arguments = {
                    name: value if name == "target" else Synchronous(value, self._loop)
                    for name in definition.arguments
                    for value in [_argument(name, look)]
                }
                for attempt in range(1, definition.attempts + 1):
                    look.attempts = attempt
                    final = attempt == definition.attempts
                    try:
                        value = definition.function(**arguments)
                    except Exception:
                        if final:
                            raise
                    else:
                        if final or definition.until(value):
                            self._engine.answer_seen(look, value)
                            return
                        look.last = value if hasattr(value, "explain") else None
                    time.sleep(RETRY_PAUSE_S * attempt)
                    if look.record is not None:
                        return
            except BaseException as error:  # noqa: BLE001  # whatever a probe raises, the answer is: not seen
                self._engine.answer_error(look, error)

        thread = threading.Thread(target=run, name=f"runbook-{look.pair.id}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._engine.answer_unseen(look, f"this machine has no thread left for it: {error}")


def _argument(name: str, look: Look) -> Any:
    return look.pair.target if name == "target" else instrument(name, look.lookout)
