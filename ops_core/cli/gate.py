"""`ops gate`: how far anything may go. DRY_RUN shows, MOCK_ONLY acts on drills, REAL_ENABLED acts for a while."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, clock, settings_of
from ops_core.cli.output import say, say_json
from ops_core.control.model import ControlState, Gate, effective_gate
from ops_core.errors import UsageError

_SPAN = re.compile(r"(\d{1,6})(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("status", help="Show the gate in force.")(status)
    group.command("set", help="Set the gate: MOCK_ONLY, DRY_RUN or REAL_ENABLED.")(set_)
    app.add_typer(group, name=verb)


def status(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the gate."""
    return show(plane_of(settings_of(config, profile)).state(), json=json)


def set_(
    mode: Annotated[str, typer.Argument(metavar="MODE", help="MOCK_ONLY, DRY_RUN or REAL_ENABLED.")],
    reason: ReasonOption,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="60m", help="REAL_ENABLED only: for how long.")
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Set the gate."""
    plane = plane_of(settings_of(config, profile))
    return show(plane.set_gate(mode, reason, ttl_s=span_s(lasting) if lasting else None), json=json)


def span_s(text: str, where: str = "--for") -> int:
    """Seconds in a span such as 90s, 60m or 2h; `where` names the option.

    Raises:
        UsageError: it is not one.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"{text!r} is not a span of time", where=where, allowed="such as 90s, 60m or 2h")
    return int(match[1]) * _SECONDS[match[2]]


def show(state: ControlState, *, json: bool) -> int:
    """Tell the gate that counts now."""
    now = clock().now()
    gate = effective_gate(state, now)
    if json:
        say_json({**state.as_dict(), "gate_in_force": gate.value})
        return 0
    meaning = {
        Gate.MOCK_ONLY: "remediations act on drill profiles only",
        Gate.DRY_RUN: "plans are shown, nothing is touched",
        Gate.REAL_ENABLED: "remediations act on real systems",
    }[gate]
    say(f"gate    {gate.value}  ({meaning})")
    for name, value in (("reason", state.gate_reason), ("by", state.gate_by)):
        if value:
            say(f"{name:<6}  {value}")
    if gate is not state.gate:
        say(f"note    {state.gate.value} has run out")
    return 0
