"""The decision table that is in force for a repository: the user's rows first, then the shipped ones."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ops_core.config import Settings
from ops_core.content import content_dir
from ops_core.decision.scan import Raised, findings_in
from ops_core.decision.table import DecisionTable, load_table
from ops_core.decision.validate import validate

TABLE_NAME = Path("remediations") / "decisions.toml"


def table_paths(settings: Settings) -> tuple[Path, ...]:
    """The files that make up the table: the one beside `ops.toml`, if there is one, and the shipped one."""
    own, shipped = settings.root / TABLE_NAME, content_dir() / TABLE_NAME
    if own.is_file() and own.resolve() != shipped.resolve():
        return (own, shipped)
    return (shipped,)


def table_in_force(settings: Settings) -> DecisionTable:
    """The table, read but not yet proven; see `proven_table`.

    Raises:
        ConfigError: a file is damaged or a row breaks the format.
    """
    return load_table(table_paths(settings))


def raised_findings(settings: Settings) -> dict[str, Raised]:
    """Every finding that a check of the repository or a shipped check can raise, with its place."""
    own, shipped = settings.root / "checks", content_dir() / "checks"
    folders = [folder for folder in (own, shipped) if folder.is_dir()]
    return findings_in(folders if own.resolve() != shipped.resolve() else folders[:1])


def proven_table(settings: Settings, remediations: Collection[str]) -> DecisionTable:
    """The table, with the proof that every finding has a row and every row can be relied on.

    Raises:
        ConfigError: with everything that is wrong, each with file and line.
    """
    table = table_in_force(settings)
    validate(table, raised_findings(settings), remediations)
    return table
