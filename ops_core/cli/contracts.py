"""`ops contracts`: see whether the contracts are those that were accepted, and accept them in a recorded act."""

from __future__ import annotations

from typing import Annotated

import typer

from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, ReasonOption, actor, clock, settings_of
from ops_core.cli.output import say, say_json, table
from ops_core.errors import EXIT_DONE, EXIT_FINDINGS, OpsError


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("show", help="Show the contracts, and what differs from what was accepted.")(show)
    group.command("accept", help="Accept the contracts as they lie there now.")(accept)
    app.add_typer(group, name=verb)


def show(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show the contracts and what differs; the exit code is 1 where something does."""
    from ops_core.control import contracts
    from ops_core.control.opening import plane_of
    from ops_core.report.text import visible

    settings = settings_of(config, profile)
    try:
        with plane_of(settings, clock(), actor()).snapshot() as found:
            here = contracts.present(settings)
            good = contracts.accepted(found)
            differing = contracts.differences(found, settings, here)
    except ValueError as error:
        raise OpsError(str(error), where="control store", next_step=contracts.ACCEPT_COMMAND) from None
    try:
        types = contracts.allowed_types(settings)
    except ValueError as error:
        types, problem = (), str(error)
    else:
        problem = ""
    state = {one.name: one.what for one in differing}
    digest = contracts.digest_of(here)
    code = EXIT_FINDINGS if differing or good is None else EXIT_DONE
    if json:
        listed = [
            {"name": name, "digest": one.digest, "state": state.get(name, "accepted"), "problem": one.problem}
            for name, one in here.items()
        ]
        removed = [{"name": one.name, "digest": "", "state": one.what} for one in differing if one.name not in here]
        told = {"folder": str(settings.contracts_dir), "contracts": listed + removed, "accepted": good is not None}
        say_json({**told, "digest": digest, "request_types": list(types), "allowlist_problem": problem})
        return code
    rows: list[tuple[str, ...]] = [
        (visible(name), state.get(name, "accepted"), here[name].digest[:12] if name in here else "")
        for name in sorted({*here, *state})
    ]
    for text in table(rows, indent=""):
        say(text)
    say("allowed  " + visible(f"{', '.join(types) or 'nothing'}" + (f"  ({problem})" if problem else "")))
    if code != EXIT_DONE:
        command = f"ops contracts accept --digest {digest} --reason …"
        say(f"next     {command}, or put them back: until then nothing runs on their strength")
    return code


def accept(
    reason: ReasonOption,
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="HEX", help="Accept only those that `show` told by this digest.")
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Accept the contracts as they lie there, and say what was different."""
    from ops_core.control import contracts
    from ops_core.control.opening import plane_of
    from ops_core.report.text import visible

    settings = settings_of(config, profile)
    changed = contracts.accept(plane_of(settings, clock(), actor()), settings, reason, digest=digest)
    if json:
        say_json({"accepted": [{"name": one.name, "was": one.what} for one in changed]})
        return EXIT_DONE
    for one in changed:
        say(f"accepted  {visible(one.name)}  ({one.what})")
    if not changed:
        say("accepted  nothing was different")
    return EXIT_DONE
