"""`ops secrets`: the self test. It names what is missing, and never tells a value."""

from __future__ import annotations

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, settings_of
from ops_core.cli.output import say, say_json, say_table
from ops_core.errors import EXIT_DONE, EXIT_FAILED


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(secrets)


def secrets(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Look at every secret that the profile names."""
    from ops_core.push import self_test

    tested = self_test(settings_of(config, profile))
    passed = all(row.ok for row in tested.rows)
    if json:
        say_json(tested.as_dict())
    else:
        rows: list[tuple[str, ...]] = [
            (row.name, "ok" if row.ok else "MISSING", row.source, row.problem) for row in tested.rows
        ]
        say_table(rows)
        say(tested.result)
    return EXIT_DONE if passed else EXIT_FAILED
