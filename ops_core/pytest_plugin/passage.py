"""The way to the shipped checks, without looking around.

pytest lists every directory above a path it collects. Above the shipped checks lies `site-packages`: hundreds of
entries about each of which it asks every plugin, at every run, for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


class Passage(pytest.Directory):
    """A directory in which nothing but the next one on the way matters."""

    onward: Path

    def collect(self) -> Iterator[pytest.Collector]:
        """The next directory on the way."""
        depth = len(self.path.parts)
        path = Path(*self.onward.parts[: depth + 1])
        found = self.ihook.pytest_collect_directory(path=path, parent=self)
        if found is not None:
            yield found


class Passages:
    """Makes passages of the directories above the shipped checks, apart from those that also lie above the user's own.

    Args:
        shipped: the folder with the shipped checks.
        own: the folder with the user's checks.
        root: pytest's root directory.
    """

    def __init__(self, shipped: Path, own: Path, root: Path) -> None:
        self._shipped = shipped
        self._above = frozenset(shipped.parents) - {*own.parents, *root.parents, root}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> Passage | None:
        """A passage for a directory on the way."""
        if path not in self._above:
            return None
        passage = Passage.from_parent(parent, path=path)
        passage.onward = self._shipped
        return passage
