"""Fixtures for checks beside the probes."""

from __future__ import annotations

import pytest

from ops_core.probes.registry import OBSERVER
from ops_core.targets import Target


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The target a check is about."""
    return request.config.stash[OBSERVER].targets[request.param]


@pytest.fixture(scope="session")
def allow_ready_degraded(request: pytest.FixtureRequest) -> bool:
    """Whether a service that says that it works with less is good enough for this run."""
    return bool(request.config.option.allow_ready_degraded)
