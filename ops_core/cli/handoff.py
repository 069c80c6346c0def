"""`ops handoff`: results from the host that produces them to the one that operates on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ops_core.cli.estop import plane_of
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import Story, say, say_fitted, say_json, shown
from ops_core.clock import parse_instant
from ops_core.errors import EXIT_DONE, EXIT_FAILED

WIDTH = 12
GOOD = frozenset({"PUBLISHED", "UNCHANGED", "INSTALLED", "UP_TO_DATE", "ROLLED_BACK"})
COMMIT_CHARS = 12
KEPT_SHOWN = 8


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    group = typer.Typer(help=line, rich_markup_mode=None, no_args_is_help=True)
    group.command("publish", help="Make the results, sign them and hand them over.")(publish)
    group.command("pull", help="Fetch the newest bundle, prove it, and put it in force.")(pull)
    group.command("rollback", help="Put an earlier bundle in force.")(rollback)
    group.command("status", help="Show what is in force, how old it is, and what was refused.")(status)
    group.command("key", help="Make a producer's key, and say what to write where.")(key)
    app.add_typer(group, name=verb)


def publish(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Run the configured steps, look at what they made, and hand it over; nothing, if anything fails."""
    from ops_core.handoff.publish import publish as act

    settings = settings_of(config, profile)
    receipt = act(settings, plane_of(settings), clock(), say=_story(json=json))
    if json:
        return _json(receipt)
    for step in receipt["steps"]:
        how = step["why"] or "done"
        _row("step", f"{step['name']}: {how}, {step['elapsed_s']:.1f} s, log {step['log']}")
    if receipt["outcome"] in GOOD:
        _bundle(receipt)
        if receipt["not_written"]:
            _row("not written", f"{', '.join(receipt['not_written'])}: as they were before these steps")
    return _verdict(receipt, {"UNCHANGED": "the remote has these very results, and they are fresh"})


def pull(
    again: Annotated[bool, typer.Option("--again", help="Take the bundle also where it was rolled back from.")] = False,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Fetch the newest bundle and prove it whole before anything of it is put in place."""
    from ops_core.handoff.pull import pull as act

    settings = settings_of(config, profile)
    receipt = act(settings, plane_of(settings), clock(), again=again, say=_story(json=json))
    if json:
        return _json(receipt)
    if receipt["outcome"] in GOOD:
        _bundle(receipt)
        if not receipt.get("fresh", True):
            _row("stale", "it was good until then: publish anew on the producing host")
    if receipt.get("history") == "rewritten":
        _row("history", "the branch was rewritten at the remote since the last pull: ask who did it")
    return _verdict(receipt, {"UP_TO_DATE": "it is in force already, and whole"})


def rollback(
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="REF", help="A bundle that is kept, a commit, or a name such as HEAD~1."),
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Put the bundle before in force, or the one named; works while everything is stopped."""
    from ops_core.handoff.rollback import rollback as act

    settings = settings_of(config, profile)
    receipt = act(settings, plane_of(settings), clock(), to=to, say=_story(json=json))
    if json:
        return _json(receipt)
    if receipt["outcome"] in GOOD:
        _bundle(receipt)
        if not receipt.get("fresh", True):
            _row("stale", "it was good until then; it is in force because you said so")
        if receipt.get("held_back"):
            _row("held back", f"{receipt['held_back']}, until a newer one comes or: ops handoff pull --again")
    _safety(receipt["safety"])
    return _verdict(receipt, {})


def status(config: ConfigOption = None, profile: ProfileOption = None, json: JsonOption = False) -> int:
    """Show how the hand-off of this host stands. Nothing is changed, and no remote is asked."""
    from ops_core.handoff.standing import standing

    settings = settings_of(config, profile)
    told = standing(settings, plane_of(settings), clock())
    if json:
        say_json(told)
        return EXIT_DONE
    now = parse_instant(told["at"])
    _row("role", told["role"] or "both: producer and operator")
    if told["producer"]:
        _row("producer", told["producer"])
        _row("public key", told["public_key"] or "its private key has no value here that can be read")
    _in_force(told, now)
    for one in told["kept"][:KEPT_SHOWN]:
        if told["in_force"] is None or one["bundle_id"] != told["in_force"]["bundle_id"]:
            _row("kept", f"{one['bundle_id']}  number {one['sequence']} of {one['producer']}")
    for one in told["held_back"]:
        _row("held back", one)
    _last("last publish", told["last_publish"], now)
    _last("last pull", told["last_pull"], now)
    if told["last_refusal"] and told["last_refusal"] != told["last_pull"]:
        _last("last refusal", told["last_refusal"], now)
    _row("stopped", told["stopped"])
    _row("next", told["next"])
    say(f"{'handoff':<{WIDTH}}  {_worth(told)}")
    return EXIT_DONE


def key(
    new_file: Annotated[Path, typer.Argument(metavar="NEW_FILE", help="Where the private key goes; must be new.")],
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Make an Ed25519 key in a new file of mode 0600, and say what to write on either host."""
    from ops_core.control.people.keys import make_key

    settings = settings_of(config, profile)
    public = make_key(new_file)
    name = settings.handoff.producer or "pc"
    table = f"profiles.{settings.profile}"
    here = [
        f"[{table}.handoff]",
        f'producer = "{name}"',
        'signing_key = "HANDOFF_KEY"',
        f"[{table}.secrets.HANDOFF_KEY]",
        f'file = "{new_file.absolute()}"',
    ]
    there = [f"[{table}.handoff]", f'producers = {{ {name} = "{public}" }}']
    if json:
        say_json({"key_file": str(new_file), "public_key": public, "producer": here, "operator": there})
        return EXIT_DONE
    _row("private key", f"{shown(new_file.absolute())} (stays on this host)")
    _row("public key", public)
    say()
    say("in ops.toml of this host, the producer:")
    for line in here:
        say(f"  {line}")
    say()
    say("in ops.toml of the operator's host:")
    for line in there:
        say(f"  {line}")
    return EXIT_DONE


def _story(*, json: bool) -> Callable[[str], None]:
    """Tells a person what happens; a program waits for the document."""
    return (lambda _: None) if json else Story(clock().monotonic)


def _json(receipt: dict[str, Any]) -> int:
    code = EXIT_DONE if receipt["outcome"] in GOOD else EXIT_FAILED
    say_json({**receipt, "exit_code": code})
    return code


def _row(name: str, text: object) -> None:
    """One aligned row; nothing where there is nothing to say."""
    from ops_core.report.text import visible

    if text:
        say_fitted(f"{name:<{WIDTH}}  ", visible(str(text)))


def _bundle(receipt: dict[str, Any]) -> None:
    _row("bundle", f"{receipt['bundle_id']}  number {receipt['sequence']} of {receipt['producer']}")
    if receipt.get("files_total"):
        files = receipt["files_total"]
        _row("files", f"{files} {'file' if files == 1 else 'files'}, {receipt['bytes_total']:,} bytes")
    _row("made", receipt["created_at"])
    _row("fresh until", receipt["fresh_until"])
    if receipt.get("commit"):
        _row("commit", receipt["commit"][:COMMIT_CHARS] + (f" on {receipt['branch']}" if receipt.get("branch") else ""))


def _verdict(receipt: dict[str, Any], words: dict[str, str]) -> int:
    """The last lines: why and what to do where something is wrong, and how it ended."""
    outcome = receipt["outcome"]
    good = outcome in GOOD
    if not good:
        _row("why", receipt["reason"])
        _row("next", receipt["next"])
        if "in_force" in receipt:
            _row("in force", receipt["in_force"] or "nothing, as before")
    told = f"{outcome} ({receipt['code']})" if receipt.get("code") else outcome
    tail = words.get(outcome, "") if good else "nothing was handed over" if receipt["act"] == "publish" else "unchanged"
    say(f"{'handoff':<{WIDTH}}  {told}{f': {tail}' if tail else ''}")
    return EXIT_DONE if good else EXIT_FAILED


def _safety(safety: dict[str, Any]) -> None:
    stopped = "ENGAGED" if safety["emergency_stop"] else "released"
    sender = "on" if safety["real_sender_enable"] else "off"
    _row("safety", f"emergency stop {stopped}, gate {safety['execution_gate']}, sender {sender}")
    if safety["problem"]:
        _row("problem", safety["problem"])
    if not safety["at_rest"]:
        _row("NOT AT REST", "ops gate set DRY_RUN --reason …; ops sender disable --reason …; ops estop engage")


def _in_force(told: dict[str, Any], now: datetime) -> None:
    here = told["in_force"]
    if here is None:
        return
    number = f"  number {here['sequence']} of {here['producer']}" if here["sequence"] else ""
    _row("in force", here["bundle_id"] + number)
    _row("problem", here["problem"])
    if here["since"]:
        _row("since", f"{here['since']} ({_ago(here['since'], now)})")
    if here["created_at"]:
        _row("made", f"{here['created_at']} ({_ago(here['created_at'], now)})")
    _row("fresh until", here["fresh_until"])
    _row("commit", (here["commit"] or "")[:COMMIT_CHARS])
    _row("folder", shown(Path(here["path"])))


def _last(name: str, receipt: dict[str, Any] | None, now: datetime) -> None:
    if receipt is None:
        return
    code = f" ({receipt['code']})" if receipt.get("code") else ""
    why = f": {receipt['reason']}" if receipt.get("reason") else ""
    _row(name, f"{receipt['outcome']}{code} {_ago(receipt['ended_at'], now)}{why}")


def _ago(text: str, now: datetime) -> str:
    from ops_core.report.text import duration

    seconds = (now - parse_instant(text)).total_seconds()
    if seconds < 0:
        return f"in {duration(-seconds, str, 0)}"
    return f"{duration(seconds, str, 0)} ago"


def _worth(told: dict[str, Any]) -> str:
    words = {
        "FRESH": "FRESH",
        "STALE": "STALE: what is in force is whole, and too old",
        "DAMAGED": "DAMAGED: nothing in it is to be relied on",
        "NONE": "nothing is in force yet",
    }
    if told["standing"] == "NONE" and told["producer"] and not told["last_pull"]:
        return "this host produces" if told["last_publish"] else "this host produces, and has not published yet"
    return words[told["standing"]]
