"""`ops snapshot REF`: what a reference names, looked up among what was recorded."""

from __future__ import annotations

import json as jsons
from typing import Annotated

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, settings_of
from ops_core.cli.output import say, say_json
from ops_core.errors import EXIT_DONE

NAME_WIDTH = 6


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(snapshot)


def snapshot(
    ref: Annotated[str, typer.Argument(metavar="REF", help="As receipts and summaries name it: snapshot_ref.")],
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Show what a reference names, its content last."""
    from ops_core.live.snapshots import resolve
    from ops_core.report.text import visible

    settings = settings_of(config, profile)
    told = resolve(settings, plane_of(settings), ref)
    if json:
        say_json(told)
        return EXIT_DONE
    for name in ("ref", "kind", "sha256"):
        say(f"{name:<{NAME_WIDTH}}  {told[name]}")
    say(f"{'size':<{NAME_WIDTH}}  {told['size_bytes']} bytes")
    content = told["content"]
    if told["encoding"] == "none":
        say("it is too large to be shown")
        return EXIT_DONE
    text = jsons.dumps(content, ensure_ascii=False, indent=2) if told["encoding"] == "json" else str(content)
    # What a producer wrote must not steer the terminal.
    say("\n".join(visible(line) for line in text.split("\n")))
    return EXIT_DONE
