"""A container engine of the tests' own: a real dockerd in a folder that goes away, without networks, and small images.

It is the one that drills break (`ops_core/drill/container_engine.py`). One engine serves all processes of a run: the
first that needs it starts it, the last one to leave ends it, with its containers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from support import eventually, need_program

from ops_core.drill.container_engine import PROGRAMS, end_engine, make_images, start_engine
from ops_core.engine.answers import Container
from ops_core.engine.asking import Engine

MARK = "RUNBOOK_CI"


@dataclass(frozen=True, kw_only=True)
class TestEngine:
    """A running engine. `images` are ids by name."""

    __test__ = False

    folder: Path
    images: Mapping[str, str]

    @property
    def socket(self) -> Path:
        """Where it is asked."""
        return self.folder / "engine.sock"

    @property
    def client(self) -> Engine:
        """A client of it."""
        return Engine(self.socket)

    def run(
        self,
        image: str,
        *,
        env: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        start: bool = True,
        tty: bool = False,
        **host: Any,
    ) -> str:
        """Start a container of an image, on the host's network and with a free port; returns its name."""
        name = f"c-{secrets.token_hex(4)}"
        body = {
            "Image": f"service:{image}",
            "Env": [f"PORT={free_port()}", f"{MARK}={os.environ.get(MARK, 'none')}", *env],
            "Labels": dict(labels or {}),
            "Tty": tty,
            "HostConfig": {"NetworkMode": "host", **host},
        }
        self.client.ask("POST", f"/containers/create?name={name}", body, limit_s=60)
        if start:
            self.client.ask("POST", f"/containers/{name}/start", limit_s=60)
        return name

    def find(self, name: str) -> Container:
        """The container of that name."""
        found = self.client.find(name)
        assert found is not None, name
        return found

    def signal(self, name: str, which: str) -> None:
        """Send a signal to the container's process: USR1 makes it sick, USR2 silent."""
        self.client.ask("POST", f"/containers/{self.find(name).id}/kill?signal={which}")

    def until(self, name: str, *, state: str = "running", health: str = "") -> Container:
        """Wait for a state, and a health."""
        eventually(
            lambda: (now := self.find(name)).state == state and health in {"", now.health},
            f"{name} is {state} {health}",
        )
        return self.find(name)


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def shared_engine(common: Path) -> Iterator[TestEngine]:
    """The engine that all processes of a test run share; `common` is a folder that they all know."""
    if os.geteuid() != 0:
        pytest.skip("a container engine needs root")
    for name in PROGRAMS:
        need_program(name)
    note = common / "engine.json"
    me = f"{os.getpid()}/{secrets.token_hex(4)}"
    with _locked(common):
        told = json.loads(note.read_text()) if note.exists() else None
        if told is None:
            folder = Path(mkdtemp(prefix="engine-"))
            pid = start_engine(folder)
            try:
                images = make_images(folder)
            except BaseException:
                end_engine(folder, pid)
                raise
            told = {"folder": str(folder), "pid": pid, "images": images, "users": []}
        note.write_text(json.dumps({**told, "users": [*told["users"], me]}))
    try:
        yield TestEngine(folder=Path(told["folder"]), images=told["images"])
    finally:
        with _locked(common):
            told = json.loads(note.read_text())
            # A worker that was killed leaves its name behind, and must not keep the engine up.
            users = [one for one in told["users"] if one != me and Path("/proc", one.partition("/")[0]).exists()]
            if users:
                note.write_text(json.dumps({**told, "users": users}))
            else:
                note.unlink()
                end_engine(Path(told["folder"]), told["pid"])


@contextlib.contextmanager
def _locked(common: Path) -> Iterator[None]:
    with (common / "engine.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
