"""What an operational run asks of its own process: enough file descriptors, and an end that nothing can hold up."""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WANTED_FILES = 65_536
AGAIN_AFTER_S = 1.0
EXIT_GRACE_S = 1.0
SHUTDOWN_POLL_S = 0.1


def open_file_limit() -> int:
    """Raise the soft limit of open files as far as allowed (at most 65,536) and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft
        return wanted
    return WANTED_FILES if soft == resource.RLIM_INFINITY else soft


class StopSignals:
    """Listens for the signals that ask a process to end.

    Signals in quick succession count as one: an exception that is raised while another one unwinds can get into the
    middle of giving back a lock, and what comes of that is no interruption any more.

    Args:
        on_stop: called in the main thread with the signal's name.
        now: monotonic seconds.
    """

    def __init__(self, on_stop: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._on_stop = on_stop
        self._now = now
        self._last = -math.inf
        self._before: dict[signal.Signals, Any] = {}

    def listen(self) -> None:
        """Take over the signals; one that is ignored (nohup) stays ignored."""
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                # Not even SIGINT is left to Python: an impatient Ctrl-C, too, comes twice.
                self._before[number] = signal.signal(number, self._arrived)

    def release(self) -> None:
        """Give them back to whoever had them before."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        now = self._now()
        if now - self._last < AGAIN_AFTER_S:
            return
        self._last = now
        if number == signal.SIGINT:
            # What Python's own handler does.
            raise KeyboardInterrupt
        self._on_stop(signal.Signals(number).name)


def end_process_in_time(status: Callable[[], int]) -> None:
    """Once the process has begun to end, give it a second, then end it with `status`.

    The interpreter waits for every thread that is no daemon, and for executors, and a user's probe may have left one
    hanging; the verdict is out by then, and whoever waits for it must not be kept waiting. A program that runs pytest
    and goes on afterwards is left alone: only an interpreter that is shutting down is hurried.
    """

    def wait() -> None:
        pause = threading.Event()
        while not _shutting_down():
            pause.wait(SHUTDOWN_POLL_S)
        pause.wait(EXIT_GRACE_S)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
        os._exit(status())

    threading.Thread(target=wait, name="runbook-exit", daemon=True).start()


def _shutting_down() -> bool:
    """Whether the main thread has left the program and waits for threads, or has ended."""
    main = threading.main_thread()
    frame = sys._current_frames().get(main.ident or 0)  # noqa: SLF001  # no other way to tell: it still counts as alive
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    outermost = frame.f_code if frame is not None else None
    return not main.is_alive() or outermost is threading._shutdown.__code__  # type: ignore[attr-defined]  # noqa: SLF001
