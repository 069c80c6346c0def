"""Runs one command so that neither it nor what it starts outlives the program that wanted it.

    python -I -S leash.py PARENT-PID COMMAND ARGUMENT…

A remediation that is killed with SIGKILL cannot clean up. So the kernel is asked to tell this process when its parent
has ended (PR_SET_PDEATHSIG), and this process then kills the command's whole process group before it ends itself. It is
a program of its own because code between fork and exec of a process with threads may do next to nothing.

Descriptors above 2 are kept here and not passed on: as long as this process lives, a lock that it inherited is held.
It is run as a file, so it imports nothing of ours.
"""

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
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


def main() -> int:
    """Run the command, and return what it returned."""
    parent, argv = int(sys.argv[1]), sys.argv[2:]
    waited_for = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
    # Blocked, not handled: nothing happens between two lines here that we do not ask for.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    if not argv or not tie(parent, signal.SIGTERM):
        return EXIT_USAGE
    child = os.fork()
    if child == 0:
        become(argv, mask)
        os._exit(EXIT_USAGE)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if signal.sigwait(waited_for) == signal.SIGCHLD:
            continue
        for kill in (os.killpg, os.kill):  # it may not lead a group of its own yet
            with contextlib.suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return 128 + signal.SIGTERM


if __name__ == "__main__":
    # The interpreter's own clean-up has nothing to do here and takes its time.
    os._exit(main())
