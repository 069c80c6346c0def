"""Time limits of checks. A check is pure and takes no time; where one hangs, it must cost its time once, and little."""

from __future__ import annotations

import time
from typing import Any

import pytest

CHECK_TIMEOUT_S = 5.0
CHECK_TIMEOUT_LEAST_S = 0.5


class CheckLimits:
    """Limits checks by pytest-timeout; without that plugin only the last net is left.

    Args:
        config: of the run.
        deadline: monotonic seconds at which the total budget ends.
    """

    def __init__(self, config: pytest.Config, deadline: float) -> None:
        self._config = config
        self._deadline = deadline
        self._hung: dict[Any, str] = {}

    def collected(self, item: pytest.Item) -> None:
        """Set the usual limit. A limit of the check's own goes first."""
        self._limit(item, CHECK_TIMEOUT_S, append=True)

    def about_to_run(self, item: pytest.Item) -> None:
        """Shorten the limit near the deadline and behind it.

        Raises:
            pytest.fail.Exception: the same check hung already when it was asked about another target.
        """
        function = getattr(item, "function", None)
        if function in self._hung:
            pytest.fail(f"not asked again: it did not end in {self._hung[function]}", pytrace=False)
        left_s = self._deadline - time.monotonic()
        if left_s < CHECK_TIMEOUT_S:
            self._limit(item, max(left_s, CHECK_TIMEOUT_LEAST_S), append=False)

    def hung(self, item: pytest.Item) -> None:
        """The check did not end in time."""
        self._hung[getattr(item, "function", None)] = item.nodeid

    def _limit(self, item: pytest.Item, limit_s: float, *, append: bool) -> None:
        if self._config.pluginmanager.hasplugin("timeout"):
            item.add_marker(pytest.mark.timeout(limit_s, func_only=True, method="signal"), append=append)
