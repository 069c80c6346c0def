"""Fixtures for checks beside the probes."""

from __future__ import annotations

import pytest

from ops_core.config import Target
from ops_core.probes.registry import OBSERVER


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The target a check is about."""
    session = request.config.stash[OBSERVER]
    found: Target = session.targets[request.param]  # type: ignore[attr-defined]  # the session is the observer
    return found
