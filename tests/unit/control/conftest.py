"""A control plane of its own for each test, on a clock that only moves when told to."""

from datetime import UTC, datetime

import pytest

from ops_core.clock import ManualClock
from ops_core.control.service import ControlPlane

NINE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    """A clock that stands at nine o'clock until it is moved."""
    return ManualClock(NINE)


@pytest.fixture
def store_path(tmp_path):
    """Where the store goes; neither it nor its folder is there yet."""
    return tmp_path / "state" / "control.db"


@pytest.fixture
def plane(store_path, clock):
    """A control plane whose store was just made: stopped, DRY_RUN."""
    plane = ControlPlane(store_path, clock, actor="kim", busy_timeout_s=0.0)
    plane.create()
    return plane
