"""What an incident leaves for people: its reports, its record, and a line in the log for its beginning and its end.

All of it is written from the events, so writing it again after a crash gives the same files; a line that stands in the
log already is not added a second time.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

from ops_core.config import Settings
from ops_core.content import own_templates
from ops_core.errors import OpsError
from ops_core.observation.journal import write_together
from ops_core.report.model import IncidentView
from ops_core.report.render import (
    INCIDENT,
    INCIDENT_LOG,
    ISSUE,
    POSTMORTEM,
    TemplateBroken,
    render_incident,
    render_response,
)
from ops_core.report.response import ResponseView

LOG = "incidents.log"
SEARCHED_BYTES = 1 << 22


def folder_of(settings: Settings, incident: str) -> Path:
    """Where the files of an incident lie."""
    return settings.reports_dir / "incidents" / incident


def write_reports(settings: Settings, view: IncidentView, lang: str, say: Callable[[str], None]) -> tuple[Path, ...]:
    """Write `incident.md`, `postmortem.md` and `incident.json`; returns their paths.

    Raises:
        OpsError: a file cannot be written.
    """
    folder = folder_of(settings, view.id)
    texts = {
        "incident.md": _rendered(settings, view, INCIDENT, lang, say),
        "postmortem.md": _rendered(settings, view, POSTMORTEM, lang, say),
        "incident.json": json.dumps(view.to_json(), ensure_ascii=False, indent=2) + "\n",
    }
    return write_together(folder, texts, "the reports")


def log_line(settings: Settings, view: IncidentView, lang: str, say: Callable[[str], None]) -> bool:
    """Add the line of this view to the log, unless it stands there; whether it was added.

    Raises:
        OpsError: the log cannot be written.
    """
    line = " ".join(_rendered(settings, view, INCIDENT_LOG, lang, say).split()) + "\n"
    path = settings.reports_dir / "incidents" / LOG
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # The lock is against another profile's incident that writes to the same log.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return _append(descriptor, line.encode("utf-8"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OpsError(f"the log cannot be written: {error.strerror}", where=str(path)) from None


def _append(descriptor: int, line: bytes) -> bool:
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, SEARCHED_BYTES, max(0, size - SEARCHED_BYTES))
    if line in tail.splitlines(keepends=True):
        return False
    torn = tail.rpartition(b"\n")[2]
    if torn:
        # Whoever wrote it was cut off: finish what is ours, and leave what is not on a line of its own.
        line = line[len(torn) :] if line.startswith(torn) else b"\n" + line
    os.write(descriptor, line)
    os.fsync(descriptor)
    return True


def rendered(settings: Settings, view: ResponseView, name: str, lang: str, say: Callable[[str], None]) -> str:
    """A document about an incident that people handle, by the repository's own template where it has one that works."""
    return _by_own(settings, lambda own: render_response(view, name, lang=lang, templates=own), say)


def rendered_issue(settings: Settings, view: IncidentView, lang: str, say: Callable[[str], None]) -> str:
    """The issue about an incident of the loop, by the repository's own template where it has one that works."""
    return _rendered(settings, view, ISSUE, lang, say)


def _rendered(settings: Settings, view: IncidentView, name: str, lang: str, say: Callable[[str], None]) -> str:
    return _by_own(settings, lambda own: render_incident(view, name, lang=lang, templates=own), say)


def _by_own(settings: Settings, render: Callable[[Path | None], str], say: Callable[[str], None]) -> str:
    own = own_templates(settings.root)
    if own is not None:
        try:
            return render(own)
        except TemplateBroken as error:
            # Somebody's template is no reason to have no report.
            say(str(error))
    return render(None)
