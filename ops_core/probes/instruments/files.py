"""The `files` instrument: reads what programs write to disk, bounded, and asks disks how full they are.

A disk that hangs hangs whoever asks: use it in a plain `def`, which gets a thread of its own.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

from ops_core.errors import CannotLook
from ops_core.probes.instruments.context import Lookout

READ_BYTES = 262_144
FOLLOWED_MAX_BYTES = 16 << 20
LOOK_EVERY_S = 0.05


class LogEnd:
    """The end of a log from now on: what is written to it later, also after it was rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._id, self._at = _identity(path)
        self._carry = b""
        self._read_bytes = 0

    def wait_for(self, text: str, within_s: float) -> bool:
        """Whether `text` gets into the log within that many seconds.

        Raises:
            CannotLook: it cannot be read, or grows so quickly that it cannot be followed.
        """
        wanted = text.encode()
        until = time.monotonic() + within_s
        while True:
            if self._look(wanted):
                return True
            if time.monotonic() >= until:
                return False
            time.sleep(LOOK_EVERY_S)

    def _look(self, wanted: bytes) -> bool:
        identity, size = _identity(self._path)
        if identity != self._id or size < self._at:
            self._id, self._at, self._carry = identity, 0, b""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                while part := file.read(READ_BYTES):
                    self._at += len(part)
                    self._read_bytes += len(part)
                    if wanted in self._carry + part:
                        return True
                    self._carry = (self._carry + part)[1 - len(wanted) :]
                    if self._read_bytes > FOLLOWED_MAX_BYTES:
                        much = f"the log grows too quickly: {FOLLOWED_MAX_BYTES >> 20} MiB and the text not among it"
                        raise CannotLook(much, where=str(self._path))
        except OSError as error:
            raise _unreadable(self._path, error) from None
        return False


class FilesInstrument:
    """Reads files and disks."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def end_of(self, path: Path) -> LogEnd:
        """The end of a log, to wait for what is written to it from now on.

        Raises:
            CannotLook: there is no such file, or it cannot be read.
        """
        self._note("end_of", path)
        return LogEnd(path)

    def read(self, path: Path, *, max_bytes: int = READ_BYTES) -> str:
        """The text of a file.

        Raises:
            CannotLook: it cannot be read, or is longer than that.
        """
        self._note("read", path)
        _identity(path)
        try:
            with path.open("rb") as file:
                raw = file.read(max_bytes + 1)
        except OSError as error:
            raise _unreadable(path, error) from None
        if len(raw) > max_bytes:
            raise CannotLook(f"the file is larger than {max_bytes} bytes", where=str(path))
        return raw.decode("utf-8", "replace")

    def report(self, name: str) -> Path:
        """Where a file of that name lies below the reports."""
        return self._lookout.settings.reports_dir / name

    def disk(self, path: Path) -> os.statvfs_result:
        """What the system says of the disk below a path.

        Raises:
            CannotLook: there is no such path, or the disk cannot be asked.
        """
        self._note("disk", path)
        try:
            return os.statvfs(path)
        except OSError as error:
            raise CannotLook(f"the disk cannot be asked: {error.strerror}", where=str(path)) from None

    def _note(self, what: str, path: Path) -> None:
        action: dict[str, Any] = {"instrument": "files", "what": what, "path": str(path)}
        self._lookout.actions.append(action)


def _identity(path: Path) -> tuple[tuple[int, int], int]:
    """Which file it is, and its size."""
    try:
        seen = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(seen.st_mode):
        # Opening a pipe would wait for who writes into it.
        raise CannotLook("it is not an ordinary file", where=str(path))
    if not os.access(path, os.R_OK):
        raise CannotLook("the file cannot be read: Permission denied", where=str(path))
    return (seen.st_dev, seen.st_ino), seen.st_size


def _unreadable(path: Path, error: OSError) -> CannotLook:
    return CannotLook(f"the file cannot be read: {error.strerror}", where=str(path))
