"""The reference says everything there is, and nothing that there is not."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from ops_core.config import Budgets, ConfigFile, Profile, SecretSource, Target, load_settings
from ops_core.operations import CycleTable, PushTable, ScheduleTable, ServeTable, TradingTable

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
SECTIONS = {
    "At the top": ConfigFile,
    "`[profiles.NAME]`": Profile,
    "`[profiles.NAME.budgets]`": Budgets,
    "`[profiles.NAME.schedule]`": ScheduleTable,
    "`[profiles.NAME.trading]`": TradingTable,
    "`[profiles.NAME.cycle]`": CycleTable,
    "`[profiles.NAME.push]`": PushTable,
    "`[profiles.NAME.serve]`": ServeTable,
    "`[profiles.NAME.secrets]`": SecretSource,
    "`[profiles.NAME.targets.TARGET]`": Target,
}


@pytest.mark.parametrize("title", SECTIONS)
def test_configuration_reference_lists_every_key(title: str) -> None:
    """Each table of the reference lists exactly the keys that ops.toml may have there."""
    section = REFERENCE.split(f"## {title}\n")[1].split("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert listed == {f.name for f in dataclasses.fields(SECTIONS[title])} - {"name"}


def test_shipped_configuration_can_be_followed() -> None:
    """The ops.toml in the repository is in order without any variable set."""
    settings = load_settings(ROOT / "ops.toml", environ={})
    assert [target.name for target in settings.targets] == ["core-api", "soul-engine", "dashboard"]
    assert settings.drill
