"""The reference says everything there is, and nothing that there is not."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from ops_core.cli.app import VERBS
from ops_core.clock import SystemClock
from ops_core.config import Budgets, ConfigFile, Profile, SecretSource, load_settings
from ops_core.operations import (
    AlertsTable,
    CycleTable,
    HandoffTable,
    IssuesTable,
    ProducerStep,
    PushTable,
    ScheduleTable,
    ServeTable,
    SloTable,
    SplitTable,
    TradingTable,
)
from ops_core.targets import Target

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
API = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
COMMON = {"--config", "--profile", "--json"}
SECTIONS = {
    "At the top": ConfigFile,
    "`[profiles.NAME]`": Profile,
    "`[profiles.NAME.budgets]`": Budgets,
    "`[profiles.NAME.schedule]`": ScheduleTable,
    "`[profiles.NAME.trading]`": TradingTable,
    "`[profiles.NAME.cycle]`": CycleTable,
    "`[profiles.NAME.push]`": PushTable,
    "`[profiles.NAME.serve]`": ServeTable,
    "`[profiles.NAME.alerts]`": AlertsTable,
    "`[profiles.NAME.slo]`": SloTable,
    "`[profiles.NAME.issues]`": IssuesTable,
    "`[profiles.NAME.handoff]`": HandoffTable,
    "`[[profiles.NAME.handoff.steps]]`": ProducerStep,
    "`[profiles.NAME.split]`": SplitTable,
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


def commands_there_are() -> Iterator[tuple[str, set[str]]]:
    """Every command with its options."""

    def below(command: Any, path: str) -> Iterator[tuple[str, set[str]]]:
        inner = getattr(command, "commands", {})
        if not inner or command.invoke_without_command:
            options = [one for one in command.params if one.param_type_name == "option"]
            yield path, {name for one in options for name in one.opts}
        for name, one in inner.items():
            yield from below(one, f"{path} {name}")

    for verb, line in VERBS.items():
        app = typer.Typer()
        app.callback()(lambda: None)
        importlib.import_module(f"ops_core.cli.{verb.replace('-', '_')}").register(app, verb, line)
        yield from below(get_command(app).commands[verb], f"ops {verb}")  # type: ignore[attr-defined] # it is a group


def test_commands_reference_lists_every_command_with_its_options() -> None:
    """Each row is a command that there is, with exactly its options; what all take is said once, above."""
    rows = re.findall(r"^\| `(ops(?: [a-z-]+)*)[^`]*` \| ([^|]*) \|", COMMANDS.replace("\\|", "/"), re.MULTILINE)
    listed = {name: set(re.findall(r"`(--[a-z-]+)`", cell)) for name, cell in rows}
    there_are = dict(commands_there_are())
    assert listed == {name: options - COMMON for name, options in there_are.items()}
    assert {name for name, options in there_are.items() if "--config" not in options} == {
        "ops init", "ops drill", "ops lint", "ops operator key", "ops runtime-health",
    }  # fmt: skip
    assert all("--json" in options for options in there_are.values())


def test_server_reference_lists_every_path_with_its_fields() -> None:
    """Each row is a request that the OpenAPI document has, with exactly the fields of its body and of its answer."""
    from ops_core.api.app import create_app

    def fields(told: dict[str, Any]) -> set[str]:
        schema = told.get("content", {}).get("application/json", {}).get("schema", {})
        return {name for one in schema.get("oneOf", [schema]) for name in one.get("properties", {})}

    document = create_app(load_settings(ROOT / "ops.toml", environ={}), SystemClock()).openapi()
    there_are = {
        f"{method.upper()} {path}": (
            fields(told.get("requestBody", {})),
            fields(told["responses"].get("202") or told["responses"]["200"]),
        )
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    }
    rows = re.findall(r"^\| `([A-Z]+ /[^`?]*)[^`]*` \| [^|]* \| ([^|]*) \| ([^|]*) \|", API, re.MULTILINE)
    listed = {
        row: (set(re.findall(r"`(\w+)`", body)), set(re.findall(r"`(\w+)`", answer))) for row, body, answer in rows
    }
    assert listed == there_are


def test_server_reference_says_which_requests_need_a_token() -> None:
    """Where the document lets nobody in without a token, a scope is named; where it takes none, `none` is."""
    from ops_core.api.app import create_app

    document = create_app(load_settings(ROOT / "ops.toml", environ={}), SystemClock()).openapi()
    told = dict(re.findall(r"^\| `([A-Z]+ /[^`?]*)[^`]*` \| ([^|]*) \|", API, re.MULTILINE))
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            security, cell = one.get("security"), told[f"{method.upper()} {path}"]
            if not security:
                assert cell == "none"
            elif {} not in security:
                assert re.fullmatch(r"`\w+`", cell)
