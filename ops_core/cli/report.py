"""`ops report`: the weekly or monthly report from what was recorded, on the terminal or below `reports/slo/`."""

from __future__ import annotations

from typing import Annotated

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.metrics import AtOption
from ops_core.cli.options import ConfigOption, JsonOption, LangOption, ProfileOption, clock, language_of, settings_of
from ops_core.cli.output import say, say_json, shown
from ops_core.content import own_templates
from ops_core.errors import EXIT_DONE

WriteOption = Annotated[bool, typer.Option("--write", help="Write it to reports/slo/, with its pictures.")]


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("weekly", help="The report of a week, from Monday to Sunday.")(weekly)
    group.command("monthly", help="The report of a month.")(monthly)
    app.add_typer(group, name=verb)


def weekly(
    at: AtOption = None,
    write: WriteOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Show or write the report of a week."""
    return _report("week", at, write=write, config=config, profile=profile, lang=lang, json=json)


def monthly(
    at: AtOption = None,
    write: WriteOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Show or write the report of a month."""
    return _report("month", at, write=write, config=config, profile=profile, lang=lang, json=json)


def _report(
    period: str, at: str | None, *, write: bool, config: str | None, profile: str | None, lang: str | None, json: bool
) -> int:
    from ops_core.slo.documents import TEMPLATES, documents, write_documents
    from ops_core.slo.figures import figures
    from ops_core.slo.periods import period_from

    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    wanted = period_from(period, at, clock().now(), settings.slo.zone)
    found = figures(settings, plane_of(settings), clock(), wanted)
    files = write_documents(settings, found, language) if write else ()
    text = documents(found, language, own_templates(settings.root))[TEMPLATES[wanted.kind].removesuffix(".j2")]
    if json:
        say_json({**found.to_json(), "lang": language, "text": text, "files": [str(path) for path in files]})
    elif write:
        for path in files:
            say(f"wrote  {shown(path)}")
    else:
        say(text.rstrip("\n"))
    return EXIT_DONE
