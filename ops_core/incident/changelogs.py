"""What a changelog says about an incident that a release caused: what users noticed, not what was done inside."""

from __future__ import annotations

from pathlib import Path

from ops_core.clock import Clock
from ops_core.control.model import tidy
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError, Refused, UsageError
from ops_core.incident.events import Kind
from ops_core.incident.handling import Responses
from ops_core.incident.response import Response
from ops_core.incident.severity import Scenario
from ops_core.observation.journal import write_atomically
from ops_core.report.changelog import with_entry
from ops_core.report.markdown import prose
from ops_core.report.seen import said

FILE_MAX_BYTES = 16 << 20
ENTRY_MAX_CHARS = 500


def entry_of(plane: ControlPlane, clock: Clock, incident_id: str, text: str, lang: str) -> str:
    """The entry about an incident, without its dash.

    Args:
        plane: the control plane.
        clock: tells the time.
        incident_id: which one.
        text: what users noticed; else what the report says of them, and of the confirmed cause.
        lang: the language of evidence that is told in several.

    Raises:
        UsageError: there is no such incident, or the loop handles it.
        Refused: no release caused it, or nobody has said what users noticed.
    """
    response = Responses(plane, clock, plane.actor).get(incident_id)
    if response.scenario is not Scenario.RELEASE:
        found = response.scenario.value if response.scenario else "unknown"
        raise Refused(
            "the changelog tells of incidents that a release caused",
            where=f"incident {incident_id}",
            allowed=f"scenario {Scenario.RELEASE.value}, not {found}",
            next_step=f'ops incident update {incident_id} --scenario release --text "…"',
        )
    told = tidy(text, "", ENTRY_MAX_CHARS) or _told(response, lang)
    return str(prose(f"{told} (incident {incident_id})"))


def write_entry(plane: ControlPlane, clock: Clock, incident_id: str, entry: str, path: Path) -> bool:
    """Add the entry to `Unreleased` of a changelog, unless it stands there, and record that; whether it was added.

    Raises:
        UsageError: the file is no changelog in that form.
        OpsError: it cannot be read or written.
    """
    where = str(path)
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise UsageError("the changelog is too large", where=where, allowed=f"{FILE_MAX_BYTES >> 20} MiB")
        before = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise OpsError(f"the changelog cannot be read: {error.strerror}", where=where) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"the changelog is not UTF-8 (byte {error.start})", where=where) from None
    try:
        after = with_entry(before, entry)
    except UsageError as error:
        raise UsageError(error.what, where=where, allowed=error.allowed, next_step=error.next_step) from None
    if after != before:
        try:
            write_atomically(path.resolve(), after)
        except OSError as error:
            raise OpsError(f"the changelog cannot be written: {error.strerror}", where=where) from None
    responses = Responses(plane, clock, plane.actor)
    if not any(event.kind is Kind.CHANGELOG for event in responses.get(incident_id).events):
        responses.record(incident_id, Kind.CHANGELOG, {"path": where, "entry": entry})
    return after != before


def _told(response: Response, lang: str) -> str:
    users = "; ".join(said(one.text, lang) for one in response.answers("impact.users"))
    cause = "; ".join(said(one.text, lang) for one in response.answers("cause.confirmed"))
    if not users:
        raise Refused(
            "nobody has said what users noticed",
            where=f"incident {response.incident.id}",
            next_step=f'ops incident changelog {response.incident.id} --text "…"',
        )
    return tidy(f"{users}: {cause}" if cause else users, "-", ENTRY_MAX_CHARS)
