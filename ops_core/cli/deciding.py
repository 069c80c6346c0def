"""What a recorded observation means: the common beginning of the verbs that start from a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ops_core.clock import parse_instant
from ops_core.config import Settings

if TYPE_CHECKING:
    from ops_core.decision.match import Decision
    from ops_core.observation.record import Observation
    from ops_core.remediation.catalogue import Catalogue


def decided(
    settings: Settings, report: Path | None, suite: str = "observe"
) -> tuple[Observation, tuple[Decision, ...], Catalogue]:
    """A report (default: the suite's latest), what the proven table says of it, and the remediations there are.

    Raises:
        RecordError: the report is missing or damaged.
        ConfigError: the decision table or a remediation cannot be relied on.
    """
    from ops_core.decision.inforce import proven_table
    from ops_core.decision.match import decide
    from ops_core.observation.record import read_observation
    from ops_core.remediation.catalogue import load_catalogue
    from ops_core.targets import dependencies_in

    observation = read_observation(report or settings.reports_dir / suite / "latest.json")
    catalogue = load_catalogue(settings)
    decisions = decide(
        proven_table(settings, catalogue.names()),
        observation.findings,
        observation.facts,
        observation.unknown,
        parse_instant(observation.finished_at),
        dependencies_in(settings.targets),
    )
    return observation, decisions, catalogue
