"""The judgements of a run, kept so that none gets lost.

Whatever was selected has a judgement in the end. What nobody judged, because the run was cut short, a file could not be
read or a worker process died, is unknown: never green, and never missing from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from ops_core.observation.record import Judgement
from ops_core.pytest_plugin import judging
from ops_core.pytest_plugin.collection import is_check_file
from ops_core.pytest_plugin.selection import CHECKS
from ops_core.verdict import Judged, Verdict, verdict_of


class Judgements:
    """Collects judgements by node id.

    Args:
        suite_of: the suite a file belongs to; None for a file that holds no operational checks.
        root: the folder that node ids are relative to.
    """

    def __init__(self, suite_of: Callable[[Path], str | None], root: Path) -> None:
        self._suite_of = suite_of
        self._root = root
        self._made: dict[str, Judgement] = {}
        self._items: dict[str, tuple[pytest.Item, str]] = {}
        self._remote: dict[str, None] = {}
        self._not_judged: dict[str, str] = {}
        self.worker_records: dict[str, dict[str, Any]] = {}

    @property
    def all(self) -> tuple[Judgement, ...]:
        """The judgements so far, in the order in which they were made."""
        return tuple(self._made.values())

    def exit_status(self) -> pytest.ExitCode:
        """What pytest has to end with where it saw no failure itself: green on nothing, or on less, is a defect."""
        verdict = verdict_of(judgement.judged for judgement in self._made.values())
        if verdict is Verdict.SKIPPED:
            return pytest.ExitCode.NO_TESTS_COLLECTED
        return pytest.ExitCode.OK if verdict is Verdict.HEALTHY else pytest.ExitCode.TESTS_FAILED

    def expect(self, items: Iterable[pytest.Item]) -> None:
        """The checks that this process is going to ask."""
        for item in items:
            suite = self._suite_of(item.path)
            if suite is not None:
                self._items[item.nodeid] = (item, suite)

    def expect_remote(self, ids: Iterable[str]) -> None:
        """The checks that a worker process is going to ask."""
        self._remote.update(dict.fromkeys(ids))

    def take(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """The judgement that came with a report; or, of one that failed without, that there is none."""
        data = getattr(report, "runbook", None)
        if data:
            raw = data["judgement"]
            values = {**raw, "judged": Judged(raw["judged"]), "evidence": tuple(raw["evidence"])}
            self._made[report.nodeid] = Judgement(**values)
            self.worker_records.update((record["id"], record) for record in data.get("records", ()))
        elif report.failed:
            self._not_judged.setdefault(report.nodeid, judging.told(str(report.longrepr)))

    @property
    def missing(self) -> list[str]:
        """The node ids of what was to be judged and is not."""
        expected = (*self._items, *self._remote)
        return [one for one in expected if one not in self._made and one not in self._not_judged]

    def complete(self, reason: str, redact: Callable[[str], str]) -> None:
        """Judge what is missing as unknown, because of `reason`."""
        for nodeid in self.missing:
            self._not_judged[nodeid] = f"not judged: {reason}"
        for nodeid, told in self._not_judged.items():
            if nodeid in self._made:
                continue
            item, suite = self._items.get(nodeid, (None, self._suite_by_id(nodeid)))
            if item is not None and suite is not None:
                self._made[nodeid] = judging.not_judged(item, suite, redact(told))
            elif suite is not None:
                self._made[nodeid] = judging.not_collected(nodeid, suite, redact(told))

    def _suite_by_id(self, nodeid: str) -> str | None:
        """The suite of a node id; of a file outside of the root only the name is known, which is enough."""
        file = nodeid.partition("::")[0]
        return self._suite_of(self._root / file) or (CHECKS if is_check_file(Path(file)) else None)
