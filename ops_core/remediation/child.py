"""Runs one argument list: in a session of its own, on a leash, within a time limit, its output bounded.

While it runs, somebody is asked again and again whether it has to end (`must_end`): that is how an emergency stop
reaches a step that is under way.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LEASH = Path(__file__).resolve().parent / "leash.py"
ASK_S = 0.1
ENDING_S = 2.0
DRAIN_S = 0.2
OUTPUT_MAX_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended. `why` is empty where it ended by itself; `exit_code` is 128 + N for signal N."""

    exit_code: int
    why: str
    output: str
    elapsed_s: float


def run_child(
    argv: Sequence[str],
    *,
    timeout_s: float,
    must_end: Callable[[], str] = lambda: "",
    hold: int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    leave_nothing: bool = False,
) -> Ended:
    """Run a command to its end, or end it.

    It must be called from a thread that lives until it returns: the kernel takes the end of the thread that started
    the leash for the end of the whole process.

    Args:
        argv: the argument list.
        timeout_s: seconds after which it is killed, with everything in its process group.
        must_end: asked ten times a second; any text is the reason to kill it, with everything that descends from it.
        hold: a descriptor that the leash keeps open while it lives, such as that of a lock.
        cwd: where it runs; the root directory by default, so that nothing there can be mistaken for a program's.
        env: its environment; ours by default.
        leave_nothing: whether what it left running in the background is ended with it, however it ends.

    Raises:
        OSError: it could not be started at all. A program that is missing is told by exit 127 instead.
    """
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LEASH), f"{os.getpid()}{'+' if leave_nothing else ''}", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd or "/",
        env=None if env is None else dict(env),
        start_new_session=True,
        pass_fds=() if hold is None else (hold,),
    )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    output, why, stop = _Tail(process.stdout.fileno()), "", ""
    try:
        with _pidfd(process.pid) as ended:
            while not _ready(ended, output, ASK_S):
                stop = must_end()
                why = stop or (f"not done within {timeout_s:g} s" if time.monotonic() - begun > timeout_s else "")
                if why:
                    break
            if why:
                # A stop also ends what the command left to itself; a time limit does not.
                _end(process, ended, output, signal.SIGINT if stop else signal.SIGTERM)
        process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # What the command left running in the background may hold the pipe for as long as it likes.
        output.drain(DRAIN_S if process.returncode else 0.0)
        process.stdout.close()
    return Ended(
        exit_code=process.returncode if process.returncode >= 0 else 128 - process.returncode,
        why=why,
        output=output.text(),
        elapsed_s=time.monotonic() - begun,
    )


class _Tail:
    """The last part of what a command prints."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.open = True
        self._kept = b""

    def read(self) -> None:
        """Take what is there."""
        try:
            piece = os.read(self.descriptor, OUTPUT_MAX_BYTES)
        except BlockingIOError:
            return
        self.open = bool(piece)
        self._kept = (self._kept + piece)[-OUTPUT_MAX_BYTES:]

    def drain(self, patience_s: float) -> None:
        """Take what is left, waiting at most `patience_s` for the end."""
        until = time.monotonic() + patience_s
        while self.open:
            self.read()
            left_s = until - time.monotonic()
            # Somebody in the background may never stop printing.
            if left_s < -DRAIN_S or not select.select([self.descriptor], [], [], max(0.0, left_s))[0]:
                return

    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _ready(ended: int, output: _Tail, wait_s: float) -> bool:
    """Wait for the end of the process, reading what it prints meanwhile; whether it has ended."""
    until = time.monotonic() + wait_s
    while True:
        wanted = [ended, output.descriptor] if output.open else [ended]
        readable, _, _ = select.select(wanted, [], [], max(0.0, until - time.monotonic()))
        if ended in readable:
            return True
        if not readable:
            return False
        output.read()
        if time.monotonic() >= until:
            return False


def _end(process: subprocess.Popen[bytes], ended: int, output: _Tail, ask: signal.Signals) -> None:
    process.send_signal(ask)
    if not _ready(ended, output, ENDING_S):
        # The command is tied to the leash in its turn.
        process.kill()
