"""Processes by the session they belong to: how a stack finds whatever is left of it.

supervisord leads a session of its own, and its services stay in it although each has a process group of its own.
Whoever is sent a signal must also show the work directory in its command line: numbers are given out again one day.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def members(session: int, mark: Path) -> tuple[int, ...]:
    """The pids of a session's living processes that were started with `mark` in their arguments."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        its_state, its_session = _state_and_session(int(process.name))
        if its_session != session or its_state in ("Z", "X"):
            continue
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_bytes()
            if os.fsencode(mark) in arguments or (not arguments and _is_ending(process)):
                found.append(int(process.name))
    return tuple(found)


def send(session: int, mark: Path, signal_number: int) -> int:
    """Send a signal to every living process of a session; the number of processes there were."""
    pids = members(session, mark)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal_number)
    return len(pids)


def state(pid: int) -> str:
    """The state of a process as the kernel names it: `S` sleeps, `T` is stopped by a signal; `X` when it is gone."""
    return _state_and_session(pid)[0]


def children(pid: int) -> tuple[int, ...]:
    """The processes that a process has started and that are still there."""
    with contextlib.suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return tuple(int(word) for word in listed.split())
    return ()


def handles(pid: int, signal_number: int) -> bool:
    """Whether a process has installed a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (signal_number - 1) & 1)


def _is_ending(process: Path) -> bool:
    """Whether a process without arguments lost them because it ends; one that is being started has a program."""
    try:
        (process / "exe").readlink()
    except FileNotFoundError:
        return True
    return False


def _state_and_session(pid: int) -> tuple[str, int]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X", 0
    # The name in parentheses may hold anything, parentheses too.
    words = stat.rpartition(")")[2].split()
    return words[0], int(words[3])
