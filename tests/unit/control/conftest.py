"""A control plane of its own for each test, on a clock that only moves when told to."""

from datetime import UTC, datetime

import pytest
from postgresql import common_folder, new_schema, shared_server

from ops_core.clock import ManualClock
from ops_core.control.location import StoreLocation
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


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A PostgreSQL server, shared by all tests that do it no harm."""
    with shared_server(common_folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, store_path):
    """Where a store goes, once in a file and once in a database; the latch lies at the same place."""
    if request.param == "sqlite":
        return StoreLocation(path=store_path)
    server = request.getfixturevalue("server")
    return server.location(store_path, new_schema(server))


@pytest.fixture
def plane(store_path, clock):
    """A control plane whose store, a file, was just made: stopped, DRY_RUN."""
    return _made(store_path, clock)


@pytest.fixture
def plane_anywhere(place, clock):
    """The same, once in a file and once in a database."""
    return _made(place, clock)


def _made(place, clock):
    plane = ControlPlane(place, clock, actor="kim", busy_timeout_s=0.0)
    plane.create()
    return plane
