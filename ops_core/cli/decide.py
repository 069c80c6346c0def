"""`ops decide`: what a recorded observation means, by the decision table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops_core.cli.deciding import decided
from ops_core.cli.options import ConfigOption, JsonOption, LangOption, ProfileOption, language_of, settings_of
from ops_core.cli.output import say, say_json, table
from ops_core.errors import UsageError
from ops_core.verdict import exit_code_of


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(decide)


def decide(
    report: Annotated[Path | None, typer.Argument(metavar="[REPORT]", help="Default: the latest observation.")] = None,
    config: ConfigOption = None,
    profile: ProfileOption = None,
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
    if json:
        say_json(
            {
                "run_id": observation.run_id,
                "verdict": observation.verdict.value,
                "decisions": [decision.as_dict() for decision in decisions],
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
