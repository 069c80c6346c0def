"""`ops live-fire`: the eight preconditions, the one run that they permit, its receipt and its postmortem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.options import (
    ConfigOption,
    JsonOption,
    LangOption,
    ProfileOption,
    actor,
    clock,
    language_of,
    settings_of,
)
from ops_core.cli.output import note, say, say_fitted, say_json, say_row, say_table, table
from ops_core.errors import EXIT_DONE, EXIT_REFUSED, UsageError

if TYPE_CHECKING:
    from ops_core.config import Settings
    from ops_core.control.service import ControlPlane


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("status", help="Show all eight preconditions, and what to type where one is missing.")(status)
    group.command("run", help="Send what the window permits, once.")(run)
    group.command("latest", help="Show the receipt of the latest attempt.")(latest)
    group.command("postmortem", help="Write the postmortem of the latest live fire anew.")(postmortem)
    app.add_typer(group, name=verb)


def status(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show what a live fire would see now; nothing is burnt."""
    from ops_core.push import look, observed_modes, recover

    settings, plane = _opened(config, profile)
    judged = look(settings, plane)
    recovered = () if judged.state.problem else recover(plane)
    if recovered:
        note(f"a live fire had been interrupted and is completed: {', '.join(recovered)}")
        judged = look(settings, plane)
    conditions = [one.as_dict() for one in judged.conditions]
    ready = not judged.missing
    if json:
        say_json(
            {
                "ready": ready,
                "profile": settings.profile,
                "preconditions": conditions,
                "messages": list(judged.facts.offer.message_ids),
                "channel": judged.facts.offer.channel.value,
                "observed_modes": observed_modes(judged.state, judged.at),
                "recovered": list(recovered),
            }
        )
    else:
        show_conditions(conditions)
        say("READY" if ready else f"NOT READY  {len(judged.missing)} of {len(conditions)} preconditions are missing")
    return EXIT_DONE if ready else EXIT_REFUSED


def run(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Send what the open window permits. Who may use this machine's store may fire; the keys are others'."""
    from ops_core.push import fire
    from ops_core.push.__main__ import exit_code_of

    settings, plane = _opened(config, profile)
    receipt = fire(settings, plane, authorised=True)
    if json:
        say_json(receipt)
    else:
        show_receipt(receipt)
    return exit_code_of(str(receipt["outcome"]))


def latest(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the latest receipt, from the store."""
    from ops_core.push import latest as newest

    _, plane = _opened(config, profile)
    with plane.snapshot() as found:
        receipt = newest(found)
    if receipt is None:
        raise UsageError("nobody has tried to fire yet", next_step="ops live-fire status")
    if json:
        say_json(receipt)
    else:
        show_receipt(receipt)
    return EXIT_DONE


def postmortem(
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Also write it there.")] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Write the postmortem of the latest live fire from the record."""
    from ops_core.errors import OpsError
    from ops_core.observation.journal import write_atomically
    from ops_core.push import regenerate_postmortem

    settings, plane = _opened(config, profile)
    document = regenerate_postmortem(settings, plane, language_of(settings, lang))
    if document is None:
        raise UsageError("nobody has tried to fire yet", next_step="ops live-fire status")
    if output is not None:
        try:
            write_atomically(output.absolute(), document["markdown"])
        except OSError as error:
            raise OpsError(f"the document cannot be written: {error.strerror}", where=str(output)) from None
        note(f"wrote {output}")
    if json:
        say_json(document)
    else:
        say(document["markdown"].rstrip("\n"))
    return EXIT_DONE


def show_conditions(conditions: list[dict[str, Any]]) -> None:
    """The preconditions with what was seen, and below each that is missing what to type."""
    from ops_core.report.text import visible

    rows: list[tuple[str, ...]] = [
        (one["name"], "ok" if one["ok"] else "MISSING", visible(one["seen"])) for one in conditions
    ]
    for one, row, line in zip(conditions, rows, table(rows, indent=""), strict=True):
        say_row(row, line)
        if not one["ok"]:
            say(" " * line.index("MISSING") + f"next     {one['next']}")


def show_receipt(receipt: dict[str, Any]) -> None:
    """A receipt for people; the outcome last."""
    if receipt["outcome"] == "BLOCKED":
        show_conditions(receipt["preconditions"])
    rows: list[tuple[str, ...]] = [(one["id"], one["state"], one["detail"]) for one in receipt["messages"]]
    say_table(rows)
    lockdown = receipt["lockdown"]
    say(f"sender   {'ENABLED' if lockdown['sender_enable'] else 'off'}, window {lockdown['window'] or 'none'}")
    figures = ", ".join(f"{receipt[name]} {name}" for name in ("sent", "failed", "unknown", "left"))
    say(f"messages {figures}")
    say_fitted("reason   ", receipt["reason"])
    say(f"{receipt['outcome']}  {receipt['fire_id']}")


def _opened(config: str | None, profile: str | None) -> tuple[Settings, ControlPlane]:
    from ops_core.control.opening import plane_of

    settings = settings_of(config, profile)
    return settings, plane_of(settings, clock(), actor())
