"""Runs one command so that neither it nor what it starts outlives the program that wanted it.

    python -I -S leash.py PARENT-PID COMMAND ARGUMENT…

A remediation that is killed with SIGKILL cannot clean up. So the kernel is asked to tell this process when its parent
has ended (PR_SET_PDEATHSIG), and this process then kills the command's whole process group before it ends itself. It is
a program of its own because code between fork and exec of a process with threads may do next to nothing.

What the command leaves behind without a parent becomes a child of this process as long as it lives
(PR_SET_CHILD_SUBREAPER), so an emergency stop still finds it as a descendant, whatever it did to its session and its
environment. SIGINT asks for an end of all of these too; a time limit or the end of the parent does not. Where
PARENT-PID ends in "+", nothing of it is left behind in any case.

Descriptors above 2 are kept here and not passed on: as long as this process lives, a lock that it inherited is held.
It is run as a file, so it imports nothing of ours.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ROUNDS_MAX = 500
ROUND_PAUSE_S = 0.002
EXIT_USAGE = 125
EXIT_CANNOT_RUN = 126
EXIT_NOT_FOUND = 127


def tie(to: int, signal_number: int) -> bool:
    """Get `signal_number` when the parent ends; False when it has ended already."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0)
    # It may have ended before we asked; then somebody else is our parent by now.
    return os.getppid() == to


def become(argv: list[str], mask: set[int | signal.Signals]) -> None:
    """Turn this process, just forked, into the command."""
    leash = os.getppid()
    try:
        os.setpgid(0, 0)
        if not tie(leash, signal.SIGKILL):
            return
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, 65_536)
        os.execvp(argv[0], argv)  # noqa: S606 - an argument list, and no shell
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode("utf-8", "replace"))
        os._exit(EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else EXIT_CANNOT_RUN)


def children() -> list[int]:
    """The pids of our children, the newest first; a zombie is one too."""
    found, me = [], str(os.getpid()).encode("ascii")
    names = os.listdir("/proc")  # noqa: PTH208 - importing pathlib would take longer than all the rest
    for pid in sorted((int(name) for name in names if name.isdecimal()), reverse=True):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - the same
            told = file.read()
            # After the name, which may hold anything: the state, and who its parent is.
            if told[told.rfind(b")") + 1 :].split()[1:2] == [me]:
                found.append(pid)
    return found


def end_all() -> None:
    """Kill our children until there are none: whoever loses its parent that way becomes the next one."""
    for _ in range(ROUNDS_MAX):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for pid in children():
            with contextlib.suppress(OSError):  # it may have changed its user
                os.kill(pid, signal.SIGKILL)
        time.sleep(ROUND_PAUSE_S)


def main() -> int:
    """Run the command, and return what it returned."""
    whole = sys.argv[1].endswith("+")
    parent, argv = int(sys.argv[1].rstrip("+")), sys.argv[2:]
    waited_for = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    # Blocked, not handled: nothing happens between two lines here that we do not ask for.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    if not argv or not tie(parent, signal.SIGTERM):
        return EXIT_USAGE
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)
    child = os.fork()
    if child == 0:
        become(argv, mask)
        os._exit(EXIT_USAGE)
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            if whole:
                end_all()
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if ended:
            continue
        asked = signal.sigwait(waited_for)
        if asked == signal.SIGCHLD:
            continue
        for kill in (os.killpg, os.kill):  # it may not lead a group of its own yet
            with contextlib.suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if whole or asked == signal.SIGINT:
            end_all()
        return 128 + signal.SIGTERM


if __name__ == "__main__":
    # The interpreter's own clean-up has nothing to do here and takes its time.
    os._exit(main())
