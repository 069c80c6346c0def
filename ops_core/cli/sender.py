"""`ops sender`: off unless somebody switches it on for a reason, on one channel, for an hour at most."""

from __future__ import annotations

from typing import Annotated

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, actor, clock, settings_of
from ops_core.cli.output import say, say_json
from ops_core.control.model import ControlState, delivery_policy, sender_on
from ops_core.control.model.live_fire import external_send


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("status", help="Show whether messages may leave, and on which channel.")(status)
    group.command("enable", help="Let messages leave, for an hour at most.")(enable)
    group.command("disable", help="Let no message leave.")(disable)
    app.add_typer(group, name=verb)


def status(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the sender."""
    from ops_core.control.opening import plane_of

    return show(plane_of(settings_of(config, profile), clock(), actor()).state(), json=json)


def enable(
    channel: Annotated[
        str, typer.Option("--channel", metavar="NAME", help="CONSOLE_ONLY, TELEGRAM_ONLY or NOTIFY_ONLY.")
    ],
    reason: ReasonOption,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Switch the sender on."""
    from ops_core.control.opening import plane_of

    return show(plane_of(settings_of(config, profile), clock(), actor()).enable_sender(channel, reason), json=json)


def disable(
    reason: ReasonOption, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Switch the sender off."""
    from ops_core.control.opening import plane_of

    return show(plane_of(settings_of(config, profile), clock(), actor()).disable_sender(reason), json=json)


def show(state: ControlState, *, json: bool) -> int:
    """Tell the sender as it counts now."""
    now = clock().now()
    on = sender_on(state, now)
    told = {
        "enabled": on,
        "delivery_policy": delivery_policy(state, now).value,
        "external_send": external_send(state, now),
    }
    if json:
        say_json({**state.sender.as_dict(), **told, "problem": state.problem})
        return 0
    sender = state.sender
    say(f"sender  {'ENABLED' if on else 'off'}  ({told['delivery_policy']}, external send {told['external_send']})")
    rows = [("problem", state.problem), ("reason", sender.reason), ("by", sender.by)]
    if on and sender.until is not None:
        rows.append(("until", sender.until.isoformat(timespec="seconds")))
    for name, value in rows:
        if value:
            say(f"{name:<7} {value}")
    if sender.enabled and not on and not state.problem:
        say("note    it has run out")
    return 0
