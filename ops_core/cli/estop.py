"""`ops estop`: engaging is easy and never refused; releasing is a recorded act with a reason."""

from __future__ import annotations

from typing import Annotated

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, actor, clock, settings_of
from ops_core.cli.output import say, say_json
from ops_core.config import Settings
from ops_core.control.model import ControlState
from ops_core.control.service import ControlPlane


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("status", help="Show whether it is engaged, by whom and why.")(status)
    group.command("engage", help="Stop every remediation and cycle now.")(engage)
    group.command("release", help="Let work go on again.")(release)
    app.add_typer(group, name=verb)


def plane_of(settings: Settings) -> ControlPlane:
    """The control plane of a profile, acting in the name of who types."""
    return ControlPlane(settings.control_store, clock(), actor=actor())


def status(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the emergency stop."""
    return show(plane_of(settings_of(config, profile)).state(), json=json)


def engage(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")] = "engaged",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Engage the emergency stop."""
    return show(plane_of(settings_of(config, profile)).engage(reason), json=json)


def release(
    reason: ReasonOption, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Release the emergency stop; a store that is not there yet is made."""
    plane = plane_of(settings_of(config, profile))
    if not plane.path.exists():
        plane.create()
    return show(plane.release(reason), json=json)


def show(state: ControlState, *, json: bool) -> int:
    """Tell the state; the exit code is 0: being stopped is an answer, not a failure."""
    if json:
        say_json({**state.as_dict(), "problem": state.problem, "remedy": state.remedy})
        return 0
    if state.stopped:
        say("emergency stop  ENGAGED")
    else:
        say("emergency stop  released")
    rows = [("problem", state.problem), ("next", state.remedy), ("reason", state.stop_reason), ("by", state.stopped_by)]
    if state.stopped_at is not None:
        rows.append(("since", state.stopped_at.isoformat(timespec="seconds")))
    for name, value in rows:
        if value:
            say(f"{name:<14}  {value}")
    return 0
