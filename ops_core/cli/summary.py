"""`ops summary`: how everything stands, with the risks, their evidence and what to type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import say, say_fitted, say_json
from ops_core.errors import EXIT_DONE

NAME_WIDTH = 8


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("regenerate", help="Make a summary of what is recorded now, and record it.")(regenerate)
    group.command("latest", help="Show the summary that was recorded last.")(latest)
    app.add_typer(group, name=verb)


def regenerate(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Make a summary and show it; the exit code says how everything stands."""
    from ops_core.summary import summary as making

    settings = settings_of(config, profile)
    summary = making.regenerate(settings, plane_of(settings), clock())
    if json:
        say_json(summary)
    else:
        show(summary)
    return making.exit_code_of(summary)


def latest(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the newest summary; being there is the answer, so the exit code is 0."""
    from ops_core.summary.summary import latest as newest

    with plane_of(settings_of(config, profile)).snapshot() as found:
        summary = newest(found)
    if json:
        say_json(summary)
    elif summary is None:
        say("no summary was made yet")
        say("next  ops summary regenerate")
    else:
        show(summary)
    return EXIT_DONE


def show(summary: Mapping[str, Any]) -> None:
    """Tell a summary: the status, then each risk with its evidence and what to type."""
    recorded = "" if summary["recorded"] else "  (not recorded: the store cannot be used)"
    say(f"{'overall':<{NAME_WIDTH}}  {summary['overall_status']}")
    say(f"{'summary':<{NAME_WIDTH}}  {summary['run_id']}  of {summary['asof']}{recorded}")
    if summary["bundle_id"]:
        say(f"{'bundle':<{NAME_WIDTH}}  {summary['bundle_id']}")
    for risk in summary["top_risks"]:
        say()
        say(f"{risk['severity']:<{NAME_WIDTH}}  {risk['code']}")
        say_fitted(f"{'':<{NAME_WIDTH}}  ", risk["what"])
        say_fitted(f"{'evidence':<{NAME_WIDTH}}  ", ", ".join(risk["evidence"]))
        say_fitted(f"{'next':<{NAME_WIDTH}}  ", risk["next"])
    if summary["more_risks"]:
        say()
        say(f"and {summary['more_risks']} more: ops summary latest --json counts them by severity")
    if not summary["top_risks"]:
        say("no risk is known")
