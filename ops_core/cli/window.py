"""`ops window`: ask for a window for what would be sent now, look at it, take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.gate import span_s
from ops_core.cli.keyholder import KeyOption, PassphraseEnvOption, PassphraseFdOption, holder, key_path, passphrase_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, actor, clock, settings_of
from ops_core.cli.output import say, say_fitted, say_json
from ops_core.clock import isoformat, new_run_id
from ops_core.config import Settings
from ops_core.control.model import (
    KEYS_NEEDED,
    ControlState,
    Permit,
    RemediationPermit,
    Window,
    WindowStatus,
    window,
)
from ops_core.errors import Refused, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from ops_core.control.service import ControlPlane
    from ops_core.remediation.plan import Plan


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("status", help="Show the latest window, and what it permits.")(status)
    group.command("request", help="Ask for a window; two other people approve it.")(request)
    group.command("revoke", help="Take the open window back.")(revoke)
    app.add_typer(group, name=verb)


def status(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the latest window."""
    from ops_core.control.opening import plane_of

    return show(plane_of(settings_of(config, profile), clock(), actor()).state(), json=json)


def request(
    reason: ReasonOption,
    lasting: Annotated[str, typer.Option("--for", metavar="60m", help="How long it stays open, at most 8h.")] = "60m",
    remediation: Annotated[
        str | None, typer.Option("--remediation", metavar="NAME", help="For this remediation, not for a live fire.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="Of this target.")] = None,
    key: KeyOption = None,
    passphrase_env: PassphraseEnvOption = None,
    passphrase_fd: PassphraseFdOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Ask for a window: for what would be sent now, or for one plan as it is now. Who asks is whose key it is."""
    from ops_core.control.opening import plane_of
    from ops_core.control.people import request_window
    from ops_core.push import offer, recover

    settings, duration_s = settings_of(config, profile), span_s(lasting)
    plane = plane_of(settings, clock(), actor())
    # A live fire that was cut off locks down what is open: before this window is asked for, not after.
    recover(plane)
    person = holder(plane, key_path(key), passphrase_of(passphrase_env, passphrase_fd))
    run_id = new_run_id(clock().now())
    plan = _plan(settings, plane, remediation, target)
    permit = None if plan is None else plan.permit
    state = request_window(
        plane,
        lambda found: permit or offer(found, settings, run_id),
        operator=person.name,
        reason=reason,
        duration_s=duration_s,
    )
    return show(state, json=json)


def _plan(settings: Settings, plane: ControlPlane, remediation: str | None, target: str | None) -> Plan | None:
    """The plan that a window is to permit; None where it is for a live fire."""
    if remediation is None and target is None:
        return None
    if remediation is None or target is None:
        raise UsageError(
            "a remediation is of a target",
            where="--remediation, --target",
            allowed="both, or neither for a live fire",
            next_step="ops window request --remediation NAME --target NAME --reason …",
        )
    from ops_core.remediation.planning import plan_now

    plan = plan_now(settings, plane, remediation, target)
    if not plan.two_keys:
        raise Refused(
            f"{remediation} needs no window: the gate decides about it",
            where=f"target {target}",
            allowed="a remediation whose plan needs two keys",
            next_step=f"ops remediate {remediation} --target {target} --apply",
        )
    return plan


def revoke(
    reason: ReasonOption, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Take the open window back. That needs no key."""
    from ops_core.control.opening import plane_of
    from ops_core.control.people import revoke_window

    return show(revoke_window(plane_of(settings_of(config, profile), clock(), actor()), reason), json=json)


def show(state: ControlState, *, json: bool) -> int:
    """Tell the latest window; the exit code is 0: that there is none is an answer."""
    now = clock().now()
    if json:
        say_json({"window": told(state.window, now), "problem": state.problem, "remedy": state.remedy})
        return 0
    if state.problem:
        say(f"window     unknown: {state.problem}")
    elif state.window is None:
        say("window     none was requested")
    else:
        show_lines(state.window, now)
        if window.window_status(state.window, now) is WindowStatus.REQUESTED:
            say(f"next       {window.APPROVE_COMMAND}, by {KEYS_NEEDED - len(state.window.approvals)} other people")
    return 0


def told(one: Window | None, now: datetime) -> dict[str, Any] | None:
    """A window as JSON values: as recorded, with what counts at `now`."""
    if one is None:
        return None
    return {
        **one.as_dict(),
        "status_now": window.window_status(one, now).value,
        "remaining_s": window.remaining_s(one, now),
        "keys_given": len(one.approvals),
        "keys_needed": KEYS_NEEDED,
    }


def show_lines(one: Window, now: datetime) -> None:
    """A window for people: everything that its digest covers, and whose keys it has."""
    state, left_s = window.window_status(one, now).value, window.remaining_s(one, now)
    given = ", ".join(key.operator for key in one.approvals)
    rows = [
        ("window", f"{one.id}  {state}" + (f", {left_s} s left" if left_s else "")),
        ("asked by", one.requested_by),
        ("their key", one.requester_key),
        ("reason", one.reason),
        ("open", f"{isoformat(one.requested_at)} to {isoformat(one.expires_at)}"),
        *_permitted(one.permit),
        ("keys", f"{len(one.approvals)} of {KEYS_NEEDED}" + (f": {given}" if given else "")),
        ("digest", one.permit_digest),
    ]
    if one.closed_at is not None:
        rows.append(("ended", f"{isoformat(one.closed_at)} by {one.closed_by}: {one.closed_reason}"))
    for name, value in rows:
        say_fitted(f"{name:<9}  ", value)


def _permitted(permit: Permit | RemediationPermit) -> list[tuple[str, str]]:
    if isinstance(permit, RemediationPermit):
        return [("remedy", permit.remediation), ("target", permit.target), ("plan", permit.plan_digest)]
    return [
        ("run", permit.run_id),
        ("channel", permit.channel.value),
        ("to", permit.destination or "the console"),
        ("allowlist", permit.allowlist_digest or "none"),
        ("messages", f"{len(permit.message_ids)}: {', '.join(permit.message_ids)}"),
        ("outbox", permit.outbox_digest),
    ]
