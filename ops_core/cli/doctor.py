"""`ops doctor`: everything that would fail at 3 a.m., found in the afternoon."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, actor, clock, settings_of
from ops_core.cli.output import say, say_json, table
from ops_core.config import Settings, read_secret
from ops_core.errors import EXIT_DONE, EXIT_FAILED, OpsError


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one examination found; `fine` None: worth knowing, not wrong."""

    what: str
    fine: bool | None
    detail: str
    next_step: str = ""


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
    for line in table([(marks[a.fine], a.what, a.detail) for a in answers], indent=""):
        say(line)
    for answer in wrong:
        if answer.next_step:
            say(f"next   {answer.what}: {answer.next_step}")
    say()
    say(f"{len(wrong)} of {len(answers)} are wrong" if wrong else f"all {len(answers)} in order")
    return EXIT_FAILED if wrong else EXIT_DONE


def examine(config: str | None, profile: str | None) -> Iterator[Answer]:
    """One answer after the other; what builds on something broken is left out."""
    yield _python()
    yield _plugin()
    try:
        settings = settings_of(config, profile)
    except OpsError as error:
        yield Answer(what="ops.toml", fine=False, detail=f"{error.what} ({error.where})", next_step=error.next_step)
        return
    names = ", ".join(target.name for target in settings.targets)
    yield Answer(what="ops.toml", fine=True, detail=f"{settings.path}, profile {settings.profile}: {names}")
    yield from _secrets(settings)
    for what, examination in (
        ("decision table", _decisions),
        ("control store", _control),
        ("reports", _reports),
    ):
        yield _safely(what, partial(examination, settings))
    for target in settings.targets:
        if target.supervisor_conf is not None:
            yield _safely(f"supervisor of {target.name}", partial(_supervisor, target.supervisor_conf))


def _safely(what: str, examination: Callable[[], str | None]) -> Answer:
    try:
        detail = examination()
    except OpsError as error:
        where = f" ({error.where})" if error.where else ""
        return Answer(what=what, fine=False, detail=f"{error.what}{where}", next_step=error.next_step)
    return Answer(what=what, fine=True, detail=detail or "")


def _python() -> Answer:
    version = ".".join(map(str, sys.version_info[:3]))
    return Answer(what="python", fine=sys.version_info >= (3, 11), detail=version, next_step="use Python 3.11 or newer")


def _plugin() -> Answer:
    from importlib.metadata import entry_points

    found = [entry.value for entry in entry_points(group="pytest11") if entry.name == "runbook"]
    fine = found == ["ops_core.pytest_plugin"] and not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    detail = "loaded by pytest" if fine else "pytest does not load the plugin"
    return Answer(what="plugin", fine=fine, detail=detail, next_step="pip install pytest-runbook in this environment")


def _secrets(settings: Settings) -> Iterator[Answer]:
    for name in sorted({*settings.secrets, *(t.guard_secret for t in settings.targets if t.guard_secret)}):
        yield _safely(f"secret {name}", partial(_secret, settings, name))


def _secret(settings: Settings, name: str) -> str:
    read_secret(settings, name)
    source = settings.secrets.get(name)
    if source is not None and source.file is not None:
        mode = source.file.stat().st_mode & 0o777
        if mode & 0o077:
            raise OpsError(
                f"others may read it (mode {mode:o})", where=str(source.file), next_step=f"chmod 600 {source.file}"
            )
        return f"in {source.file}"
    return f"in the environment, {source.env if source and source.env else name}"


def _decisions(settings: Settings) -> str:
    from ops_core.decision.inforce import proven_table
    from ops_core.remediation.catalogue import load_catalogue

    rows = proven_table(settings, load_catalogue(settings).names()).rows
    return f"{len(rows)} rows, proven: every finding has one, every row can be reached"


def _control(settings: Settings) -> str:
    from ops_core.control.opening import plane_of
    from ops_core.control.reading import read_control_of

    seen = read_control_of(settings, clock().now())
    if seen.problem:
        # The problem itself says what to do next.
        raise OpsError(seen.problem, where=seen.store)
    chain = plane_of(settings, clock(), actor()).verify_chain()
    return f"{seen.explain()}; {chain.rows} audit rows verified"


def _reports(settings: Settings) -> str:
    folder = settings.reports_dir
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OpsError("cannot be written to", where=str(folder))
    return str(settings.reports_dir)


def _supervisor(conf: Path) -> str:
    from ops_core.probes.instruments.process import read_socket

    path, _ = read_socket(conf)
    return path
