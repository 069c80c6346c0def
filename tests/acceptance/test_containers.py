"""Containers of a real engine: really broken, found, decided, put right by `ops incident run`, verified and reported."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from engine import TestEngine, shared_engine
from operating import Site
from postgresql import common_folder

pytestmark = pytest.mark.slow

OPS_TOML = """\
default_profile = "site"
suites = ["observe"]

[profiles.site]
drill = true
control_dir = "control"
state_dir = "state"
reports_dir = "reports"
logs_dir = "logs"

[profiles.site.budgets.probes]
container = 3
heartbeat = 3

[profiles.site.targets.shop]
driver = "container"
container = "{name}"
engine_socket = "{socket}"

[profiles.site.targets.shop.vars]
heartbeat_pattern = "^heartbeat"
heartbeat_window_s = 2
"""


@dataclass
class Shop(Site):
    """A repository whose one target is a container."""

    engine: TestEngine | None = None
    name: str = ""

    def configure(self, **changes: Any) -> None:
        """Write `ops.toml`."""
        for key, value in changes.items():
            setattr(self, key, value)
        assert self.engine is not None
        (self.root / "ops.toml").write_text(OPS_TOML.format(name=self.name, socket=self.engine.socket))

    def seen_good(self) -> str:
        """Look until all is well, so that the image in force is the last good one; returns the container's id."""
        assert self.engine is not None
        self.engine.until(self.name, health="healthy")
        self.ops("observe", "--json")
        return self.engine.find(self.name).id

    def incident(self, *, code: int = 0) -> dict[str, Any]:
        """Run an incident to its end; returns its record."""
        told = self.ops("incident", "run", "--json", code=None, timeout_s=120)
        assert told.code == code, told.out + told.err
        [record] = sorted((self.root / "reports" / "incidents").glob("*/incident.json"))[-1:]
        found: dict[str, Any] = json.loads(record.read_text())
        assert sorted(record.parent.glob("*.md")), "it is told to people"
        return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEngine]:
    """The engine of this run."""
    with shared_engine(common_folder(tmp_path_factory)) as running:
        yield running


@pytest.fixture
def shop(engine: TestEngine, tmp_path: Path) -> Shop:
    """A shop that was seen good."""
    site = Shop(root=tmp_path, engine=engine, name=engine.run("good", env=("OWN=kept",)))
    site.configure()
    site.ops("estop", "release", "--reason", "ready for tests")
    site.ops("gate", "set", "MOCK_ONLY", "--reason", "a drill")
    return site


def decided(record: dict[str, Any]) -> list[tuple[str, str]]:
    """Which rows were matched, and which remediations were applied."""
    text = json.dumps(record)
    return [(row, remedy) for row, remedy in ROWS if f'"{row}"' in text and f'"{remedy}"' in text]


ROWS = (
    ("container-exited", "restart_service"),
    ("container-unhealthy", "restart_service"),
    ("container-unhealthy-new-image", "rollback_image"),
    ("container-exited-new-image", "rollback_image"),
)


def test_a_container_that_exited_is_started_again(engine: TestEngine, shop: Shop) -> None:
    """Killed for real: found as exited, started by the same id, seen healthy by the checks that found it."""
    identity = shop.seen_good()
    engine.signal(shop.name, "KILL")
    engine.until(shop.name, state="exited")
    record = shop.incident()
    assert ("container-exited", "restart_service") in decided(record)
    found = engine.until(shop.name, health="healthy")
    assert found.id == identity


def test_an_unhealthy_container_is_restarted(engine: TestEngine, shop: Shop) -> None:
    """Its own health check fails: it is stopped and started, and is another process then."""
    shop.seen_good()
    before = engine.find(shop.name).pid
    engine.signal(shop.name, "USR1")
    engine.until(shop.name, health="unhealthy")
    record = shop.incident()
    assert ("container-unhealthy", "restart_service") in decided(record)
    assert engine.until(shop.name, health="healthy").pid != before


@pytest.mark.parametrize(("image", "row"), [("sick", "container-unhealthy"), ("crash", "container-exited")])
def test_an_image_that_was_rolled_forward_broken_is_rolled_back(
    engine: TestEngine, shop: Shop, image: str, row: str
) -> None:
    """The last good image runs again under the same name, with its own command and the container's own settings."""
    shop.seen_good()
    port = [one for one in engine.find(shop.name).raw["Config"]["Env"] if one.startswith("PORT=")]
    roll_forward(engine, shop.name, image)
    if image == "sick":
        engine.until(shop.name, health="unhealthy")
    else:
        engine.until(shop.name, state="exited")
    broken = engine.find(shop.name).id
    record = shop.incident()
    assert (f"{row}-new-image", "rollback_image") in decided(record)
    found = engine.until(shop.name, health="healthy")
    assert found.image_id == engine.images["good"]
    assert found.raw["Config"]["Cmd"] == ["/service", "good"]
    assert found.raw["Config"]["Labels"]["version"] == "good"
    assert {"OWN=kept", "VERSION=good", *port} <= set(found.raw["Config"]["Env"])
    assert found.raw["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    kept = engine.find(f"{shop.name}.ops-{broken[:12]}")
    assert (kept.id, kept.state) == (broken, "exited")
    assert kept.raw["HostConfig"]["RestartPolicy"]["Name"] == "no"


@pytest.mark.parametrize("how", ["missing", "wedged", "not an engine"])
def test_an_engine_that_cannot_be_asked_is_not_called_bad(engine: TestEngine, shop: Shop, how: str) -> None:
    """No socket, one that takes connections and never answers, one that talks nonsense: UNKNOWN within the budget."""
    short = Path(mkdtemp(prefix="no-engine-"))
    shop.configure(engine=TestEngine(folder=short, images={}))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, short)
        if how != "missing":
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(str(short / "engine.sock"))
            server.listen()
        if how == "not an engine":
            threading.Thread(target=talk_nonsense, args=(server,), daemon=True).start()
        told = shop.ops("observe", "--json", code=None)
    assert told.code != 0
    judged = told.json()
    assert judged["verdict"] == "UNKNOWN", told.out
    assert engine.find(shop.name).state == "running"


def talk_nonsense(server: socket.socket) -> None:
    """Answer everybody with what is no HTTP, until the server is closed."""
    with contextlib.suppress(OSError):
        while True:
            one, _ = server.accept()
            with one:
                one.sendall(b"220 welcome\r\n")


def roll_forward(engine: TestEngine, name: str, image: str) -> None:
    """What a deployment does: the container is replaced by one of another image."""
    old = engine.find(name)
    env = [one for one in old.raw["Config"]["Env"] if not one.startswith("VERSION=")]
    engine.client.ask("DELETE", f"/containers/{old.id}?force=1", limit_s=60)
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    body = {
        "Image": f"service:{image}",
        "Env": env,
        "HostConfig": {"NetworkMode": "host", "RestartPolicy": policy},
    }
    engine.client.ask("POST", f"/containers/create?name={name}", body, limit_s=60)
    engine.client.ask("POST", f"/containers/{name}/start", limit_s=60)
