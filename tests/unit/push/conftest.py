"""A Bot API server and a profile that may fire, for each test."""

import pytest
from bot_api import BotApi
from postgresql import common_folder, new_schema, shared_server
from push_world import PushWorld

from ops_core.control.service import ControlPlane


@pytest.fixture
def bot():
    with BotApi() as server:
        yield server


@pytest.fixture
def world(tmp_path, bot):
    """A profile with everything that a live fire needs, but for messages, a window, the gate and the sender."""
    return PushWorld(tmp_path, bot.url)


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    """A PostgreSQL server, shared by all tests that do it no harm."""
    with shared_server(common_folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def armed_anywhere(request, world):
    """A profile that may fire, its store once in a file and once in a database."""
    if request.param == "postgresql":
        server = request.getfixturevalue("database")
        place = server.location(world.settings.control_store, new_schema(server))
        world.plane = ControlPlane(place, world.clock, actor="kim")
    world.settle("hello", "second")
    world.arm()
    return world
