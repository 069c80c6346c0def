"""Runs one program for its output: fed, bounded in time and size, on a leash that ends it with us.

Of what it prints no more is kept than was asked for; a program that says more is ended, not read to its end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ops_core.remediation.child import LEASH

ASK_S = 0.1
ENDING_S = 2.0
ERRORS_MAX_BYTES = 65_536
PIECE = 65_536


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a program said. `why` is empty where it ended by itself; `cut` tells that it had more to say."""

    exit_code: int
    out: bytes
    err: str
    why: str = ""
    cut: bool = False

    @property
    def good(self) -> bool:
        """Whether it did what it was asked for, and all of its output is here."""
        return self.exit_code == 0 and not self.why and not self.cut


def run(
    argv: Sequence[str],
    *,
    budget_s: float,
    env: Mapping[str, str],
    cwd: Path,
    stdin: bytes = b"",
    limit_bytes: int = PIECE,
    must_end: Callable[[], str] = lambda: "",
    hold: int | None = None,
    leashed: bool = True,
) -> Said:
    """Run a program and return what it said.

    Args:
        argv: the argument list; no shell sees it.
        budget_s: seconds after which it is ended, with its process group.
        env: its whole environment.
        cwd: where it runs.
        stdin: what it is fed.
        limit_bytes: how much of its output is kept.
        must_end: asked again and again; any text is the reason to end it.
        hold: a descriptor that its leash keeps open, such as that of a lock.
        leashed: whether it is ended with us also where we are killed; not needed for what only reads, and is quick.

    Raises:
        OSError: it could not be started at all.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *argv] if leashed else list(argv),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
        pass_fds=() if hold is None or not leashed else (hold,),
    )
    talk = _Talk(process=process, left=memoryview(stdin), limit_bytes=limit_bytes)
    try:
        why = talk.until(time.monotonic() + budget_s, budget_s, must_end)
    finally:
        _end(process, leashed=leashed)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
    code = process.returncode
    return Said(
        exit_code=code if code >= 0 else 128 - code,
        out=bytes(talk.out[:limit_bytes]),
        err=bytes(talk.err).decode("utf-8", "replace"),
        why=why,
        cut=talk.cut,
    )


@dataclass(kw_only=True)
class _Talk:
    """What is fed and heard, as far as it has come."""

    process: subprocess.Popen[bytes]
    left: memoryview
    limit_bytes: int
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    cut: bool = False

    def until(self, ends_at: float, budget_s: float, must_end: Callable[[], str]) -> str:
        """Feed and hear until it has ended; why it has to be ended, or nothing."""

        def why() -> str:
            return must_end() or (f"not done within {budget_s:g} s" if time.monotonic() >= ends_at else "")

        with selectors.DefaultSelector() as waiting:
            for number, event in self._open.items():
                os.set_blocking(number, False)
                waiting.register(number, event)
            while waiting.get_map() and not self.cut:
                if reason := why():
                    return reason
                for key, _ in waiting.select(max(0.0, min(ASK_S, ends_at - time.monotonic()))):
                    if not self._moved(key.fd):
                        waiting.unregister(key.fd)
                        self._close(key.fd)
        while not self.cut and self.process.poll() is None:
            if reason := why():
                return reason
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(ASK_S)
        return ""

    @property
    def _open(self) -> dict[int, int]:
        """What is fed or heard, by descriptor."""
        heard = (self.process.stdout, self.process.stderr)
        found = {stream.fileno(): selectors.EVENT_READ for stream in heard if stream is not None}
        if self.process.stdin is not None:
            found[self.process.stdin.fileno()] = selectors.EVENT_WRITE
        return found

    def _close(self, number: int) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not stream.closed and stream.fileno() == number:
                stream.close()

    def _moved(self, number: int) -> bool:
        """Feed or hear one piece; False when there is no more."""
        feeding, out = self.process.stdin, self.process.stdout
        try:
            if feeding is not None and not feeding.closed and feeding.fileno() == number:
                self.left = self.left[os.write(number, self.left[:PIECE]) :]
                return bool(self.left)
            piece = os.read(number, PIECE)
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        if out is not None and not out.closed and out.fileno() == number:
            self.out += piece
            self.cut = len(self.out) > self.limit_bytes
        else:
            self.err = (self.err + piece)[-ERRORS_MAX_BYTES:]
        return bool(piece)


def _end(process: subprocess.Popen[bytes], *, leashed: bool) -> None:
    """End the leash, which ends what it holds; or the program itself with its process group."""
    if process.poll() is not None:
        return
    if leashed:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_S)
            return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
