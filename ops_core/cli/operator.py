"""`ops operator`: who may act at the server and approve, with which key, and the tokens that speak for them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli.keyholder import KeyOption, PassphraseEnvOption, PassphraseFdOption, key_path, passphrase_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, actor, clock, settings_of
from ops_core.cli.output import note, say, say_json, say_table
from ops_core.clock import isoformat

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The operator's name.")]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scope", metavar="SCOPE", help="What the token is good for; may be repeated. Default: window, approve."
    ),
]
DaysOption = Annotated[int, typer.Option("--days", metavar="N", help="How long the token lasts.")]


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("add", help="Add a person with a key, and issue a first token.")(add)
    group.command("list", help="Show operators and tokens.")(list_)
    group.command("revoke", help="End all that a person may do, for good.")(revoke)
    group.command("token", help="Issue another token.")(token)
    group.command("revoke-token", help="End one token.")(revoke_token)
    group.command("key", help="Show the public key of your key file, or make one.")(key_)
    app.add_typer(group, name=verb)


def add(
    name: NameArgument,
    public_key: Annotated[
        str | None, typer.Option("--public-key", metavar="HEX", help="Their Ed25519 key, 64 hexadecimal digits.")
    ] = None,
    new_key: Annotated[
        Path | None, typer.Option("--new-key", metavar="FILE", help="Make a key in this file, which must be new.")
    ] = None,
    scope: ScopeOption = None,
    days: DaysOption = 90,
    passphrase_env: PassphraseEnvOption = None,
    passphrase_fd: PassphraseFdOption = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Add an operator; a store that is not there yet is made."""
    from ops_core.control.opening import plane_of
    from ops_core.control.people import SCOPES_DEFAULT, add_operator

    plane = plane_of(settings_of(config, profile), clock(), actor())
    plane.create()
    added = add_operator(
        plane,
        name,
        public_key=public_key,
        key_file=new_key,
        passphrase=passphrase_of(passphrase_env, passphrase_fd),
        scopes=_scopes(scope) or SCOPES_DEFAULT,
        token_days=days,
    )
    told = {"operator": added.name, "public_key": added.public_key}
    if added.key_file is not None:
        told["key_file"] = str(added.key_file)
    return _tell_token(told, added.token, added.token_id, added.scopes, isoformat(added.expires_at), json=json)


def list_(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show all operators ever added, and their tokens without their secrets."""
    from ops_core.control.opening import plane_of
    from ops_core.control.people import list_operators, list_tokens

    plane = plane_of(settings_of(config, profile), clock(), actor())
    people, tokens = list_operators(plane), list_tokens(plane)
    if json:
        say_json({"operators": [asdict(one) for one in people], "tokens": [asdict(one) for one in tokens]})
        return 0
    if not people:
        say("no operators yet")
        return 0
    now = isoformat(clock().now())
    for one in people:
        say(f"{one.name}  " + (f"revoked {one.revoked_at} by {one.revoked_by}" if one.revoked_at else "in force"))
        say(f"  key    {one.public_key}")
        rows: list[tuple[str, ...]] = [
            (f"token  {t.id}", _fate(t.revoked_at, t.expires_at, now), ", ".join(t.scopes))
            for t in tokens
            if t.operator == one.name
        ]
        say_table(rows, indent="  ")
    return 0


def revoke(
    name: NameArgument, config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False
) -> int:
    """Revoke an operator, their tokens, and the worth of their approvals."""
    from ops_core.control.opening import plane_of
    from ops_core.control.people import revoke_operator

    seen = revoke_operator(plane_of(settings_of(config, profile), clock(), actor()), name)
    if json:
        say_json(asdict(seen))
    else:
        say(f"{seen.name}  revoked {seen.revoked_at}: tokens end, and approvals that stand are worth nothing")
    return 0


def token(
    name: NameArgument,
    scope: ScopeOption = None,
    days: DaysOption = 90,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Issue another token to an operator."""
    from ops_core.control.opening import plane_of
    from ops_core.control.people import SCOPES_DEFAULT, issue_token

    plane = plane_of(settings_of(config, profile), clock(), actor())
    issued = issue_token(plane, name, scopes=_scopes(scope) or SCOPES_DEFAULT, token_days=days)
    until = isoformat(issued.expires_at)
    return _tell_token({"operator": issued.operator}, issued.token, issued.id, issued.scopes, until, json=json)


def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as the list shows it.")],
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """End one token."""
    from ops_core.control.opening import plane_of
    from ops_core.control.people import revoke_token as revoke_it

    seen = revoke_it(plane_of(settings_of(config, profile), clock(), actor()), token_id)
    if json:
        say_json(asdict(seen))
    else:
        say(f"{seen.id}  of {seen.operator}, revoked {seen.revoked_at}")
    return 0


def key_(
    key: KeyOption = None,
    new: Annotated[
        Path | None, typer.Option("--new", metavar="FILE", help="Make a key in this file, which must be new.")
    ] = None,
    passphrase_env: PassphraseEnvOption = None,
    passphrase_fd: PassphraseFdOption = None,
    json: JsonOption = False,
) -> int:
    """Show the public key: what you give to whoever adds you. The private one stays with you."""
    from ops_core.control.people import make_key, public_key_of

    passphrase, path = passphrase_of(passphrase_env, passphrase_fd), (new or key_path(key)).absolute()
    public_key = make_key(path, passphrase) if new is not None else public_key_of(path, passphrase)
    if json:
        say_json({"public_key": public_key, "key_file": str(path)})
    else:
        say(public_key)
    return 0


def _scopes(given: list[str] | None) -> tuple[str, ...]:
    return tuple(one.strip() for many in given or () for one in many.split(","))


def _fate(revoked_at: str, expires_at: str, now: str) -> str:
    if revoked_at:
        return f"revoked {revoked_at}"
    return f"{'expired' if expires_at <= now else 'until'} {expires_at}"


def _tell_token(
    told: dict[str, str], token: str, token_id: str, scopes: tuple[str, ...], until: str, *, json: bool
) -> int:
    if json:
        say_json({**told, "token": token, "token_id": token_id, "scopes": list(scopes), "expires_at": until})
        return 0
    rows = {**told, "token": token, "token id": token_id, "scopes": ", ".join(scopes), "until": until}
    for name, value in rows.items():
        say(f"{name.replace('_', ' '):<10}  {value}")
    note("The token is shown this once and kept nowhere.")
    return 0
