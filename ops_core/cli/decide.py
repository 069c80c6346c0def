"""`ops decide`: what a recorded observation means, by the decision table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops_core.cli.deciding import decided
from ops_core.cli.options import ConfigOption, JsonOption, LangOption, ProfileOption, clock, language_of, settings_of
from ops_core.cli.output import note, say, say_json, table
from ops_core.errors import UsageError
from ops_core.verdict import exit_code_of

if TYPE_CHECKING:
    from ops_core.config import Settings
    from ops_core.decision.match import Decision


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(decide)


def decide(
    report: Annotated[Path | None, typer.Argument(metavar="[REPORT]", help="Default: the latest observation.")] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
    stale_after: Annotated[
        float, typer.Option("--stale-after", metavar="DAYS", min=0, help="An older drill of a row is stale.")
    ] = 30.0,
    prove: Annotated[bool, typer.Option("--prove", help="Prove the table itself, for whatever can be seen.")] = False,
    lang: LangOption = None,
    json: JsonOption = False,
) -> int:
    """Decide on a recorded observation."""
    from ops_core.decision.match import advice_for_unknown

    settings = settings_of(config, profile)
    if prove:
        from ops_core.cli.proving import prove_table

        if report is not None:
            raise UsageError(
                "the table is proven for every observation", where=str(report), next_step="ops decide --prove"
            )
        return prove_table(settings, json=json)
    language = language_of(settings, lang)
    observation, decisions, _ = decided(settings, report)
    advice = advice_for_unknown(observation.unknown)
    drilled = _drilled(settings, decisions, stale_after)
    if json:
        say_json(
            {
                "run_id": observation.run_id,
                "verdict": observation.verdict.value,
                "decisions": [{**decision.as_dict(), **drilled[decision.row_id].as_dict()} for decision in decisions],
                "not_seen": [list(pair) for pair in observation.unknown],
            }
        )
        return exit_code_of(observation.verdict)
    say(f"observation {observation.run_id}: {observation.verdict.value}")
    for decision in decisions:
        say()
        say(f"{decision.target or 'control plane'}  {', '.join(decision.findings)}")
        rows = [
            ("cause", decision.cause(language)),
            ("severity", decision.severity.value),
            ("action", decision.action(language)),
            ("remedy", decision.remediation or "none: a person has to act"),
            ("decide by", decision.decide_by),
            ("recover by", decision.recover_by),
            ("evidence", ", ".join(decision.evidence)),
            ("row", f"{decision.row_id or 'none'} {decision.where}".strip()),
            ("drill", drilled[decision.row_id].told),
        ]
        for line in table([row for row in rows if row[1]]):
            say(line)
        for other in decision.dependents:
            say(f"  because of {decision.target}: {other.target} {', '.join(other.findings)}")
        if decision.attributed:
            say(f"  also seen  {', '.join(decision.attributed)}")
    if advice is not None:
        say()
        say(f"{advice.cause(language)}\n{advice.action(language)}")
    return exit_code_of(observation.verdict)


@dataclass(frozen=True, kw_only=True)
class _Drilled:
    """When a row was last drilled: for people, for programs, and whether that is too long ago."""

    told: str
    last: dict[str, Any] | None
    stale: bool

    def as_dict(self) -> dict[str, Any]:
        """What is added to a decision."""
        return {"last_drilled": self.last, "drill_stale": self.stale}


def _drilled(settings: Settings, decisions: Sequence[Decision], stale_after_days: float) -> dict[str | None, _Drilled]:
    """By row that decided, when it was last drilled. Where nothing is to be decided nothing is read."""
    if not decisions:
        return {}
    from ops_core.drill.coverage.freshness import is_stale, last_drilled, told

    rows = {decision.row_id for decision in decisions if decision.row_id is not None}
    fresh = last_drilled(settings.reports_dir, rows)
    for one in fresh.damaged:
        note(f"a drill that cannot be read: {one}")
    now = clock().now()
    known: dict[str | None, _Drilled] = {None: _Drilled(told="", last=None, stale=True)}
    for row in rows:
        last = fresh.drilled.get(row)
        known[row] = _Drilled(
            told=told(last, now, stale_after_days),
            last=last.as_dict() if last else None,
            stale=is_stale(last, now, stale_after_days),
        )
    return known
