"""`ops doctor`: everything that would fail at 3 a.m., found in the afternoon."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import typer

from ops_core.cli import examining
from ops_core.cli.examining import Answer, refused, safely
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import say, say_json, say_table, table
from ops_core.config import Settings
from ops_core.errors import EXIT_DONE, EXIT_FAILED, OpsError


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(doctor)


def doctor(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Examine the installation and the repository; touch no target."""
    answers = list(examine(config, profile))
    wrong = [answer for answer in answers if answer.fine is False]
    if json:
        say_json({"in_order": not wrong, "answers": [vars(answer) for answer in answers]})
        return EXIT_FAILED if wrong else EXIT_DONE
    marks = {True: "ok", False: "WRONG", None: "note"}
    say_table([(marks[a.fine], a.what, a.detail) for a in answers])
    steps: list[tuple[str, ...]] = [(a.what, a.next_step) for a in answers if a.fine is not True and a.next_step]
    if steps:
        say()
        say("next")
        for line in table(steps):
            say(line)
    say()
    say(f"{len(wrong)} of {len(answers)} are wrong" if wrong else "in order")
    return EXIT_FAILED if wrong else EXIT_DONE


def examine(config: str | None, profile: str | None) -> Iterator[Answer]:
    """One answer after the other; what builds on something broken is left out."""
    yield _python()
    yield _plugin()
    try:
        settings = settings_of(config, profile)
    except OpsError as error:
        yield refused("ops.toml", error)
        return
    names = ", ".join(target.name for target in settings.targets)
    yield Answer(what="ops.toml", fine=True, detail=f"{settings.path}, profile {settings.profile}: {names}")
    yield safely("decision table", partial(_decisions, settings))
    yield from examining.operations(settings, clock())
    for target in settings.targets:
        if target.supervisor_conf is not None:
            yield safely(f"supervisor of {target.name}", partial(_supervisor, target.supervisor_conf))


def _python() -> Answer:
    version = ".".join(map(str, sys.version_info[:3]))
    return Answer(what="python", fine=sys.version_info >= (3, 11), detail=version, next_step="use Python 3.11 or newer")


def _plugin() -> Answer:
    from importlib.metadata import entry_points

    found = [entry.value for entry in entry_points(group="pytest11") if entry.name == "runbook"]
    fine = found == ["ops_core.pytest_plugin"] and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    detail = "loaded by pytest" if fine else "pytest does not load the plugin"
    return Answer(what="plugin", fine=fine, detail=detail, next_step="pip install pytest-runbook in this environment")


def _decisions(settings: Settings) -> str:
    from ops_core.decision.inforce import proven_table
    from ops_core.remediation.catalogue import load_catalogue

    rows = proven_table(settings, load_catalogue(settings).names()).rows
    return f"{len(rows)} rows, proven: each finding has one, each can be reached"


def _supervisor(conf: Path) -> str:
    from ops_core.probes.instruments.process import read_socket

    path, _ = read_socket(conf)
    return path
