"""`ops approve`: see all that the open window permits, then sign it with your key. What was seen is what is signed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops_core.cli.keyholder import KeyOption, PassphraseEnvOption, PassphraseFdOption, holder, key_path, passphrase_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, actor, clock, settings_of
from ops_core.cli.output import note, say, say_fitted, say_json
from ops_core.cli.window import show_lines, told
from ops_core.config import Settings
from ops_core.control.model import Permit, RemediationPermit, Window, window
from ops_core.errors import Refused, UsageError

if TYPE_CHECKING:
    from ops_core.control.service import ControlPlane
    from ops_core.control.store import Transaction
    from ops_core.push.outbox import Message
    from ops_core.remediation.plan import Plan


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(approve)


def approve(
    key: KeyOption = None,
    operator: Annotated[
        str | None, typer.Option("--operator", metavar="NAME", help="Only if the key is that of this operator.")
    ] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="D", help="Approve this and nothing else, without being asked.")
    ] = None,
    signature: Annotated[
        str | None, typer.Option("--signature", metavar="HEX", help="Made elsewhere; needs --operator and --digest.")
    ] = None,
    sign_only: Annotated[
        str | None, typer.Option("--sign-only", metavar="DIGEST", help="Print the signature, and change nothing.")
    ] = None,
    passphrase_env: PassphraseEnvOption = None,
    passphrase_fd: PassphraseFdOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Give one of the two keys of the open window."""
    path, passphrase = key_path(key), passphrase_of(passphrase_env, passphrase_fd)
    if sign_only is not None:
        return _sign_only(path, passphrase, sign_only, json=json)
    from ops_core.control.opening import plane_of
    from ops_core.control.people import approve_window, sign

    settings = settings_of(config, profile)
    plane = plane_of(settings, clock(), actor())
    if signature is not None:
        if operator is None or digest is None:
            raise UsageError("whose signature is it, and of what?", allowed="--signature with --operator and --digest")
        name = operator
    else:
        name = holder(plane, path, passphrase, operator).name
    seen = _seen(settings, plane, shown=not json)
    _agreed(seen, digest, name, json=json)
    made = signature if signature is not None else sign(path, seen.permit_digest, passphrase)
    after = approve_window(plane, operator=name, signature=made, digest=seen.permit_digest).window
    now = clock().now()
    if json:
        say_json({"window": told(after, now)})
    elif after is not None:
        say(f"approved by {name}: {after.id} is {window.window_status(after, now)}, {len(after.approvals)} of 2 keys")
    return 0


def _sign_only(path: Path, passphrase: bytes, digest: str, *, json: bool) -> int:
    from ops_core.control.people import public_key_of, sign

    signature = sign(path, digest, passphrase)
    if json:
        say_json({"digest": digest, "signature": signature, "public_key": public_key_of(path, passphrase)})
    else:
        say(signature)
    return 0


def _seen(settings: Settings, plane: ControlPlane, *, shown: bool) -> Window:
    """The window, `shown` with all that it permits: messages that it was opened for, or the steps of a plan."""
    now = clock().now()
    with plane.snapshot() as found:
        one = found.state.window
        if one is None or not window.is_open(found.state, now):
            raise Refused("no window is open", where="window", next_step=window.REQUEST_COMMAND)
        permit = one.permit
        # What is signed is the digest, so it is made anew from what is shown.
        genuine = window.permit_digest(one, found.store_id) == one.permit_digest
        messages = _messages(found, permit) if isinstance(permit, Permit) else ()
    if not genuine or messages is None:
        raise Refused(
            "the window or its messages are not what was requested",
            where=f"window {one.id}",
            next_step=window.REVOKE_COMMAND,
        )
    # Made anew in any case: nobody approves a plan that is not the one of this moment.
    plan = _plan(settings, plane, permit) if isinstance(permit, RemediationPermit) else None
    if shown:
        show_lines(one, now)
        for message in messages:
            say(f"message    {message.id}")
            for line in message.body.split("\n"):
                say(f"           | {_visible(line)}")
        if plan is not None:
            show_plan(plan)
    return one


def _messages(found: Transaction, permit: Permit) -> tuple[Message, ...] | None:
    """The messages that a window permits; None where they are not what they were when it was asked for."""
    from ops_core.push.outbox import digest_of, find, outbox_digest

    messages = tuple(find(found, message_id) for message_id in permit.message_ids)
    genuine = all(message.digest == digest_of(message.id, message.body) for message in messages)
    return messages if genuine and outbox_digest(messages) == permit.outbox_digest else None


def _plan(settings: Settings, plane: ControlPlane, permit: RemediationPermit) -> Plan:
    from ops_core.remediation.planning import plan_now

    plan = plan_now(settings, plane, permit.remediation, permit.target)
    if plan.permit != permit:
        raise Refused(
            "the plan is not the one that was asked for any more",
            where=f"{permit.remediation} of {permit.target}",
            allowed=f"the plan {permit.plan_digest}",
            next_step=window.REVOKE_COMMAND,
        )
    return plan


def show_plan(plan: Plan) -> None:
    """The steps of a plan and of the way back, as they would be typed."""
    from ops_core.remediation.plan import shown

    say_fitted("does       ", plan.summary["en"])
    for name, steps in (("step", plan.steps), ("back", plan.undo)):
        for number, step in enumerate(steps, start=1):
            say_fitted(f"{f'{name} {number}':<9}  ", shown(step.argv))


def _agreed(seen: Window, digest: str | None, name: str, *, json: bool) -> None:
    """Return where the person agrees to what was shown.

    Raises:
        Refused: they do not, or named another digest.
        UsageError: nobody can be asked and no digest was named.
    """
    if digest is not None:
        if digest != seen.permit_digest:
            raise Refused(
                "the open window permits something else than you named",
                where=f"window {seen.id}",
                allowed=f"its digest {seen.permit_digest}",
                next_step="ops window status",
            )
        return
    if json or not sys.stdin.isatty():
        raise UsageError(
            "nobody is here to be asked, so say what you approve",
            where="--digest",
            allowed="the digest that the window shows",
            next_step=f"ops approve --digest {seen.permit_digest}",
        )
    note("")
    if not typer.confirm(f"Sign this as {name}?", default=False, err=True):
        raise Refused("nothing was signed", where=f"window {seen.id}")


def _visible(text: str) -> str:
    """The text with everything that a terminal would obey, or not show, spelled out."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
