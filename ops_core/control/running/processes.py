"""Processes of this host as `/proc` shows them: who is who, who descends from whom, who carries the mark of a work.

A process is known by its pid together with the tick it was started at: a pid alone may be somebody else's by now. It is
signalled through a descriptor of its own (pidfd) that was opened before it was looked at once more, so that a signal
never reaches whoever got the pid meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops_core.errors import OpsError

PROC = Path("/proc")
MARK = "OPS_WORK"
MARKS_SEPARATOR = ","
ENVIRON_MAX_BYTES = 4 << 20
# After the name in parentheses, which may hold anything: state, ppid, …; the start is field 22 of proc_pid_stat(5).
_PPID, _TICKS = 1, 19


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process: `ticks` since boot tells it from a later one of the same pid."""

    pid: int
    ppid: int
    ticks: str

    @property
    def key(self) -> tuple[int, str]:
        """What identifies it while this host is up."""
        return self.pid, self.ticks


def look_up(pid: int) -> Process | None:
    """The process of that pid; None where there is none."""
    try:
        raw = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = raw[raw.rfind(b")") + 1 :].split()
    if len(fields) <= _TICKS:
        return None
    return Process(pid=pid, ppid=int(fields[_PPID]), ticks=fields[_TICKS].decode("ascii"))


def myself() -> Process:
    """This process.

    Raises:
        OpsError: this host does not tell; nothing that is to be stopped may run here.
    """
    found = look_up(os.getpid())
    if found is None:
        raise OpsError(
            "this host does not tell its processes apart, so that nothing here could be ended by the emergency stop",
            where=str(PROC),
            allowed="Linux with /proc",
        )
    return found


def ticks_now() -> int:
    """The clock by which `/proc` tells when a process was started, in ticks since boot."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def boot_id() -> str:
    """What tells this boot, and this space of pids, from every other; empty where the host does not tell.

    A container that shares host name and kernel with another one numbers its processes anew.
    """
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def newest_first() -> Iterator[Process]:
    """Every process there is, the highest pid first.

    Whoever forks and ends without pause is caught where it was born last: right after the folder was read.
    """
    names = os.listdir(PROC)  # noqa: PTH208 - a thousand paths a scan are slower, and slow is what a respawner needs
    for pid in sorted((int(name) for name in names if name.isdecimal()), reverse=True):
        found = look_up(pid)
        if found is not None:
            yield found


def marks_of(pid: int) -> frozenset[str]:
    """The marks in the environment that a process was started with; none where it cannot be read."""
    try:
        with (PROC / str(pid) / "environ").open("rb") as file:
            raw = file.read(ENVIRON_MAX_BYTES)
    except OSError:
        return frozenset()
    name = f"{MARK}=".encode("ascii")
    for entry in raw.split(b"\0"):
        if entry.startswith(name):
            return frozenset(entry[len(name) :].decode("ascii", "replace").split(MARKS_SEPARATOR))
    return frozenset()


def mark_process(mark: str) -> int:
    """Make this process findable without any store: a descriptor that bears the mark's name and ends with the process.

    The environment shown in `/proc` is the one a process was started with, so a work cannot mark itself there.
    """
    return os.memfd_create(f"{MARK}={mark}", os.MFD_CLOEXEC)


def descriptor_marks_of(pid: int) -> frozenset[str]:
    """The marks that a process bears by `mark_process`."""
    found = set()
    with contextlib.suppress(OSError):
        for link in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                before, _, mark = str(link.readlink()).removesuffix(" (deleted)").partition(f"{MARK}=")
                if before == "/memfd:":
                    found.add(mark)
    return frozenset(found)


def ancestors_of(process: Process) -> frozenset[tuple[int, str]]:
    """Who started it, who started that one, and so on."""
    found: set[tuple[int, str]] = set()
    above = look_up(process.ppid)
    while above is not None and above.key not in found:
        found.add(above.key)
        above = look_up(above.ppid)
    return frozenset(found)


def alive(process: Process) -> bool:
    """Whether it still runs. A zombie has ended; one whose first thread has ended may not have."""
    with _opened(process) as descriptor:
        return descriptor >= 0 and not _ended(descriptor)


def send(process: Process, number: signal.Signals) -> str:
    """Send a signal, to this process and no other; the answer is why that was not possible, or empty."""
    with _opened(process) as descriptor:
        if descriptor < 0:
            return ""
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return ""
        except OSError as error:
            return error.strerror or str(error)
        return ""


def wait_for_one(processes: list[Process], limit_s: float) -> None:
    """Return when one of the processes has ended, at the latest after `limit_s` seconds."""
    with contextlib.ExitStack() as stack:
        poll, watched = select.poll(), False
        for process in processes:
            descriptor = stack.enter_context(_opened(process))
            if descriptor >= 0:
                poll.register(descriptor, select.POLLIN)
                watched = True
        if watched:
            poll.poll(max(1, int(limit_s * 1000)))
        else:
            time.sleep(limit_s)


def owner_of(process: Process) -> int:
    """The user it belongs to; -1 where that cannot be told."""
    try:
        return (PROC / str(process.pid)).stat().st_uid
    except OSError:
        return -1


def name_of(process: Process) -> str:
    """What it calls itself, for people."""
    try:
        return (PROC / str(process.pid) / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _ended(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


@contextlib.contextmanager
def _opened(process: Process) -> Iterator[int]:
    """A descriptor of exactly this process; -1 where it is gone."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except OSError:
        yield -1
        return
    try:
        # Looked up after opening: from here on the descriptor cannot come to mean another process.
        now = look_up(process.pid)
        yield descriptor if now is not None and now.key == process.key else -1
    finally:
        os.close(descriptor)
