"""A container engine of the tests' own: a real dockerd in a folder that goes away, without networks, and small images.

One engine serves all processes of a run: the first that needs it starts it, the last one to leave ends it, with its
containers. It needs root. The images hold one static program (`container_service.c`).
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import io
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import urlencode

import pytest
from support import eventually, need_program

from ops_core.engine.answers import Container
from ops_core.engine.asking import Engine, EngineUnanswered

SOURCE = Path(__file__).with_name("container_service.c")
HEALTH = {
    "Test": ["CMD", "/service", "check"],
    "Interval": 300_000_000,
    "Timeout": 3_000_000_000,
    "StartPeriod": 1_000_000,
    "Retries": 2,
}
# What each image does: `sick` answers 500, `crash` ends at once, `mute` has no heartbeat.
IMAGES = {"good": "good", "sick": "sick", "crash": "crash"}
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
    need_program("dockerd")
    need_program("gcc")
    note = common / "engine.json"
    me = f"{os.getpid()}/{secrets.token_hex(4)}"
    with _locked(common):
        told = json.loads(note.read_text()) if note.exists() else None
        if told is None:
            folder = Path(mkdtemp(prefix="engine-"))
            pid = _start(folder)
            try:
                images = {name: _import(folder, name, does) for name, does in IMAGES.items()}
            except BaseException:
                _end(folder, pid)
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
                _end(Path(told["folder"]), told["pid"])


def _start(folder: Path) -> int:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(need_program("dockerd"), "--bridge=none", "--iptables=false", "--ip6tables=false"),
                *("--shutdown-timeout=2", f"--host=unix://{folder}/engine.sock", f"--data-root={folder}/data"),
                *(f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # It looks for containerd and runc, which lie where only the administrator looks.
            env={**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"},
            start_new_session=True,
        )

    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail(f"dockerd ended: {(folder / 'log').read_text(errors='replace')[-2000:]}", pytrace=False)
        try:
            Engine(folder / "engine.sock").ask("GET", "/version", limit_s=2)
        except EngineUnanswered:
            return False
        return True

    eventually(answers, "dockerd answers", limit_s=60)
    # Another process may be the one that ends it: nothing here is to wait for it, or to complain that nobody did.
    process.returncode = 0
    return process.pid


def _import(folder: Path, name: str, does: str) -> str:
    """Make an image of the static program; returns its id."""
    program = folder / "service"
    if not program.exists():
        subprocess.run(["gcc", "-static", "-Os", "-o", program, SOURCE], check=True, timeout=120)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(program, "service")
    changes = (
        f'CMD ["/service", "{does}"]',
        f"ENV VERSION={name}",
        f"LABEL version={name}",
        'HEALTHCHECK --interval=300ms --timeout=3s --start-period=1ms --retries=2 CMD ["/service", "check"]',
    )
    query = urlencode([("fromSrc", "-"), ("repo", "service"), ("tag", name), *(("changes", one) for one in changes)])
    connection = http.client.HTTPConnection("engine", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(str(folder / "engine.sock"))
    try:
        headers = {"Content-Type": "application/x-tar"}
        connection.request("POST", f"/images/create?{query}", packed.getvalue(), headers)
        said = connection.getresponse().read().decode()
    finally:
        connection.close()
    status = json.loads(said.strip().splitlines()[-1]).get("status", "")
    assert status.startswith("sha256:"), said
    return str(status).removeprefix("sha256:")


def _end(folder: Path, pid: int) -> None:
    with contextlib.suppress(Exception):  # whatever is wrong with it, it is ended below
        client = Engine(folder / "engine.sock")
        for entry in client.ask("GET", "/containers/json?all=1"):
            client.ask("DELETE", f"/containers/{entry['Id']}?force=1", limit_s=30)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    try:
        eventually(lambda: not _of(folder), "dockerd and what it started end", limit_s=20)
    finally:
        for one in _of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(f"{folder}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], check=False, timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def _of(folder: Path) -> list[int]:
    """The processes that name the engine's folder: dockerd, containerd and its shims."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes().decode(errors="replace").split("\0")
            if any(str(folder) in word for word in words) and int(entry.parent.name) != os.getpid():
                found.append(int(entry.parent.name))
    return found


@contextlib.contextmanager
def _locked(common: Path) -> Iterator[None]:
    with (common / "engine.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
