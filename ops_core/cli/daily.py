"""`ops daily`: the daily checklist. Runs the cycle that is due, or one by hand, then judges the six steps in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.cycle import NAME_WIDTH, exit_code_of, run_cycle, say_fire, say_remedy, say_step
from ops_core.cli.options import ConfigOption, JsonOption, ProfileOption, clock, settings_of
from ops_core.cli.output import say, say_json
from ops_core.config import Settings
from ops_core.errors import EXIT_DONE, UsageError
from ops_core.verdict import Judged
from ops_core.verdict import exit_code_of as exit_code_of_verdict

if TYPE_CHECKING:
    from ops_core.observation.launch import Launched
    from ops_core.observation.record import Judgement

SUITE = "daily"
NAMES = {
    "daily.stopped": "emergency stop",
    "daily.gate": "gate",
    "daily.window": "window",
    "daily.approvals": "approvals",
    "daily.cycle": "cycle",
    "daily.result": "result",
}
WORDS = {Judged.GOOD: "good", Judged.BAD: "BAD", Judged.UNKNOWN: "NOT SEEN"}


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(daily)


def daily(
    split: Annotated[
        bool, typer.Option("--split", help="The five steps of an operator's host, from the pull to the snapshot.")
    ] = False,
    check: Annotated[
        str | None,
        typer.Option(
            "--check", metavar="live-cycle|summary", help="One line about the latest one, asked of the server."
        ),
    ] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    json: JsonOption = False,
) -> int:
    """Run the cycle, then the six steps; the verdict stands last."""
    settings = settings_of(config, profile)
    if split or check is not None:
        from ops_core.cli import daily_split

        if split and check is not None:
            raise UsageError("--split and --check are two different things", where="ops daily", allowed="one of them")
        return (
            daily_split.split(settings, json=json) if check is None else daily_split.check(settings, check, json=json)
        )
    receipt = run_cycle(settings, _slot_due(settings))
    launched = _look(settings)
    judged = launched.observation
    steps = _steps(judged.judgements, receipt)
    if json:
        told = {"cycle": receipt, "steps": steps, "verdict": judged.verdict.value, "record": str(launched.path)}
        say_json(told)
    else:
        _show(steps, receipt, launched)
    return exit_code_of(receipt) or exit_code_of_verdict(judged.verdict) or EXIT_DONE


def _slot_due(settings: Settings) -> str | None:
    from ops_core.cycle.slots import due_key

    return due_key(settings, clock().now()) or None


def _look(settings: Settings) -> Launched:
    from ops_core.clock import new_run_id
    from ops_core.observation.launch import observe

    # The checklist is asked for by name here, whether or not the repository has it among its suites.
    with_daily = dataclasses.replace(settings, suites=tuple(dict.fromkeys((*settings.suites, SUITE))))
    record = settings.reports_dir / SUITE / f"{new_run_id(clock().now())}.json"
    return observe(with_daily, suite=SUITE, record=record)


def _steps(judgements: tuple[Judgement, ...], receipt: Mapping[str, Any]) -> list[dict[str, object]]:
    """The six steps as they were judged; of a good one, what the cycle itself saw there."""
    seen_by_cycle = {step["step"]: str(step["seen"]) for step in receipt["steps"]}
    by_code = {judgement.finding: judgement for judgement in judgements if judgement.suite == SUITE}
    steps: list[dict[str, object]] = []
    for number, (code, name) in enumerate(NAMES.items(), start=1):
        judgement = by_code.get(code)
        judged = Judged.UNKNOWN if judgement is None else judgement.judged
        seen = "it was not judged" if judgement is None else judgement.seen
        state = WORDS.get(judged, "")
        if judged is Judged.SKIPPED:
            state, _, seen = seen.partition(": ")
        elif judged is Judged.GOOD:
            seen = seen_by_cycle.get(number, "")
        steps.append({"step": number, "name": name, "state": state, "seen": seen})
    return steps


def _show(steps: list[dict[str, object]], receipt: Mapping[str, Any], launched: Launched) -> None:
    already = "  (already run)" if receipt.get("already_run") else ""
    say(f"{'cycle':<{NAME_WIDTH}}  {receipt['run_id']}  {receipt['result']}{already}")
    if receipt["slot"]:
        say(f"{'slot':<{NAME_WIDTH}}  {receipt['slot']}")
    for step in steps:
        say_step(int(str(step["step"])), str(step["name"]), str(step["state"]), str(step["seen"]))
    say_fire(receipt)
    say_remedy(receipt)
    say(f"{'record':<{NAME_WIDTH}}  {launched.path}")
    say(f"{'verdict':<{NAME_WIDTH}}  {launched.observation.verdict.value}")
