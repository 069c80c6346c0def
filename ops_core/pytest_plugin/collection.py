"""Turning check files into pytest items: which functions are checks, which targets they apply to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ops_core.config import Target
from ops_core.errors import OpsError
from ops_core.finding import MARK
from ops_core.observation.engine import Pair
from ops_core.probes.registry import REGISTRY, ProbeDefinition

TARGET_MARK = "ops_target"
PREFIX = "check_"
# Asked a dozen times for each item; finding a mark walks up to the session each time.
_TARGET: pytest.StashKey[str | None] = pytest.StashKey()
_FINDING: pytest.StashKey[str | None] = pytest.StashKey()


class CheckModule(pytest.Module):
    """A module whose tests are called `check_…`; helpers named `test_…` in it are helpers."""

    def funcnamefilter(self, name: str) -> bool:
        """Whether a function of this name is a check."""
        return name.startswith(PREFIX)

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The checks; a definition that cannot work is told in its own words."""
        try:
            return list(super().collect())
        except OpsError as error:
            raise self.CollectError(str(error)) from None

    def classnamefilter(self, name: str) -> bool:
        """Whether a class of this name holds checks."""
        return name.startswith("Check")


def is_check_file(path: Path) -> bool:
    """Whether a file holds checks, by its name."""
    return path.suffix == ".py" and path.name.startswith(PREFIX)


def probes_of(names: Sequence[str], file: Path) -> list[ProbeDefinition]:
    """The probes among the fixture names of a check that stands in `file`."""
    return [found for name in names if (found := REGISTRY.resolve(name, file)) is not None]


def parametrize(metafunc: pytest.Metafunc, targets: Sequence[Target]) -> None:
    """Ask the check once for each target that has what all of its probes need."""
    definitions = [d for d in probes_of(metafunc.fixturenames, metafunc.definition.path) if d.per_target]
    names = [d.name for d in definitions] + (["target"] if "target" in metafunc.fixturenames else [])
    if not names:
        return
    needed = tuple(sorted({need for d in definitions for need in d.needs}))
    chosen = [target.name for target in targets if target.has(needed)]
    values: list[Any]
    if chosen:
        values = [
            pytest.param(*[name] * len(names), id=name, marks=getattr(pytest.mark, TARGET_MARK)(name))
            for name in chosen
        ]
    else:
        reason = f"no target sets {' and '.join(needed) or 'anything'}"
        values = [pytest.param(*[None] * len(names), id="no-target", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize(names, values, indirect=True, scope="session")


def target_of(item: pytest.Item) -> str | None:
    """The target an item is about."""
    if _TARGET not in item.stash:
        marker = item.get_closest_marker(TARGET_MARK)
        item.stash[_TARGET] = marker.args[0] if marker else None
    return item.stash[_TARGET]


def pairs_of(item: pytest.Item, targets: dict[str, Target], budgets: Any) -> list[Pair]:
    """The (probe, target) pairs whose evidence an item judges."""
    if any(mark.name == "skip" for mark in item.iter_markers()):
        return []
    target = targets.get(target_of(item) or "")
    pairs = []
    for definition in probes_of(getattr(item, "fixturenames", ()), item.path):
        if definition.per_target and target is None:
            continue
        budget_s = min(budgets.probes.get(definition.name, definition.budget_s), budgets.total_s)
        pairs.append(Pair(definition=definition, target=target if definition.per_target else None, budget_s=budget_s))
    return pairs


def finding_of(item: pytest.Item) -> str | None:
    """The code that an item's failure stands for."""
    if _FINDING not in item.stash:
        marker = item.get_closest_marker(MARK)
        item.stash[_FINDING] = str(marker.args[0]) if marker and marker.args else None
    return item.stash[_FINDING]


def without_finding(items: Sequence[pytest.Item]) -> list[str]:
    """Where the checks stand that do not say which finding they raise."""
    places = {
        f"{item.location[0]}:{(item.location[1] or 0) + 1} {getattr(item, 'originalname', item.name)}"
        for item in items
        if finding_of(item) is None
    }
    return sorted(places)
