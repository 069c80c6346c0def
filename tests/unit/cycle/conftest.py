"""The shipped checks are judged here without an operational run, so their mark has to be known."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the suite's mark known."""
    config.addinivalue_line("markers", "daily: the checks of the suite 'daily'")
