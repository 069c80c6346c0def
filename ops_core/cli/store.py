"""`ops store`: where the control store is and whether it proves itself; bringing an older one up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, actor, clock, settings_of
from ops_core.cli.output import say, say_json, table
from ops_core.errors import EXIT_DONE


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("show", help="Show where the store is, and check all of it.")(show)
    group.command("migrate", help="Bring an older store up to date, or move one to where it belongs now.")(migrate)
    app.add_typer(group, name=verb)


def show(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Check the whole store and tell what it is."""
    from ops_core.control import shape
    from ops_core.control.location import location_of
    from ops_core.control.store import connect

    location = location_of(settings_of(config, profile))
    with connect(location) as store, store.snapshot() as found:
        chain = found.verify_chain()
        told: dict[str, Any] = {
            "store": location.shown,
            "kind": "PostgreSQL" if location.url else "SQLite",
            "revision": shape.REVISION,
            "store_id": found.store_id,
            "audit_rows": chain.rows,
            "head_hash": chain.head_hash,
        }
    return _tell(told, json=json)


def migrate(
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Copy the SQLite store in this file over first.")
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Bring the store up to date, in one transaction with its audit row."""
    from ops_core.control import migrating
    from ops_core.control.location import location_of

    location = location_of(settings_of(config, profile))
    now, who = clock().now(), actor()
    done = migrating.move(source, location, now, who) if source else migrating.migrate(location, now, who)
    told: dict[str, Any] = {
        "store": location.shown,
        "before": done.before,
        "after": done.after,
        "changed": done.changed,
        "audit_rows": done.head_seq,
        "head_hash": done.head_hash,
    }
    if source is not None:
        told["copied_from"] = str(source)
    return _tell(told, json=json)


def _tell(told: dict[str, Any], *, json: bool) -> int:
    if json:
        say_json(told)
        return EXIT_DONE
    for row in table([(name.replace("_", " "), _shown(value)) for name, value in told.items()], indent=""):
        say(row)
    return EXIT_DONE


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
