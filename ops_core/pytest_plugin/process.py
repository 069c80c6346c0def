"""What an operational run asks of its own process: enough file descriptors, and an end that nothing can hold up."""

from __future__ import annotations

import os
import resource
import sys
import threading

WANTED_FILES = 65_536
EXIT_GRACE_S = 1.0


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


def end_process_in_time(status: int) -> None:
    """Once the main thread has ended, give other threads a second, then end the process with `status`.

    The interpreter waits for every thread that is not a daemon, and a user's probe may have left one hanging; the
    verdict is out by then, and whoever waits for it must not be kept waiting.
    """

    def wait() -> None:
        threading.main_thread().join()
        deadline = threading.Event()
        deadline.wait(EXIT_GRACE_S)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
        os._exit(status)

    threading.Thread(target=wait, name="runbook-exit", daemon=True).start()
