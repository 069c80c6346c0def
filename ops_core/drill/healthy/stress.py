"""Work for every core, so that what looks and what is looked at have to wait for their turn."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ops_core.drill.healthy.network import tied

BUSY = ["-c", "while True:\n    pass"]


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


class Busy:
    """Processes that do nothing but compute."""

    def __init__(self, processes: list[subprocess.Popen[bytes]]) -> None:
        self._processes = processes

    @property
    def pids(self) -> tuple[int, ...]:
        """Those that run."""
        return tuple(one.pid for one in self._processes if one.poll() is None)


@contextmanager
def busy(number: int) -> Iterator[Busy]:
    """So many processes compute until the block ends, or this process does."""
    with ExitStack() as stack:
        yield Busy([stack.enter_context(tied(BUSY)) for _ in range(number)])
