"""What the tests of instruments share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile import Behaviour, HostileServer

from ops_core.config import Settings, load_settings
from ops_core.evidence import ControlEvidence
from ops_core.probes.instruments.context import LastGood, Lookout
from ops_core.probes.instruments.redact import Redactor
from ops_core.probes.instruments.transport import TlsContexts

SECRET = "correct-horse-battery"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "ops.toml").write_text("[profiles.default.targets.one]\n[profiles.default.secrets.OWN]\nfile = 'own'\n")
    (tmp_path / "own").write_text(SECRET + "\n")
    return load_settings(tmp_path / "ops.toml", environ={})


@pytest.fixture
def lookout(settings: Settings) -> Lookout:
    return Lookout(
        settings=settings,
        redact=Redactor([SECRET]),
        tls=TlsContexts(None),
        now=time.monotonic,
        read_control=lambda: ControlEvidence(store="x", stopped=False, stop_reason="", gate="DRY_RUN"),
        read_last_good=lambda _: LastGood(release="v1"),
    )


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], HostileServer]]:
    servers = []

    def start(behaviour: Behaviour) -> HostileServer:
        servers.append(HostileServer(behaviour))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
