"""`ops incident`: from the first bad finding to verified recovery, and what happened in the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.after import register_after
from ops_core.cli.estop import plane_of
from ops_core.cli.options import (
    ConfigOption,
    JsonOption,
    LangOption,
    ProfileOption,
    actor,
    clock,
    language_of,
    settings_of,
)
from ops_core.cli.output import Story, look_for, note, say, say_json, shown, table
from ops_core.cli.response import register_response, responses_of, show_response
from ops_core.config import Settings

if TYPE_CHECKING:
    from ops_core.incident.loop import Choice, IncidentOutcome

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `ops incident list` shows it.")]
SuiteOption = Annotated[str, typer.Option("--suite", metavar="NAME", help="Folder under checks/.")]


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("run", help="Look, decide, recover if the guard allows, verify, report.")(run)
    group.command("resume", help="Go on with an incident that was interrupted.")(resume)
    group.command("list", help="The incidents there are, the latest first.")(list_)
    group.command("show", help="One incident: how it went, and where its reports are.")(show)
    register_response(group)
    register_after(group)
    app.add_typer(group, name=verb)


def run(
    suite: SuiteOption = "observe",
    plan_only: Annotated[bool, typer.Option("--no-remediate", help="Look, decide and report only.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Handle an incident; one that was interrupted is gone on with first."""
    settings = settings_of(config, profile)
    return handle(settings, suite=suite, remediate=not plan_only, lang=language_of(settings, lang), json=json)


def handle(
    settings: Settings, *, suite: str, remediate: bool, lang: str, json: bool, choice: Choice | None = None
) -> int:
    """Restore what is over, run the incident loop, and tell its end."""
    from ops_core.incident.loop import run_incident
    from ops_core.incident.restoring import restore_due

    plane, story = plane_of(settings), Story(clock().monotonic, note if json else say)
    if remediate and choice is None:
        restore_due(settings, plane=plane, clock=clock(), say=story, lang=lang, actor=actor())
    outcome = run_incident(
        settings,
        suite=suite,
        plane=plane,
        clock=clock(),
        say=story,
        lang=lang,
        remediate=remediate,
        actor=actor(),
        choice=choice,
    )
    return tell(outcome, lang=lang, json=json)


def resume(
    incident: IdArgument,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Go on with one incident."""
    from ops_core.incident.loop import resume_incident

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    outcome = resume_incident(
        settings,
        incident,
        plane=plane_of(settings),
        clock=clock(),
        say=Story(clock().monotonic, note if json else say),
        lang=language,
        actor=actor(),
    )
    return tell(outcome, lang=language, json=json)


def tell(outcome: IncidentOutcome, *, lang: str, json: bool) -> int:
    """The end of an incident, or of a look that opened none."""
    if json:
        document: dict[str, Any] = {"outcome": outcome.outcome, "incident": None}
        if outcome.view is not None:
            document["incident"] = outcome.view.to_json()
        say_json({**document, "record": str(outcome.record or ""), "files": [str(path) for path in outcome.files]})
        return outcome.exit_code
    if outcome.view is None:
        verdicts = {
            "healthy": "HEALTHY: nothing to do",
            "unknown": "UNKNOWN: not everything was seen, nothing was done",
        }
        say(verdicts.get(outcome.outcome, outcome.outcome))
        say(f"record  {shown(outcome.record)}")
        return outcome.exit_code
    from ops_core.report.ending import incident_lines

    say()
    for line in incident_lines(outcome.view, look_for(lang), [shown(path) for path in outcome.files]):
        say(line)
    return outcome.exit_code


def list_(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """List incidents."""
    from ops_core.incident.loop import list_incidents, shown_state

    settings = settings_of(config, profile)
    found = list_incidents(plane_of(settings), clock(), settings.profile)
    rows: list[dict[str, Any]] = [
        {
            "id": one.id,
            "opened_at": one.opened_at,
            "state": shown_state(settings, one).value,
            "suite": one.suite,
            "of_people": one.of_people,
        }
        for one in found
    ]
    if json:
        say_json(rows)
        return 0
    if not rows:
        say(f"no incident in profile {settings.profile}")
    for line in table(
        [(row["id"], row["state"], row["suite"] or "people", row["opened_at"]) for row in rows], indent=""
    ):
        say(line)
    return 0


def show(
    incident: IdArgument,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Show one incident."""
    from ops_core.incident.files import folder_of
    from ops_core.incident.loop import incident_view
    from ops_core.report.ending import incident_lines

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    if responses_of(settings).incidents.get(incident).of_people:
        return show_response(settings, incident, language, json=json)
    view = incident_view(settings, plane_of(settings), clock(), incident, language)
    if json:
        say_json(view.to_json())
        return 0
    folder = folder_of(settings, view.id)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for line in incident_lines(view, look_for(language), [shown(path) for path in files]):
        say(line)
    return 0
