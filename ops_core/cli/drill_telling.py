"""What everything that takes long under `ops drill` shares: where its progress goes, and how it is ended."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def writer_of(*, json: bool) -> Callable[[str], None]:
    """Writes progress where it is not the answer, and shows it at once."""
    stream = sys.stderr if json else sys.stdout

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def columns_of(*, json: bool) -> int:
    """The columns of the terminal that shows the progress; 0 where nobody looks at one."""
    import os
    import shutil

    stream = sys.stderr if json else sys.stdout
    looked_at = stream.isatty() and os.environ.get("TERM") != "dumb"
    return shutil.get_terminal_size((80, 24)).columns if looked_at else 0


@contextmanager
def ended_by(*numbers: signal.Signals, once: bool = False) -> Iterator[None]:
    """Whoever asks us to end by one of these signals is heard as Ctrl-C is: everything that was started ends first.

    `once`: nobody is heard a second time, so that what is being put back is not interrupted.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        if once:
            for number in numbers:
                signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
