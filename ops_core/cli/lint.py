"""`ops lint`: find in scripts and runbooks what goes wrong at night, and say what to write instead."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.options import JsonOption
from ops_core.cli.output import fail, say, say_cut, say_fitted, say_json
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_FINDINGS

if TYPE_CHECKING:
    from ops_core.lint.linting import Linted


class Format(StrEnum):
    """How findings are told."""

    TEXT = "text"
    SARIF = "sarif"


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(lint)


def lint(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Scripts, Markdown files, or folders.")],
    form: Annotated[Format, typer.Option("--format", help="For people, or for other tools.")] = Format.TEXT,
    json: JsonOption = False,
) -> int:
    """Look; the exit code is 1 where something was found, 3 where a file could not be read."""
    from ops_core.lint.linting import lint as look

    done = look(paths)
    if json:
        say_json(_as_dict(done))
    elif form is Format.SARIF:
        from ops_core.lint.sarif import sarif

        say_json(sarif(done.hits))
    else:
        _show(done)
    if not json:
        for error in done.unread:
            fail(error, as_json=False)
    if done.unread:
        return EXIT_FAILED
    return EXIT_FINDINGS if done.hits else EXIT_DONE


def _as_dict(done: Linted) -> dict[str, Any]:
    return {
        "files": done.files,
        "passages": done.passages,
        "findings": [
            {
                "rule": hit.rule.id,
                "name": hit.rule.name,
                "level": hit.rule.level,
                "path": hit.path,
                "line": hit.line,
                "column": hit.column,
                "text": hit.text,
                "what": hit.rule.what,
                "why": hit.rule.why,
                "instead": hit.rule.instead,
            }
            for hit in done.hits
        ],
        "left_out": done.left_out,
        "unread": [error.as_dict() for error in done.unread],
    }


def _show(done: Linted) -> None:
    from ops_core.report.text import visible

    for hit in done.hits:
        say(f"{visible(hit.path)}:{hit.line}:{hit.column}: {hit.rule.id} {hit.rule.what}")
        say_cut(f"    {visible(hit.text)}")
    rules = {hit.rule.id: hit.rule for hit in done.hits}
    for _, rule in sorted(rules.items()):
        say()
        count = sum(hit.rule is rule for hit in done.hits)
        say(f"{rule.id}  {rule.name}, {count} {'time' if count == 1 else 'times'}")
        say_fitted("  why      ", rule.why)
        say_fitted("  instead  ", rule.instead)
    if done.hits:
        say()
    if done.left_out:
        say(f"and {done.left_out} more")
    looked = f"{done.files} {'file' if done.files == 1 else 'files'}, {done.passages} passages of shell"
    total = len(done.hits) + done.left_out
    where = len({hit.path for hit in done.hits})
    if total:
        say(f"{total} {'finding' if total == 1 else 'findings'} in {where} of {looked}")
    elif done.passages:
        say(f"clean: {looked}")
    else:
        say(f"nothing was looked at: there is no shell in {looked}")
