"""`ops daily --split` and `--check`: the five steps of the operator's host, and its one-minute checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops_core.cli.estop import plane_of
from ops_core.cli.options import clock
from ops_core.cli.output import say, say_fitted, say_json
from ops_core.config import Settings
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, UsageError

NAME_WIDTH = 8


def split(settings: Settings, *, json: bool) -> int:
    """Go through the five steps, telling each as it ends; the verdict stands last."""
    from ops_core.split.run import run
    from ops_core.split.steps import EXIT_CODES, Verdict

    receipt = run(settings, plane_of(settings), clock(), say=(lambda _: None) if json else _say_step)
    if json:
        say_json(receipt)
    else:
        _show_end(receipt)
    return EXIT_CODES[Verdict(receipt["verdict"])]


def check(settings: Settings, name: str, *, json: bool) -> int:
    """One line and an exit code: 0 in order, 2 blocked, 3 not.

    Raises:
        UsageError: there is no such check.
    """
    from ops_core.split.checks import CHECKS, look
    from ops_core.split.steps import State

    if name not in CHECKS:
        raise UsageError(f"there is no check {name!r}", where="--check", allowed=", ".join(CHECKS))
    one = CHECKS[name]
    found = look(settings, clock(), one)
    if json:
        say_json({"check": name, "state": found.state.value, "seen": found.seen, "next": found.next_step})
    else:
        say(f"{one.name} {found.state.value}  {found.seen}" + (f"  next: {found.next_step}" if found.next_step else ""))
    codes = {State.OK: EXIT_DONE, State.WARN: EXIT_DONE, State.BLOCKED: EXIT_REFUSED}
    return codes.get(found.state, EXIT_FAILED)


def _say_step(step: Mapping[str, Any]) -> None:
    head = f"  {step['step']}  {step['name']:<10}  "
    if step["seen"]:
        say_fitted(f"{head}{step['state']:<11}  ", step["seen"])
    else:
        say(head + step["state"])


def _show_end(receipt: Mapping[str, Any]) -> None:
    for name, value in (("reason", receipt["reason"]), ("next", receipt["next"])):
        if value:
            say_fitted(f"{name:<{NAME_WIDTH}}  ", value)
    kept = receipt["snapshot_ref"] or f"{receipt['run_id']}  (not recorded: the store cannot be used)"
    say(f"{'receipt':<{NAME_WIDTH}}  {kept}")
    say(f"{'verdict':<{NAME_WIDTH}}  {receipt['verdict']}")
