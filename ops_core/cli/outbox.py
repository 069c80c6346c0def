"""`ops outbox`: the messages that wait to leave, and what became of those that did."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, actor, clock, settings_of
from ops_core.cli.output import say, say_cut, say_json, table
from ops_core.errors import UsageError

if TYPE_CHECKING:
    from ops_core.push import Message

TEXT_MAX_CHARS = 65_536
SHOWN_CHARS = 60


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("add", help="Put a message into the outbox.")(add)
    group.command("list", help="Show the newest messages, and what became of them.")(list_)
    group.command("withdraw", help="Take a message back that waits.")(withdraw)
    app.add_typer(group, name=verb)


def add(
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What it says; - reads standard input.")],
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Put a message into the outbox. It leaves with a live fire, or not at all."""
    from ops_core.control.opening import plane_of
    from ops_core.push import add_message

    body = sys.stdin.read(TEXT_MAX_CHARS + 1) if text == "-" else text
    message_id = add_message(plane_of(settings_of(config, profile), clock(), actor()), body)
    if json:
        say_json({"id": message_id, "state": "PENDING"})
    else:
        say(f"message  {message_id}  PENDING")
    return 0


def list_(
    count: Annotated[int, typer.Option("--count", metavar="N", help="How many, newest first.")] = 20,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Show the newest messages."""
    from ops_core.control.opening import plane_of
    from ops_core.push import messages

    if not 1 <= count <= 1000:
        raise UsageError(f"{count} messages cannot be shown", where="--count", allowed="1 to 1000")
    with plane_of(settings_of(config, profile), clock(), actor()).snapshot() as found:
        listed = messages(found, count)
    if json:
        say_json({"messages": [message.as_dict() for message in listed]})
        return 0
    if not listed:
        say("outbox  empty")
        return 0
    for row in table([_row(message) for message in listed], indent=""):
        say_cut(row)
    return 0


def withdraw(
    message: Annotated[str, typer.Argument(metavar="ID", help="The message.")],
    reason: ReasonOption,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Take a message back that nobody began to send."""
    from ops_core.control.opening import plane_of
    from ops_core.push import withdraw as take_back

    taken = take_back(plane_of(settings_of(config, profile), clock(), actor()), message, reason)
    if json:
        say_json(taken.as_dict())
    else:
        say(f"message  {taken.id}  {taken.state}")
    return 0


def _row(message: Message) -> tuple[str, ...]:
    from ops_core.report.text import shortened, visible

    return (
        message.id,
        message.state,
        message.created_at,
        message.created_by,
        shortened(visible(message.body), SHOWN_CHARS) + (f"  ({message.detail})" if message.detail else ""),
    )
