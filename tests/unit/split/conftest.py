"""What the tests of the day share. The shipped checks are judged here without an operational run."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the suite's mark known."""
    config.addinivalue_line("markers", "handoff: the checks of the suite 'handoff'")
