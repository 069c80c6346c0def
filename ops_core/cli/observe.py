"""`ops observe`: the same as `pytest checks/ -m SUITE`, with the exit codes of `ops`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli.options import (
    AllowDegradedOption,
    ConfigOption,
    JsonOption,
    LangOption,
    ProfileOption,
    clock,
    language_of,
    settings_of,
)
from ops_core.cli.output import say_json
from ops_core.verdict import exit_code_of


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(observe)


def observe(
    suite: Annotated[str, typer.Option("--suite", metavar="NAME", help="Folder under checks/.")] = "observe",
    replay: Annotated[Path | None, typer.Option("--replay", metavar="REPORT", help="Judge a recording again.")] = None,
    allow_ready_degraded: AllowDegradedOption = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Run a suite and answer with its verdict."""
    from ops_core.clock import new_run_id
    from ops_core.observation.launch import ALLOW_READY_DEGRADED
    from ops_core.observation.launch import observe as launch
    from ops_core.observation.record import read_report, to_plain

    settings = settings_of(config, profile)
    run_id = new_run_id(clock().now())
    if replay is not None:
        read_report(replay)
    launched = launch(
        settings,
        suite=suite,
        record=settings.reports_dir / ("replay" if replay else suite) / f"{run_id}.json",
        replay=replay,
        lang=language_of(settings, lang),
        quiet=json,
        options=(ALLOW_READY_DEGRADED,) if allow_ready_degraded else (),
    )
    if json:
        say_json({**to_plain(launched.observation), "record": str(launched.path)})
    return exit_code_of(launched.observation.verdict)
