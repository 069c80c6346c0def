"""What the tests of the plugin share: a project to run, and a healthy server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import hostile
import pytest
from hostile import Behaviour, HostileServer
from observing import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[..., HostileServer]]:
    servers = []

    def start(behaviour: Behaviour = hostile.healthy) -> HostileServer:
        servers.append(HostileServer(behaviour))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
