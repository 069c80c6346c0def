"""`ops live`: one live cycle over the bundle in force, its latest receipt, and what the next one would show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, settings_of
from ops_core.cli.output import say, say_fitted, say_json
from ops_core.errors import EXIT_DONE

NAME_WIDTH = 8


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("run", help="Run one live cycle now, and show its receipt.")(run)
    group.command("latest", help="Show the receipt of the latest live cycle.")(latest)
    group.command("preview", help="Show what the next live cycle would; nothing is delivered.")(preview)
    app.add_typer(group, name=verb)


def run(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Run a live cycle; the preview goes to standard error, the receipt is the answer."""
    from ops_core.live.judging import EXIT_CODES, Result
    from ops_core.live.run import run as run_one

    settings = settings_of(config, profile)
    receipt = run_one(settings, plane_of(settings))
    if json:
        say_json(receipt)
    else:
        show(receipt)
    return EXIT_CODES[Result(receipt["result"])]


def latest(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the latest receipt; being there is the answer, so the exit code is 0."""
    from ops_core.live.receipts import latest as latest_of

    with plane_of(settings_of(config, profile)).snapshot() as found:
        receipt = latest_of(found)
    if json:
        say_json(receipt)
    elif receipt is None:
        say("no live cycle has run yet")
        say("next  ops daily --split")
    else:
        show(receipt)
    return EXIT_DONE


def preview(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the preview; looking at it counts as no delivery."""
    from ops_core.live.run import preview as preview_of

    settings = settings_of(config, profile)
    told = preview_of(settings, plane_of(settings))
    if json:
        say_json(told)
        return EXIT_DONE
    for line in told["lines"]:
        say(line)
    would = "would be shown" if told["would_deliver"] else "would not be shown"
    say_fitted(f"{'delivery':<{NAME_WIDTH}}  ", f"{would}: {told['reason']}")
    return EXIT_DONE


def show(receipt: Mapping[str, Any]) -> None:
    """Tell a receipt: what was seen, then what came of it and what to do."""
    push = receipt["push"]
    say(f"{'live':<{NAME_WIDTH}}  {receipt['run_id']}  of {receipt['asof']}")
    say(f"{'bundle':<{NAME_WIDTH}}  {receipt['bundle_id'] or 'none'}")
    say_fitted(f"{'decision':<{NAME_WIDTH}}  ", receipt["decision"])
    say_fitted(f"{'delivery':<{NAME_WIDTH}}  ", f"{push['delivery_actual']}: {push['reason']}")
    for name, value in (
        ("snapshot", receipt["snapshot_ref"]),
        ("reason", receipt["reason"]),
        ("next", receipt["next"]),
    ):
        if value:
            say_fitted(f"{name:<{NAME_WIDTH}}  ", value)
    say(f"{'result':<{NAME_WIDTH}}  {receipt['result']}")
