"""`ops postmortem`: written from the record, as often as one likes, always the same."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, LangOption, ProfileOption, clock, language_of, settings_of
from ops_core.cli.output import note, say, say_json
from ops_core.config import Settings
from ops_core.content import own_templates
from ops_core.errors import OpsError, RecordError, UsageError

DOCUMENTS = ("postmortem", "incident", "issue")
RECORD_MAX_BYTES = 64 << 20


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(postmortem)


def postmortem(
    incident: Annotated[
        str | None, typer.Argument(metavar="[ID | incident.json]", help="Default: the latest incident.")
    ] = None,
    document: Annotated[
        str, typer.Option("--document", metavar="NAME", help="postmortem, incident or issue.")
    ] = "postmortem",
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Default: the terminal.")] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Write a document about an incident."""
    from ops_core.observation.journal import write_atomically
    from ops_core.report.render import render_incident

    if document not in DOCUMENTS:
        raise UsageError(f"there is no document {document!r}", where="--document", allowed=", ".join(DOCUMENTS))
    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    view = _view(settings, incident, language)
    text = render_incident(view, f"{document}.md.j2", lang=language, templates=own_templates(settings.root))
    if output is not None:
        try:
            write_atomically(output.absolute(), text)
        except OSError as error:
            raise OpsError(f"the document cannot be written: {error.strerror}", where=str(output)) from None
        note(f"wrote {output}")
    if json:
        say_json({"incident": view.id, "document": document, "lang": language, "text": text})
    elif output is None:
        say(text.rstrip("\n"))
    return 0


def _view(settings: Settings, incident: str | None, lang: str) -> Any:
    from ops_core.incident.loop import incident_view, list_incidents
    from ops_core.report.model import IncidentView

    if incident is not None and incident.endswith(".json"):
        return IncidentView.from_json(_read(Path(incident)), incident)
    plane = plane_of(settings)
    if incident is None:
        found = [one for one in list_incidents(plane, clock(), settings.profile) if not one.of_people]
        if not found:
            raise UsageError(f"no incident in profile {settings.profile!r}", next_step="ops incident run")
        incident = found[0].id
    return incident_view(settings, plane, clock(), incident, lang)


def _read(path: Path) -> object:
    try:
        if path.stat().st_size > RECORD_MAX_BYTES:
            raise RecordError(f"the record is larger than {RECORD_MAX_BYTES >> 20} MiB", where=str(path))
        return jsonlib.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise RecordError(f"the record cannot be read: {why}", where=str(path)) from None
