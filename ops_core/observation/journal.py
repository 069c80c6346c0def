"""The append-only journal: every piece of evidence is on disk as soon as it is seen, so a killed run leaves it.

One JSON object per line; the first line says which run it is. Lines are written with a single `write` on a file opened
for appending, so several processes of one run can share a journal.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops_core.errors import OpsError
from ops_core.evidence import EvidenceRecord
from ops_core.observation.record import json_safe


class Journal:
    """Appends lines to the journal of one run."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        """Open `path` for appending; `head` is written first by the process of the run that makes the file.

        Raises:
            OSError: the folder or file cannot be made.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            self._file = os.open(path, flags)
        else:
            self._line({"type": "run", **json_safe(head)})

    def evidence(self, record: EvidenceRecord) -> None:
        """Append one evidence record.

        Raises:
            OSError: the disk is full or gone.
        """
        self._line({"type": "evidence", **json_safe(record)})

    def end(self, how: str) -> None:
        """Append how the run ended and close the file."""
        if self._file >= 0:
            try:
                self._line({"type": "end", "how": json_safe(how)})
            finally:
                os.close(self._file)
                self._file = -1

    def _line(self, value: dict[str, Any]) -> None:
        if self._file < 0:
            return
        os.write(self._file, (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode())


def write_atomically(path: Path, text: str) -> None:
    """Put `text` at `path` so that a reader sees the old or the new content, never a part.

    Raises:
        OSError: the folder or file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that nobody can know beforehand, in a file that must be new: a link that lies in wait would be written to.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_together(folder: Path, texts: Mapping[str, str], what: str) -> tuple[Path, ...]:
    """Write texts into a folder, each under its name and as `write_atomically` does; `what` they are, for people.

    Returns:
        Their paths.

    Raises:
        OpsError: one cannot be written.
    """
    try:
        for name, text in texts.items():
            write_atomically(folder / name, text)
    except OSError as error:
        raise OpsError(f"{what} cannot be written: {error.strerror}", where=str(folder)) from None
    return tuple(folder / name for name in texts)
