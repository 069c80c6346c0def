"""`ops estop`: engaging is easy and never refused; releasing is a recorded act with a reason."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, actor, clock, settings_of
from ops_core.cli.output import note, say, say_json
from ops_core.config import Settings
from ops_core.control.model import ControlState
from ops_core.control.service import ControlPlane
from ops_core.errors import EXIT_DONE, EXIT_FAILED, OpsError


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("status", help="Show whether it is engaged, by whom and why.")(status)
    group.command("engage", help="Stop everything now, and end what runs.")(engage)
    group.command("release", help="Let work go on again.")(release)
    app.add_typer(group, name=verb)


def plane_of(settings: Settings) -> ControlPlane:
    """The control plane of a profile, acting in the name of who types."""
    from ops_core.control import opening

    return opening.plane_of(settings, clock(), actor())


def status(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the emergency stop, and what runs."""
    plane = plane_of(settings_of(config, profile))
    return show(plane.state(), json=json, works=running(plane))


def engage(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")] = "engaged",
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Engage the emergency stop, and end everything that runs."""
    from ops_core.control.running import engage_and_end

    plane = plane_of(settings_of(config, profile))
    try:
        found = engage_and_end(plane, reason, say=note if json else _say_now)
    except KeyboardInterrupt:
        stopped = "it is stopped, and" if plane.state().stopped else "it is NOT stopped:"
        raise OpsError(
            f"interrupted: {stopped} what was running may still run",
            where="emergency stop",
            next_step="ops estop engage: it ends what still runs",
        ) from None
    code = EXIT_DONE if found.complete else EXIT_FAILED
    if json:
        say_json({**_told(found.state), **found.as_dict()})
        return code
    for one in found.ended:
        say(f"  {one.id}  {one.how}")
    for left in found.left:
        say(f"  {left.id}  NOT ENDED: {left.why}")
        say(f"  {'next':<{len(left.id)}}  {left.next_step}")
    if found.complete:
        say(f"emergency stop  ENGAGED, {_all_ended(len(found.ended))}")
    else:
        say(f"emergency stop  ENGAGED, but not everything has ended ({len(found.left)} left)")
    _rows(found.state)
    return code


def release(
    reason: ReasonOption, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Release the emergency stop; a store that is not there yet is made."""
    plane = plane_of(settings_of(config, profile))
    plane.create()
    return show(plane.release(reason), json=json)


def running(plane: ControlPlane) -> list[dict[str, Any]]:
    """The works that run, as JSON values; none where the store cannot tell, which its state says already."""
    from ops_core.control.running import open_works

    try:
        return [work.as_dict() for work in open_works(plane)]
    except OpsError:
        return []


def show(state: ControlState, *, json: bool, works: Sequence[Mapping[str, Any]] | None = None) -> int:
    """Tell the state; the exit code is 0: being stopped is an answer, not a failure."""
    if json:
        say_json(_told(state) if works is None else {**_told(state), "running": list(works)})
        return EXIT_DONE
    say("emergency stop  ENGAGED" if state.stopped else "emergency stop  released")
    _rows(state)
    for work in works or ():
        where = f"process {work['pid']} on {work['host']}"
        say(f"{'running':<14}  {work['id']}  {where}  since {work['begun_at']}")
    return EXIT_DONE


def _told(state: ControlState) -> dict[str, Any]:
    return {**state.as_dict(), "problem": state.problem, "remedy": state.remedy}


def _rows(state: ControlState) -> None:
    rows = [("problem", state.problem), ("next", state.remedy), ("reason", state.stop_reason), ("by", state.stopped_by)]
    if state.stopped_at is not None:
        rows.append(("since", state.stopped_at.isoformat(timespec="seconds")))
    for name, value in rows:
        if value:
            say(f"{name:<14}  {value}")


def _say_now(line: str) -> None:
    """At once: whoever pulls the stop wants to see that it holds."""
    say(line)
    sys.stdout.flush()


def _all_ended(count: int) -> str:
    return f"everything that ran has ended ({count})" if count else "nothing was running"
