"""`ops incident issue` and `ops incident changelog`: what others are told about an incident afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, LangOption, ProfileOption, clock, language_of, settings_of
from ops_core.cli.output import note, say, say_json, shown
from ops_core.errors import EXIT_DONE, EXIT_FAILED, UsageError

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `ops incident list` shows it.")]


def register_after(group: typer.Typer) -> None:
    """Add them to `ops incident`."""
    group.command("issue", help="Print the issue about an incident; --create makes it.")(issue)
    group.command("changelog", help="Print the changelog entry about an incident; --write adds it to a file.")(
        changelog
    )


def issue(
    incident: IdArgument,
    create: Annotated[bool, typer.Option("--create", help="Make it on GitHub, if the gate allows.")] = False,
    created: Annotated[
        str, typer.Option("--created", metavar="URL", help="Record where it is: somebody has looked.")
    ] = "",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Print, make, or find the issue about an incident."""
    from ops_core.incident import issues

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    if create and created:
        raise UsageError("it is made, or it was made: not both", where="--create, --created")
    plane = plane_of(settings)
    found = issues.issue_of(settings, plane, clock(), incident, language, note)
    if create:
        found = issues.create_issue(settings, plane, clock(), found)
    elif created:
        found = issues.say_created(plane, clock(), found, created)
    code = EXIT_FAILED if create and found.state != issues.CREATED else EXIT_DONE
    if json:
        told = {"incident": incident, "title": found.title, "body": found.body}
        say_json({**told, "state": found.state or None, "detail": found.detail or None})
        return code
    if create or created:
        say(f"issue  {found.state.upper()}")
        say(f"       {found.detail}")
        if found.state == issues.UNKNOWN:
            note(f"next  look whether it is there, then ops incident issue {incident} --created URL")
        return code
    say(found.title)
    say()
    say(found.body.rstrip("\n"))
    if found.state:
        note(f"issue  {found.state.upper()}: {found.detail}")
    return code


def changelog(
    incident: IdArgument,
    write: Annotated[Path | None, typer.Option("--write", metavar="FILE", help="Add it to `Unreleased` there.")] = None,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What users noticed, in one line.")] = "",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Print the entry, or add it to a changelog, once."""
    from ops_core.incident import changelogs

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    plane = plane_of(settings)
    entry = changelogs.entry_of(plane, clock(), incident, text, language)
    added = changelogs.write_entry(plane, clock(), incident, entry, write) if write is not None else False
    if json:
        say_json({"incident": incident, "entry": entry, "file": str(write) if write else None, "added": added})
        return EXIT_DONE
    say(f"- {entry}")
    if write is not None:
        note(f"{'added to' if added else 'stands already in'} {shown(write)}")
    return EXIT_DONE
