"""Suites whose checks are steps: `@pytest.mark.step(n)` puts the checks of a module into an order that always holds.

Whatever shuffles the collection, the steps of a module run by their numbers, one after the other. Under pytest-xdist
that holds where whole modules go to one process: `--dist loadscope`. Once a step was not good, those
behind it are not reached: they are skipped with the reason, because a step that was never taken has neither failed nor
passed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ops_core.pytest_plugin.collection import target_of
from ops_core.verdict import Judged

MARK = "step"
_STEP: pytest.StashKey[int | None] = pytest.StashKey()


def step_of(item: pytest.Item) -> int | None:
    """The number of a check's step; None where it is none.

    Raises:
        pytest.UsageError: the mark has no number that orders.
    """
    if _STEP not in item.stash:
        mark = item.get_closest_marker(MARK)
        number = mark.args[0] if mark is not None and len(mark.args) == 1 and not mark.kwargs else None
        if mark is not None and (type(number) is not int or number < 1):
            raise pytest.UsageError(
                f"a step needs one number\n  where    {item.nodeid}\n  allowed  @pytest.mark.step(1), 2, 3 …"
            )
        item.stash[_STEP] = number
    return item.stash[_STEP]


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The items with the steps of each module in their order, at the places that steps of that module had."""
    places: dict[Path, list[int]] = {}
    for place, item in enumerate(items):
        if step_of(item) is not None:
            places.setdefault(item.path, []).append(place)
    ordered = list(items)
    for found in places.values():
        steps = sorted((items[place] for place in found), key=_order)
        for place, item in zip(found, steps, strict=True):
            ordered[place] = item
    return ordered


class Steps:
    """The hooks that keep the order. Registered last, so that it has the last word on the collection."""

    def __init__(self) -> None:
        self._failed: dict[tuple[str, str | None], tuple[int, str]] = {}
        self._asked: dict[str, pytest.Item] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Put the steps in order, after everybody else has moved them about."""
        result = yield
        items[:] = in_order(items)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip a step that is not reached, before its evidence is asked for."""
        number = step_of(item)
        if number is None:
            return
        self._asked[item.nodeid] = item
        target = target_of(item)
        for (module, about), (before, seen) in self._failed.items():
            if module == str(item.path) and before < number and (target is None or about in {None, target}):
                pytest.skip(f"not reached: step {before}: {seen}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first step of each module that was not good."""
        item = self._asked.get(report.nodeid)
        number = None if item is None else step_of(item)
        if item is None or number is None:
            return
        told: dict[str, Any] = getattr(report, "runbook", None) or {}
        judgement = told.get("judgement", {})
        if report.failed or judgement.get("judged") in {Judged.BAD, Judged.UNKNOWN}:
            seen = str(judgement.get("seen") or "it was not judged")
            self._failed.setdefault((str(item.path), target_of(item)), (number, seen))


def _order(item: pytest.Item) -> tuple[int, int, str]:
    return step_of(item) or 0, item.location[1] or 0, item.nodeid
