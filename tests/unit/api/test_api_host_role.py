"""The server of a producer's host: it tells and makes safer, and does nothing of the operator's day."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops_core.api.app import create_app
from ops_core.api.authority import Act
from ops_core.cli import main
from ops_core.clock import SystemClock
from ops_core.config import Settings, load_settings
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator

TOML = """\
[profiles.default]
role = "{role}"
[profiles.default.serve]
host = "{host}"
[profiles.default.targets.this-host.vars]
nothing = "to look at"
"""
OPERATORS = (
    ("/api/ops/cycle/run", None),
    ("/api/ops/push/live_fire/run", None),
    ("/api/live/cycle/run?confirm=true", None),
    ("/api/live/cycle/run", None),
    ("/api/ops/summary/regenerate?confirm=true", None),
    ("/api/execution_gate", {"mode": "REAL_ENABLED", "reason": "r"}),
    ("/api/real_sender_enable", {"enabled": True, "reason": "r"}),
    ("/api/real_enable_window/request", {"reason": "r"}),
)
ANYBODYS = (
    ("/api/execution_gate", {"mode": "DRY_RUN", "reason": "r"}),
    ("/api/real_sender_enable", {"enabled": False, "reason": "r"}),
    ("/api/emergency_stop", {"enabled": True, "reason": "r"}),
    ("/api/emergency_stop", {"enabled": False, "reason": "r"}),
)


def repository(folder: Path, role: str, host: str = "127.0.0.1") -> Settings:
    """A repository whose host has that role."""
    (folder / "ops.toml").write_text(TOML.format(role=role, host=host), encoding="utf-8")
    return load_settings(folder / "ops.toml", environ={})


class Host:
    """A server in this process, a person with every scope, and what it would have started."""

    def __init__(self, folder: Path, role: str) -> None:
        self.settings = repository(folder, role)
        self.plane = plane_of(self.settings, SystemClock(), "tests")
        self.plane.create()
        self.plane.release("ready")
        scopes = [act.value for act in Act]
        self.token = add_operator(self.plane, "ann", key_file=folder / "ann.pem", scopes=scopes).token
        self.launched: list[str] = []
        self.app = create_app(self.settings, SystemClock(), launching=self._launch)

    def _launch(self, _settings: Settings, module: str, _request: dict[str, Any]) -> dict[str, Any]:
        self.launched.append(module)
        return {"result": "OK"}

    def post(self, path: str, body: dict[str, Any] | None, *, named: bool) -> httpx.Response:
        """One answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if named else {}
        return asyncio.run(self._asking("POST", path, headers, body))

    def get(self, path: str) -> httpx.Response:
        """One answer to who shows no token."""
        return asyncio.run(self._asking("GET", path, {}, None))

    async def _asking(self, method: str, path: str, headers: dict[str, str], body: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.request(method, path, headers=headers, json=body)


@pytest.fixture(scope="module")
def producer(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The server of a producer's host."""
    return Host(tmp_path_factory.mktemp("producer"), "producer")


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("path", "body"), OPERATORS)
def test_producer_does_nothing_of_the_operators_day(
    producer: Host, path: str, body: dict[str, Any] | None, *, named: bool
) -> None:
    """Refused with 409 and where to do it, whatever token is shown; nothing was started or changed."""
    before = producer.plane.state().version
    found = producer.post(path, body, named=named)
    assert found.status_code == 409, found.text
    assert "is not done on the producer's host" in found.json()["error"]
    assert found.json()["next"].startswith("type it on the operator's host")
    assert producer.launched == []
    assert producer.plane.state().version == before


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("path", "body"), ANYBODYS)
def test_producer_is_made_safer_by_anybody(producer: Host, path: str, body: dict[str, Any], *, named: bool) -> None:
    """Closing the gate, switching off the sender and the emergency stop are anybody's on any host."""
    assert producer.post(path, body, named=named).status_code == 200


def test_producer_tells_what_it_knows(producer: Host) -> None:
    """Looking at this host's own state is what its dashboard is for; the alerts are the operator's."""
    for path in ("/api/ops/health", "/api/status", "/api/ops/summary/latest", "/api/live/cycle/latest", "/metrics"):
        assert producer.get(path).status_code == 200
    assert producer.get("/api/live/alerts/preview").status_code == 409


@pytest.mark.parametrize("role", ["operator"])
def test_operator_does_its_day(tmp_path: Path, role: str) -> None:
    """The same requests get through to what they ask for."""
    host = Host(tmp_path, role)
    assert host.post("/api/ops/cycle/run", None, named=False).status_code == 200
    assert host.launched == ["ops_core.cycle"]


def test_producer_listens_to_its_own_host_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ops serve` on another address is refused before anything is opened."""
    repository(tmp_path, "producer", "0.0.0.0")
    assert main(["serve", "--port", "0", "--config", str(tmp_path / "ops.toml")]) == 2
    assert "local only" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ["ops.toml"]
