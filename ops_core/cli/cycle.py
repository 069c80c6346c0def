"""`ops cycle`: one cycle, for the slot that is due or by hand; and the receipt of the latest one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, actor, clock, settings_of
from ops_core.cli.output import note, say, say_fitted, say_json
from ops_core.config import Settings
from ops_core.errors import EXIT_DONE

if TYPE_CHECKING:
    from ops_core.control.service import ControlPlane

SlotOption = Annotated[
    str | None, typer.Option("--slot", metavar="now|KEY", help="The slot that is due: run it once, whoever asks.")
]
RequestOption = Annotated[
    list[str] | None, typer.Option("--request", metavar="TYPE", help="What is asked for; may be given again.")
]
NAME_WIDTH = 9
MARKS = {"ok": "ok", "warn": "WARN", "failed": "FAILED", "not_reached": "not reached", "not_needed": "not needed"}


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, invoke_without_command=True)
    group.callback()(cycle)
    group.command("latest", help="Show the receipt of the latest cycle.")(latest)
    app.add_typer(group, name=verb)


def cycle(
    context: typer.Context,
    slot: SlotOption = None,
    request: RequestOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Run one cycle now, and show its receipt."""
    if context.invoked_subcommand is not None:
        return EXIT_DONE
    receipt = run_cycle(settings_of(config, profile), slot, tuple(request) if request else None)
    if json:
        say_json(receipt)
    else:
        show(receipt)
    return exit_code_of(receipt)


def latest(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the latest receipt; being there is the answer, so the exit code is 0."""
    from ops_core.control.opening import plane_of
    from ops_core.cycle.records import latest as latest_of

    with plane_of(settings_of(config, profile), clock(), actor()).snapshot() as found:
        receipt = latest_of(found)
    if json:
        say_json(receipt)
    elif receipt is None:
        say("no cycle has run yet")
        say("next  ops cycle")
    else:
        show(receipt)
    return EXIT_DONE


def run_cycle(settings: Settings, slot: str | None, request_types: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Run a cycle in the name of who types. Whoever can type here may fire: what guards a fire is keys and window."""
    from ops_core.control.opening import plane_of
    from ops_core.cycle.run import run

    plane = plane_of(settings, clock(), actor())
    _restore(settings, plane)
    return run(settings, plane, slot=slot, authorised_to_fire=True, request_types=request_types)


def _restore(settings: Settings, plane: ControlPlane) -> None:
    """Restore what is in force longer than it was meant: a schedule that calls here is what always comes along."""
    from ops_core.remediation.temporary import due_restorations, temporaries_in_force

    if due_restorations(temporaries_in_force(settings), clock().now()):
        from ops_core.incident.restoring import restore_due

        restore_due(settings, plane=plane, clock=clock(), say=note, lang=settings.lang, actor=actor())


def exit_code_of(receipt: Mapping[str, Any]) -> int:
    """The exit code that a receipt stands for."""
    from ops_core.cycle.sequence import EXIT_CODES, Outcome

    return EXIT_CODES[Outcome(receipt["result"])]


def show(receipt: Mapping[str, Any]) -> None:
    """Tell a receipt: the six steps, then what came of it and what to do."""
    say(f"{'cycle':<{NAME_WIDTH}}  {receipt['run_id']}{'  (already run)' if receipt.get('already_run') else ''}")
    if receipt["slot"]:
        say(f"{'slot':<{NAME_WIDTH}}  {receipt['slot']}")
    for step in receipt["steps"]:
        say_step(step["step"], step["name"], MARKS[step["state"]], step["seen"])
    say_fire(receipt)
    for name in ("result", "cause"):
        say_fitted(f"{name:<{NAME_WIDTH}}  ", receipt[name])
    say_remedy(receipt)


def say_step(number: int, name: str, state: str, seen: str) -> None:
    """One aligned line for a step."""
    head = f"  {number}  {name.replace('_', ' '):<14}  "
    if seen:
        say_fitted(f"{head}{state:<11}  ", seen)
    else:
        say(head + state)


def say_fire(receipt: Mapping[str, Any]) -> None:
    """What became of the live fire."""
    fire = receipt["live_fire_step"]
    done = f"{fire['result']}: " if fire["attempted"] else "none: "
    say_fitted(f"{'live fire':<{NAME_WIDTH}}  ", f"{done}{fire['reason']}")


def say_remedy(receipt: Mapping[str, Any]) -> None:
    """What to do about it, one thing a line."""
    for name, line in zip(("next", *[""] * 20), receipt["remedy"].splitlines(), strict=False):
        say_fitted(f"{name:<{NAME_WIDTH}}  ", line)
