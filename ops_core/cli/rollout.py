"""`ops rollout -- COMMAND`: runs it while the error budget of what it touches is known not to be spent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import note, say, say_json
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, UsageError

if TYPE_CHECKING:
    from ops_core.slo.rollout import RolledOut, Ruling

TIMEOUT_S = 3600.0
TIMEOUT_MAX_S = 86_400.0
WIDTH = 8


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(rollout)


def rollout(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to run; write -- before it.")],
    target: Annotated[
        list[str] | None, typer.Option("--target", metavar="NAME", help="What it touches; all, if none is named.")
    ] = None,
    override: Annotated[
        bool, typer.Option("--override", help="Run it although a budget is spent or unknown; needs --reason.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="When it is ended.")] = TIMEOUT_S,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Run a rollout behind the error budget, the emergency stop and the gate."""
    from ops_core.slo.rollout import BudgetRefused, roll_out

    if not 0 < timeout <= TIMEOUT_MAX_S:
        raise UsageError(f"{timeout:g} s is no limit", where="--timeout", allowed=f"up to {TIMEOUT_MAX_S:.0f} s")
    settings = settings_of(config, profile)
    try:
        found = roll_out(
            settings,
            plane_of(settings),
            clock(),
            command,
            targets=target or (),
            override=override,
            reason=reason,
            folder=Path.cwd(),
            timeout_s=timeout,
        )
    except BudgetRefused as refusal:
        if not json:
            for ruling in refusal.rulings:
                note(_row(ruling))
        raise
    return tell(found, json=json)


def tell(found: RolledOut, *, json: bool) -> int:
    """What the command said, how it ended, and on which budgets it ran."""
    ended = found.ended
    code = EXIT_REFUSED if found.stopped else EXIT_DONE if ended.exit_code == 0 and not ended.why else EXIT_FAILED
    if json:
        told = {"exit_code": ended.exit_code, "why": ended.why, "elapsed_s": round(ended.elapsed_s, 3)}
        budgets = [one.as_dict() for one in found.rulings]
        say_json({**told, "overridden": found.overridden, "output": ended.output, "budgets": budgets})
        return code
    if ended.output:
        say(ended.output.rstrip("\n"))
    for one in found.rulings:
        say(_row(one))
    how = "done" if code == EXIT_DONE else ended.why or f"failed with exit code {ended.exit_code}"
    say(f"{'rollout':<{WIDTH}}  {how}, {ended.elapsed_s:.1f} s{', budget overridden' if found.overridden else ''}")
    return code


def _row(one: Ruling) -> str:
    left = "" if one.left_ratio is None else f"{one.left_ratio * 100:.1f} % left, "
    return f"{'budget':<{WIDTH}}  {one.target}  {one.state.value.upper()}  {left}{one.why}"
