"""Turning check files into pytest items: which functions are checks, which targets they apply to."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ops_core.errors import OpsError, UsageError
from ops_core.finding import MARK
from ops_core.observation.look import Pair
from ops_core.probes.registry import REGISTRY, ProbeDefinition
from ops_core.targets import Target

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


class CheckGroup(pytest.Class):
    """A class of checks, with the same names for what is in it."""

    def funcnamefilter(self, name: str) -> bool:
        """Whether a method of this name is a check."""
        return name.startswith(PREFIX)

    def classnamefilter(self, name: str) -> bool:
        """Whether a class in the class holds checks."""
        return name.startswith("Check")


def is_check_file(path: Path) -> bool:
    """Whether a file holds checks, by its name."""
    return path.suffix == ".py" and path.name.startswith(PREFIX)


def make_group(collector: pytest.Collector | pytest.Item, name: str, obj: object) -> CheckGroup | None:
    """A class of checks, if that is what `obj` is."""
    if not (inspect.isclass(obj) and isinstance(collector, (CheckModule, CheckGroup))):
        return None
    return CheckGroup.from_parent(collector, name=name, obj=obj) if collector.classnamefilter(name) else None


def probes_of(names: Sequence[str], file: Path, seat: Path) -> list[ProbeDefinition]:
    """The probes among the fixture names of a check that stands in `file`, and is treated as if it stood at `seat`.

    Raises:
        UsageError: a user's own probe cannot stand in for a shipped one.
    """
    found = []
    for name in names:
        definition = REGISTRY.resolve(name, file if file == seat else seat)
        if file != seat and definition is not None:
            shipped = REGISTRY.resolve(name, file)
            if shipped is not None and shipped.per_target != definition.per_target:
                raise UsageError(
                    f"the probe {name!r} cannot stand in for the shipped one: one of them asks for `target`",
                    where=f"{definition.where} and {shipped.where}",
                )
        if definition is not None:
            found.append(definition)
    return found


def parametrize(metafunc: pytest.Metafunc, targets: Sequence[Target], seat: Path) -> None:
    """Ask the check once for each target that has what all of its probes need."""
    file = metafunc.definition.path
    definitions = [d for d in probes_of(metafunc.fixturenames, file, seat) if d.per_target]
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


def pairs_of(item: pytest.Item, targets: dict[str, Target], budgets: Any, seat: Path) -> list[Pair]:
    """The (probe, target) pairs whose evidence an item judges."""
    if any(mark.name == "skip" for mark in item.iter_markers()):
        return []
    target = targets.get(target_of(item) or "")
    pairs = []
    for definition in probes_of(getattr(item, "fixturenames", ()), item.path, seat):
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


def two_of_a_name(one: ProbeDefinition, other: ProbeDefinition) -> str:
    """What is told when two checks of a run mean different probes by one name: evidence is told apart by it."""
    error = UsageError(
        f"two probes of this run are called {one.name!r}",
        where=f"{one.where} and {other.where}",
        next_step="give one of them another name, or move it to a conftest.py that both checks see",
    )
    return str(error)
