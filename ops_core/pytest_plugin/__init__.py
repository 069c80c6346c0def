"""The pytest plugin: hooks only. What they do lives in the packages below.

This module is imported by every pytest run in an environment that has us installed, so it does next to nothing until a
run is *operational*: until a checks folder, a suite's marker or a recording to replay is named on the command line.
Live systems are never touched by accident.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ops_core.errors import OpsError

if TYPE_CHECKING:
    from ops_core.pytest_plugin.selection import Selection

COLLECT_EVERY = 100_000
SELECTION: pytest.StashKey[Selection] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of an operational run."""
    group = parser.getgroup("runbook", "operational checks")
    group.addoption("--profile", metavar="NAME", help="profile of ops.toml to look at (default: its default_profile)")
    group.addoption("--ops-config", metavar="FILE", help="the ops.toml to use (default: found from here upwards)")
    group.addoption("--replay", metavar="REPORT", help="judge the evidence of a recorded observation; touch nothing")
    group.addoption(
        "--ops-record", metavar="FILE", help="where the record goes (default: reports/<suite>/<run-id>.json)"
    )
    group.addoption(
        "--ops-only", metavar="NODEID", action="append", default=[], help="run only this check (repeatable)"
    )
    group.addoption(
        "--allow-ready-degraded", action="store_true", help="a documented degraded mode is good enough for this run"
    )
    group.addoption("--ops-lang", metavar="LANG", choices=("en", "ko"), help="language of the verdict: en or ko")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Settle whether this run is operational; if so, put the shipped suites beside the user's own checks."""
    from ops_core.pytest_plugin.selection import select

    try:
        selection = select(early_config)
    except OpsError as error:
        raise pytest.UsageError(str(error)) from None
    if selection is not None:
        _spare_the_collector()
        early_config.stash[SELECTION] = selection
        args.extend(str(path) for path in selection.added_paths)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register what an operational run needs, before the other plugins look at their options."""
    config.addinivalue_line("markers", "finding(code): the stable code that the failure of a check stands for")
    config.addinivalue_line("markers", "step(number): the place of a check in the order of its module")
    selection = config.stash.get(SELECTION, None)
    if selection is None or config.option.help:
        return
    from ops_core.pytest_plugin.session import RunbookSession

    try:
        session = RunbookSession(config, selection)
    except OpsError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(session, "runbook-session")
    if selection.shipped_checks != selection.own_checks:
        from ops_core.pytest_plugin.passage import Passages

        passages = Passages(selection.shipped_checks, selection.own_checks, config.rootpath)
        config.pluginmanager.register(passages, "runbook-passages")
    session.register_probes()
    from ops_core.pytest_plugin.ordering import Steps

    # Last: of the wrappers around the collection, the one that was registered last has the last word.
    config.pluginmanager.register(Steps(), "runbook-steps")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A run that is not operational does not even collect operational checks."""
    if SELECTION in config.stash or collection_path.name != "checks":
        return None
    return True if (collection_path.parent / "ops.toml").is_file() else None


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """At its end pytest collects garbage to find what nobody closed; a run's evidence and reports are no garbage."""
    if SELECTION in config.stash:
        import gc

        gc.freeze()


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking, time and again, what a run made at its start and keeps to its end.

    Without this it took a sixth of the CPU time of a run with a dozen checks.
    """
    import gc

    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 50, 50)
