"""Run supervisord on a leash: when the process that holds the other end of our standard input is gone, so are we.

Nothing a rehearsal starts may outlive it, also when it is killed with SIGKILL and can clean up nothing. The usual tool
is PR_SET_PDEATHSIG, but that fires when the *thread* that started us ends, and whoever starts a stack from a worker
thread would lose it in mid-rehearsal. A pipe is closed by the kernel when the last process that holds it is gone, and
with O_ASYNC the kernel turns that into a signal; no thread of ours has to be awake for it.

The signal is SIGKILL: it works while supervisord is stopped or busy, and it works now. All that is left behind are its
socket and its pid file, which the next start removes. The services are tied to supervisord in the same way
(`services/base.py`, or `run` below for programs that are not ours), so they go down with it whatever kills it. This
file is run by its path, so that it works wherever `ops_core` is imported from.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import select
import signal
import stat
import sys
import warnings


def tie(descriptor: int, signal_number: int) -> None:
    """Have the kernel send us `signal_number` as soon as the other end of a pipe is closed."""
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal_number)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    # Closed before we were tied: no signal would ever come.
    poll = select.poll()
    poll.register(descriptor, 0)
    if poll.poll(0):
        os.kill(os.getpid(), signal_number)


def run(user: str, argv: list[str]) -> None:
    """Tie this process to its standard input, become `user` unless that is empty, and then the program of `argv`.

    The tie belongs to the open pipe and to the number of this process: both outlive the change.
    """
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        tie(0, signal.SIGKILL)
    if user:
        account = pwd.getpwnam(user)
        os.initgroups(user, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.execv(argv[0], argv)  # noqa: S606 - becoming the program is what this is for


def main(arguments: list[str]) -> None:
    """`leash.py tied|free CONFIGURATION`: become that supervisor; `leash.py run USER PROGRAM…`: become that program."""
    if arguments[0] == "run":
        run(arguments[1], arguments[2:])
    mode, configuration = arguments
    if mode == "tied":
        tie(0, signal.SIGKILL)
    # supervisor speaks to the Python versions of many years; what it is warned of is not the operator's business.
    warnings.simplefilter("ignore")
    from supervisor.supervisord import main as supervisord  # type: ignore[import-untyped]  # it has none

    supervisord(["-c", configuration])


if __name__ == "__main__":
    main(sys.argv[1:])
