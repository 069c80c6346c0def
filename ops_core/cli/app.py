"""Puts the verbs together. Only the module of the verb that is typed is imported, so `ops --help` stays quick."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import typer

from ops_core.cli.permitting import hold

VERBS: dict[str, str] = {
    "observe": "Look at every target at once and say what is wrong.",
    "runtime-health": "Ask one service whether it is alive and ready.",
    "bench": "Ask the service a few times and say how quick it is.",
    "decide": "Say what an observation means: cause, severity, remedy.",
    "remediate": "Plan a remedy; apply it if the guard allows.",
    "incident": "Observe, decide, recover, verify, report; show incidents.",
    "postmortem": "Write the postmortem of an incident from its record.",
    "metrics": "Show availability and error budget of a week or month.",
    "report": "Write the weekly or monthly report.",
    "rollout": "Run a command while the error budget permits it.",
    "drill": "Break a stack for real, and run the whole way.",
    "estop": "Show, engage or release the emergency stop.",
    "gate": "Show or set the execution gate.",
    "window": "Show, request or revoke the window for one real run.",
    "approve": "Give one of the two keys that a window needs.",
    "sender": "Show, enable or disable the sender of messages.",
    "outbox": "Show, add or withdraw messages.",
    "live-fire": "Show the eight preconditions; send what was approved.",
    "live": "Run one live cycle, or show its receipt or preview.",
    "snapshot": "Show what a reference names.",
    "cycle": "Run one cycle, or show the latest receipt.",
    "daily": "Run the daily checklist in its order.",
    "handoff": "Publish, pull or roll back bundles of results.",
    "summary": "Say how everything stands, from what is recorded.",
    "schedule": "Show, install or remove what runs the cycle every day.",
    "serve": "Serve the control plane over HTTP.",
    "operator": "Add, list or revoke people, their keys and tokens.",
    "secrets": "Say whether every secret that is named has a value.",
    "contracts": "Show or accept the contracts, the allowlist among them.",
    "audit": "Verify, export or show the chain of control actions.",
    "lint": "Find in scripts and runbooks what goes wrong at night.",
    "roles": "Show who may do what, and the role of this host.",
    "store": "Show the control store, or bring an older one up to date.",
    "init": "Make a repository of checks that runs at once.",
    "doctor": "Say whether this installation and repository are in order.",
}
EPILOG = "Exit codes: 0 done, 1 findings, 2 refused by a guard, 3 operational failure, 64 usage."


def build_app(arguments: Sequence[str], *, completing: bool = False) -> typer.Typer:
    """The command `ops`, with the typed verb in full and the others by name."""
    app = typer.Typer(
        help="Turn a runbook into something that runs.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    typed = next((word for word in arguments if not word.startswith("-")), None)
    for verb, line in VERBS.items():
        if verb == typed or completing:
            importlib.import_module(f"ops_core.cli.{verb.replace('-', '_')}").register(app, verb, line)
            hold(app, verb)
        else:
            app.command(verb, help=line)(_not_loaded)
    return app


def _not_loaded() -> None:
    """Stands for a verb that was not typed; never called."""


def _version(wanted: bool) -> None:
    if wanted:
        from ops_core import __version__

        typer.echo(f"ops {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    """Options of `ops` itself."""
