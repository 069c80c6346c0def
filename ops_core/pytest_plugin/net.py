"""The last net: a run whose main thread hangs still ends with a record, a little after its total budget.

The probes cannot hold up a run, and pytest-timeout ends a check that hangs. What is left is a check that swallows even
that, a fixture, an import or another plugin that hangs. So a thread watches whether the main thread gets on; if it does
not, the record is written from here and the process ends. Should even threads no longer run (a C function that keeps
the interpreter to itself), `faulthandler` ends the process; then the journal holds what was seen.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

RUNNING_STALL_S = 3.0
ENDING_STALL_S = 8.0
HARD_AFTER_S = 12.0
LOOK_EVERY_S = 0.25


class Net:
    """Watches one run.

    Args:
        deadline: monotonic seconds at which the total budget ends.
        on_stall: called in a thread of the net with the place where the main thread hangs; it must end the process.
    """

    def __init__(self, deadline: float, on_stall: Callable[[str], None]) -> None:
        self._deadline = deadline
        self._on_stall = on_stall
        self._last_beat = time.monotonic()
        self._stall_s = RUNNING_STALL_S
        self._ended = threading.Event()
        self._hang_file: Path | None = None
        self._descriptor = -1

    def start(self) -> None:
        """Start watching."""
        threading.Thread(target=self._watch, name="runbook-net", daemon=True).start()

    def arm_hard(self, hang_file: Path) -> None:
        """Let `faulthandler` end the process should even the net hang; the stacks then go to `hang_file`."""
        after_s = self._deadline - time.monotonic() + HARD_AFTER_S
        try:
            hang_file.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(hang_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        self._hang_file = hang_file
        faulthandler.dump_traceback_later(max(after_s, HARD_AFTER_S), exit=True, file=self._descriptor)

    def beat(self) -> None:
        """The main thread gets on."""
        self._last_beat = time.monotonic()

    def ending(self) -> None:
        """The run has come to its end: reports are being written, which may take a moment more."""
        self._stall_s = ENDING_STALL_S
        self.beat()

    def take_away(self) -> None:
        """The run has ended, or somebody is debugging it."""
        self._ended.set()
        if self._hang_file is not None:
            faulthandler.cancel_dump_traceback_later()
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                if self._hang_file.stat().st_size == 0:
                    self._hang_file.unlink()
            self._hang_file = None

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            now = time.monotonic()
            if now >= self._deadline and now - self._last_beat >= self._stall_s:
                self._on_stall(_where_main_is())
                return


def _where_main_is() -> str:
    """`file:line` of what the main thread executes."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001  # documented for this purpose
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "outside of Python code"
