"""`ops incident open … close`: what people do about an incident. The rules are `incident.response`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from ops_core.cli.output import note, say, say_fitted, say_json, say_table, shown
from ops_core.config import Settings
from ops_core.errors import Refused, UsageError

if TYPE_CHECKING:
    from ops_core.incident.handling import Responses
    from ops_core.incident.response import Response
    from ops_core.incident.triage import Known

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `ops incident list` shows it.")]
SEVERITIES = "SEV-1|SEV-2|SEV-3"
SCENARIOS = "database|redis|release|overload"
SeverityOption = Annotated[str, typer.Option("--severity", metavar=SEVERITIES, help="How severe it is.")]
ScenarioOption = Annotated[str, typer.Option("--scenario", metavar=SCENARIOS, help="What kind of trouble.")]


def register_response(group: typer.Typer) -> None:
    """Add what people do to `ops incident`."""
    group.command("open", help="Open an incident that people handle.")(open_)
    group.command("update", help="Tell the others; answer items of the checklist; change the severity.")(update)
    group.command("phase", help="Show the checklist; --finish ends a phase.")(phase)
    group.command("look", help="Keep the newest observation as evidence.")(look)
    group.command("timeline", help="What happened, event by event.")(timeline)
    group.command("report", help="Write the report of the scenario; an empty field is refused.")(report)
    group.command("close", help="Close an incident that people handle.")(close)


def responses_of(settings: Settings) -> Responses:
    """What people do in a profile, in the name of who types."""
    from ops_core.incident.handling import Responses

    return Responses(plane_of(settings), clock(), actor())


def open_(
    severity: SeverityOption,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="What is wrong, in one line.")],
    scenario: ScenarioOption = "",
    affected: Annotated[
        list[str] | None,
        typer.Option("--affected", metavar="ENDPOINT", help="Endpoint or target, or unknown; may be repeated."),
    ] = None,
    version: Annotated[str, typer.Option("--version", metavar="TEXT", help="Affected version, or unknown.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="INSTANT", help="When it began, or unknown.")] = "",
    attach: Annotated[
        str,
        typer.Option("--attach", metavar="ID", help="An incident of `ops incident run` whose evidence belongs to it."),
    ] = "",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Open an incident; what the newest observation and the deployment know is taken from there."""
    from ops_core.incident import opening
    from ops_core.incident.answering import UNKNOWN, unknown
    from ops_core.incident.severity import parse_scenario, parse_severity
    from ops_core.incident.triage import known_now

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    grade, kind = parse_severity(severity), parse_scenario(scenario)
    known = known_now(settings, clock().now())
    _require(known, affected or [], version, since, f'ops incident open --severity {grade.value} --title "…"')
    given = since and not unknown(since)
    started_at = opening.instant(since, "--since") if given else None if since else known.started_at
    cited = {
        name: ids
        for name, ids, typed in (
            ("affected", known.cited.get("affected", ()), affected),
            ("version", known.cited.get("version", ()), version),
            ("started_at", known.cited.get("started_at", ()), since),
        )
        if ids and not typed
    }
    plane = plane_of(settings)
    incident = opening.open_incident(
        settings,
        plane,
        clock(),
        title=title,
        severity=grade,
        scenario=kind,
        source=opening.BY_HAND,
        key="",
        affected=affected or known.affected,
        version=version or known.version or UNKNOWN,
        actor=actor(),
        started_at=started_at,
        look=known.look,
        cited=cited,
    )
    if attach:
        opening.attach(plane, clock(), incident.id, attach, actor=actor())
    return _shown(responses_of(settings).get(incident.id), language, json=json)


def update(
    incident: IdArgument,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What the others are told.")] = "",
    severity: SeverityOption = "",
    scenario: ScenarioOption = "",
    impact: Annotated[str, typer.Option("--impact", metavar="TEXT", help="What is affected now.")] = "",
    customers: Annotated[str, typer.Option("--customers", metavar="TEXT", help="What customers notice.")] = "",
    workaround: Annotated[str, typer.Option("--workaround", metavar="TEXT", help="The way around, or none.")] = "",
    eta: Annotated[str, typer.Option("--eta", metavar="TEXT", help="When it is mitigated.")] = "",
    recovery_eta: Annotated[str, typer.Option("--recovery-eta", metavar="TEXT", help="When it is over.")] = "",
    fix_eta: Annotated[str, typer.Option("--fix-eta", metavar="TEXT", help="When it is fixed for good.")] = "",
    answer: Annotated[
        list[str] | None, typer.Option("--answer", metavar="ITEM=TEXT", help="Answer an item; may be repeated.")
    ] = None,
    outbox: Annotated[bool, typer.Option("--outbox", help="Put it into the outbox as well.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Record an update, and print what the others are to read."""
    from ops_core.incident.handling import Saying
    from ops_core.incident.severity import parse_scenario, parse_severity

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    fields = {
        "impact": impact,
        "customers": customers,
        "workaround": workaround,
        "mitigation_eta": eta,
        "recovery_eta": recovery_eta,
        "fix_eta": fix_eta,
    }
    saying = Saying(
        text=text,
        severity=parse_severity(severity) if severity else None,
        scenario=parse_scenario(scenario),
        fields={name: said for name, said in fields.items() if said},
        answers=_answers(answer or []),
    )
    response = responses_of(settings).update(incident, saying)
    if not text:
        return _shown(response, language, json=json)
    from ops_core.incident.documents import write_update

    path, document = write_update(settings, response, language, note)
    message = None
    if outbox:
        from ops_core.push.outbox import queue_update

        message = queue_update(plane_of(settings), document, actor())
    if json:
        say_json({**_told(response, language), "file": str(path), "message": message, "text": document})
        return 0
    say(document.rstrip("\n"))
    note(f"wrote {shown(path)}" + (f"; waits in the outbox as {message}" if message else ""))
    _say_unsaid(response)
    _say_next(response)
    return 0


def report(
    incident: IdArgument,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Write the report of the scenario, and record that it was written."""
    from ops_core.incident.documents import write_report
    from ops_core.incident.events import Kind

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    responses = responses_of(settings)
    path, document = write_report(settings, responses.get(incident), language, note)
    responses.record(incident, Kind.REPORTED, {"path": shown(path), "lang": language})
    if json:
        say_json({"incident": incident, "lang": language, "file": str(path), "text": document})
        return 0
    say(document.rstrip("\n"))
    note(f"wrote {shown(path)}")
    return 0


def phase(
    incident: IdArgument,
    finish: Annotated[str, typer.Option("--finish", metavar="PHASE", help="Finish this phase.")] = "",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Show the checklist, or finish a phase of it."""
    from ops_core.incident.phases import Phase

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    responses = responses_of(settings)
    if not finish:
        return _shown(responses.get(incident), language, json=json)
    if finish not in set(Phase):
        raise UsageError(f"there is no phase {finish[:40]!a}", where="--finish", allowed=", ".join(Phase))
    return _shown(responses.finish(incident, Phase(finish)), language, json=json)


def look(
    incident: IdArgument,
    suite: Annotated[
        str,
        typer.Option("--suite", metavar="NAME", help="Whose observation; default: the newest of service and observe."),
    ] = "",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Keep the newest observation as evidence: it answers what it can, also that all is well again."""
    from ops_core.incident.triage import look_now

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    now = clock().now()
    response = responses_of(settings).look(incident, lambda label: look_now(settings, now, label, suite))
    return _shown(response, language, json=json)


def close(
    incident: IdArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, where the checklist is not done; it is recorded.")
    ] = "",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Close an incident."""
    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    return _shown(responses_of(settings).close(incident, reason), language, json=json)


def timeline(
    incident: IdArgument,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Show what happened, event by event; of an incident of the loop too."""
    from ops_core.incident import telling

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    responses = responses_of(settings)
    if responses.incidents.get(incident).of_people:
        rows = telling.timeline(responses.get(incident), language)
    else:
        rows = [
            {"seq": one.seq, "at": one.at, "kind": one.kind.value, "by": "", "text": one.kind.value.replace("_", " ")}
            for one in responses.incidents.events(incident)
        ]
    if json:
        say_json(rows)
        return 0
    say_table([(row["at"], row["by"] or "-", row["text"]) for row in rows])
    return 0


def show_response(settings: Settings, incident: str, lang: str, *, json: bool) -> int:
    """One incident that people handle, with its checklist."""
    return _shown(responses_of(settings).get(incident), lang, json=json)


def _told(response: Response, lang: str) -> dict[str, Any]:
    from ops_core.incident.telling import as_dict

    return as_dict(response, clock().now(), lang)


def _shown(response: Response, lang: str, *, json: bool) -> int:
    from ops_core.incident import telling
    from ops_core.report.seen import said

    told = _told(response, lang)
    if json:
        say_json(told)
        return 0
    say(f"INCIDENT {told['id']}  {told['severity']}  {said(telling.ENDS[response.state], lang)}")
    say_fitted("  title     ", told["title"])
    for name, value in (
        ("scenario", told["scenario"] or "not known yet"),
        ("affected", ", ".join(told["affected"]) or "not known yet"),
        ("version", told["version"] or "not known yet"),
        ("began", told["started_at"] or "not known yet"),
        ("update", _owed(told["update"])),
    ):
        if value:
            say_fitted(f"  {name:<10}", value)
    for part in told["phases"]:
        _say_phase(part, current=part["phase"] == told["phase"])
    _say_next(response)
    return 0


def _say_phase(part: dict[str, Any], *, current: bool) -> None:
    done = f"finished {part['finished_at']}" if part["finished_at"] else "now" if current else ""
    say(f"  {part['phase']:<13}  {done}".rstrip())
    if part["finished_at"] is None and not current:
        return
    for item in part["items"]:
        say_fitted(f"    {'?' if item['open'] else '·'} {item['item']:<14}", item["question"])
        for answer in item["answers"]:
            say_fitted(" " * 20, f"{answer['text']} [{', '.join(answer['cited'])}]")


def _owed(update: dict[str, Any] | None) -> str:
    if update is None:
        return ""
    return f"OVERDUE since {update['due_at']}" if update["overdue"] else f"due before {update['due_at']}"


def _say_unsaid(response: Response) -> None:
    """What this severity has to tell and nobody has said yet."""
    from ops_core.incident.fields import UPDATE

    unsaid = [field.option for field in UPDATE[response.severity] if not response.field(field.name)[0]]
    if unsaid:
        note(f"not said yet  {' '.join(unsaid)}")


def _say_next(response: Response) -> None:
    from ops_core.incident.phases import typed

    if response.state.value != "open":
        return
    current, one = response.phase, response.incident.id
    if current is None:
        note(f"next  ops incident close {one}")
        return
    left = response.open_items(current)
    if left:
        note(f"next  {typed(left[0], one)}")
    else:
        note(f"next  ops incident phase {one} --finish {current.value}")


def _require(known: Known, affected: list[str], version: str, since: str, typed: str) -> None:
    """What has to be recorded at triage and is neither known nor typed is asked for.

    Raises:
        Refused: naming all of it.
    """
    missing = []
    if not affected and not known.affected:
        missing.append(("what is affected", "--affected /api/…"))
    if not version and not known.version:
        missing.append(("the version", "--version …"))
    if not since and known.started_at is None:
        missing.append(("when it began", "--since 2026-01-04T09:05:00Z"))
    if missing:
        raise Refused(
            f"not known: {', '.join(what for what, _ in missing)}",
            where="incident",
            allowed="an observation of the last ten minutes that found it, or your word; unknown is a word too",
            next_step=" ".join([typed, *(option for _, option in missing)]),
        )


def _answers(typed: list[str]) -> dict[str, str]:
    answers = {}
    for one in typed:
        name, equals, text = one.partition("=")
        if not equals:
            raise UsageError(f"{one[:40]!a} is no answer", where="--answer", allowed="ITEM=TEXT")
        answers[name.strip()] = text
    return answers
