"""What an installation would do, as data: it is shown as it stands, and carried out as it was shown."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from ops_core.errors import UsageError
from ops_core.schedule.slots import Schedule

# Stands in every file that we write, so that none of somebody else's is replaced or removed.
OWN = "made by ops schedule"
SCRIPT = "run_ops_cycle.sh"
SHELL_SCRIPTS = (
    *("run_ops.sh", SCRIPT, "run_daily_ops.sh"),
    *("oci/daily_ops.sh", "oci/check_live_cycle.sh", "oci/check_ops_summary.sh"),
)
WINDOWS_SCRIPTS = ("run_ops_cycle.ps1",)
KINDS = ("cron", "systemd", "windows", "synology", "kubernetes")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a scheduler is to call, and when.

    Attributes:
        repository: where the repository lies here; with the profile it makes the job's name.
        root: where it lies on the machine that will run it.
        logs: the folder for what cron would mail.
        arguments: handed to the script, and by it to `ops cycle`.
        program: the `ops` to use where the script would not find it by itself; empty where it would.
        limit_s: after so many seconds a run is ended from outside.
        user: as whom it runs; empty for whoever installs it.
    """

    repository: PurePath
    root: PurePath
    profile: str
    schedule: Schedule
    logs: PurePath
    arguments: tuple[str, ...] = ()
    program: str = ""
    limit_s: int = 3900
    user: str = ""

    @property
    def name(self) -> str:
        """Its name among other jobs of the host: the profile, and a mark of the repository."""
        profile = re.sub(r"[^a-z0-9]+", "-", self.profile.lower()).strip("-")[:30] or "profile"
        mark = hashlib.sha256(f"{self.repository}\0{self.profile}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return f"ops-cycle-{profile}-{mark}"

    @property
    def script(self) -> PurePath:
        """The script that is called."""
        return self.root / "deploy" / SCRIPT


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file that is written. One that exists is replaced only if it is ours: it holds `OWN`, as this one does.

    `source` is the shipped file of which it is a copy.
    """

    path: Path
    text: str
    encoding: str = "utf-8"
    mode: int = 0o644
    source: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is done, and everything that a person has to know or do.

    Attributes:
        kind: one of `KINDS`.
        name: the job's.
        before: commands that are run first.
        files: what is written, or removed.
        crontab: the whole crontab before and after; None where it is not touched.
        block: our lines of the crontab after.
        commands: commands that are run last.
        steps: what is left to do by hand.
        notes: what one should know.
    """

    kind: str
    name: str
    before: tuple[tuple[str, ...], ...] = ()
    files: tuple[NewFile, ...] = ()
    crontab: tuple[str, str] | None = None
    block: str = ""
    commands: tuple[tuple[str, ...], ...] = ()
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plain(text: str, what: str) -> str:
    """The text, if a line of a scheduler's file can hold it.

    Raises:
        UsageError: it has control characters: a line break would begin another entry.
    """
    if any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) < 0xE000 for c in text):
        raise UsageError(f"the {what} cannot be written into a scheduler's file", where=repr(text), allowed="one line")
    return text
