"""The container stack: one service in a container of a real engine, with a good image and with bad ones."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from ops_core.control.running.processes import MARK
from ops_core.drill import container_engine, sessions
from ops_core.drill.base_stack import Stack
from ops_core.drill.ports import Reservation
from ops_core.drill.work_dir import ServiceSpec, WorkDir, write_private
from ops_core.engine.answers import Container
from ops_core.engine.asking import Engine
from ops_core.errors import OpsError, UsageError

SHOP = "shop"
GOOD = "good"
ENGINE_S = 60.0
END_S = 60.0
HEARTBEAT_S = 1.0
SERVICES = {SHOP: ServiceSpec(name=SHOP, target=SHOP, port=8200, port_variable="OPS_SHOP_PORT", health_path="/")}
_TOML = f"""\
default_profile = "containers"
suites = ["observe"]

[profiles.containers]
drill = true
control_dir = "${{OPS_CONTROL_DIR:-control}}"
state_dir = "${{OPS_STATE_DIR:-state}}"
reports_dir = "${{OPS_REPORTS_DIR:-reports}}"
logs_dir = "${{OPS_LOGS_DIR:-logs}}"

[profiles.containers.budgets.probes]
container = 3
heartbeat = 3

[profiles.containers.targets.{SHOP}]
driver = "container"
container = "%(name)s"
engine_socket = "%(socket)s"

[profiles.containers.targets.{SHOP}.vars]
heartbeat_pattern = "^heartbeat"
heartbeat_window_s = {HEARTBEAT_S:g}
"""


@dataclass(frozen=True)
class ContainerDir(WorkDir):
    """The work directory of a container stack: its configuration; what the engine keeps lies elsewhere."""

    KIND: ClassVar[str] = "container stack"
    SERVICES: ClassVar[Mapping[str, ServiceSpec]] = SERVICES

    @property
    def config(self) -> Path:
        """The `ops.toml` that means this stack."""
        return self.root / "ops.toml"


class ContainerStack(Stack[ContainerDir]):
    """A container to break and to heal: `shop`."""

    LAYOUT = ContainerDir
    PROFILE = "containers"
    SUITE = "observe"
    DIR_VARIABLE = "OPS_CONTAINERS_DIR"
    DRIVER = "container"
    # A health check takes its time, and so does an engine on a busy machine.
    SETTLE_S = 30.0

    def __init__(self, work_dir: Path, *arguments: Any, **named: Any) -> None:
        super().__init__(work_dir, *arguments, **named)
        self.config = self.layout.config
        self.name = f"{SHOP}-{secrets.token_hex(4)}"
        self.images: Mapping[str, str] = {}
        self._folder: Path | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._untouched = ""
        self._engine_pid = 0

    @classmethod
    def lacking(cls) -> str:
        return container_engine.lacking()

    @property
    def running(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def engine(self) -> Engine:
        """The line to the engine."""
        if self._folder is None:
            raise UsageError("the container stack does not run", where=str(self.work_dir))
        return Engine(container_engine.socket_of(self._folder))

    def start(self, *, detached: bool = False) -> None:
        """Start the engine, make the images, run the good one, and wait until it is well.

        Raises:
            UsageError: the directory belongs to something else, or it is to be left running.
            OpsError: there is no engine to be had, or the container does not get well.
        """
        if detached:
            raise UsageError("a container stack has nothing to leave running", where=str(self.work_dir))
        self.layout.claim()
        try:
            self._reservation = Reservation(self._wanted_ports, self.layout.SERVICES)
            self._ports = self._reservation.ports
            self._folder = self._new_folder()
            self._keep(self._folder)
            write_private(self.config, _TOML % {"name": self.name, "socket": container_engine.socket_of(self._folder)})
            self.make_good(SHOP)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the engine with everything in it. Can be called at any time and as often as one likes."""
        keeper, self._keeper = self._keeper, None
        try:
            if keeper is not None:
                for stream in (keeper.stdin, keeper.stdout):
                    if stream is not None:
                        stream.close()
                keeper.wait(END_S)
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
            if self._reservation is not None:
                self._reservation.release()
                self._reservation = None

    def find(self) -> Container | None:
        """The container as the engine describes it now; None where there is none."""
        return self.engine.find(self.name)

    def signal(self, which: str) -> None:
        """Send a signal to the container's process: USR1 makes it sick, USR2 silent, HUP logs an error."""
        self._untouched = ""
        self._act("POST", f"kill?signal={which}")

    def pause(self) -> None:
        """Freeze the container."""
        self._untouched = ""
        self._act("POST", "pause")

    def remove(self) -> None:
        """Remove whatever bears the container's name, also what a rollback kept beside it."""
        self._untouched = ""
        for entry in self.engine.ask("GET", "/containers/json?all=1"):
            names = [str(one).lstrip("/") for one in entry["Names"]]
            if any(one == self.name or one.startswith(f"{self.name}.") for one in names):
                self.engine.ask("DELETE", f"/containers/{entry['Id']}?force=1", limit_s=ENGINE_S)

    def run(self, image: str, *, env: Sequence[str] = (), command: Sequence[str] = (), restart: str = "no") -> None:
        """Replace the container by one of another image, as a deployment does.

        Args:
            image: its name.
            env: what is set in its environment beside the port.
            command: what it does in place of what the image says.
            restart: when the engine starts it again by itself.
        """
        self.remove()
        # Who hunts what a drill has started knows it by this mark.
        marks = [f"{MARK}={os.environ[MARK]}"] if MARK in os.environ else []
        body = {
            "Image": f"service:{image}",
            "Env": [f"PORT={self._ports[SHOP]}", *marks, *env],
            "HostConfig": {"NetworkMode": "host", "RestartPolicy": {"Name": restart}},
            **({"Cmd": list(command)} if command else {}),
        }
        self.engine.ask("POST", f"/containers/create?name={self.name}", body, limit_s=ENGINE_S)
        self._act("POST", "start")

    def make_good(self, service: str) -> None:
        """A container of the good image, made anew where anything was done to it, that is well and has a heartbeat."""
        found = self.find() if self.running else None
        if not self.running or (found is not None and found.id == self._untouched):
            return
        self.run(GOOD)
        self.wait(lambda: self.is_well() and self._has_lasted(), f"{service} is not well")
        well = self.find()
        self._untouched = "" if well is None else well.id

    def is_well(self) -> bool:
        """Whether it runs, and its own health check is content."""
        found = self.find()
        return found is not None and (found.state, found.health) == ("running", "healthy")

    def log(self) -> str:
        """What the container has logged since its last start, as far as it is there."""
        return "".join(text for _, text in self._lines())

    def silent_s(self) -> float:
        """Seconds for which it has not logged a heartbeat; those since its start where it never did."""
        found = self.find()
        if found is None or not found.started_at:
            return 0.0
        last = max((at for at, text in self._lines() if "heartbeat" in text), default=found.started_at)
        # The engine writes nanoseconds, of which a datetime takes six digits.
        since = datetime.fromisoformat(last.rstrip("Z")[:26] + "+00:00")
        return (self.clock.now() - since).total_seconds()

    def signal_engine(self, signal_number: int) -> None:
        """Send a signal to the engine itself."""
        os.kill(self._engine_pid, signal_number)

    def engine_state(self) -> str:
        """What the kernel says about the engine's process: `T` is stopped."""
        return sessions.state(self._engine_pid)

    def answers(self, service: str) -> bool:
        return service in self.layout.SERVICES and self.is_well()

    def standing(self) -> dict[str, str]:
        found = self.find()
        names = [one["Names"] for one in self.engine.ask("GET", "/containers/json?all=1")]
        about = {"containers": str(len(names))}
        return about if found is None else {**about, "image": found.image_id, "state": f"{found.state} {found.health}"}

    def _lines(self) -> list[tuple[str, str]]:
        """When what was logged since the last start, as far as it is there."""
        found = self.find()
        if found is None or self._folder is None:
            return []
        file = self._folder / "data" / "containers" / found.id / f"{found.id}-json.log"
        with contextlib.suppress(OSError, ValueError, KeyError):
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            return [(one["time"], one["log"]) for one in lines if one["time"] >= found.started_at]
        return []

    def _has_lasted(self) -> bool:
        """Whether it has run for so long that its heartbeat can be judged."""
        return self.log().count("heartbeat") * 0.2 > HEARTBEAT_S

    def _act(self, method: str, what: str) -> None:
        found = self.find()
        if found is None:
            raise OpsError("the container is not there", where=self.name)
        self.engine.ask(method, f"/containers/{found.id}/{what}", limit_s=ENGINE_S)

    def _new_folder(self) -> Path:
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes a folder of ours alone
            folder = Path(tempfile.mkdtemp(prefix="ops-engine-", dir=parent))
            if len(os.fsencode(folder)) < container_engine.FOLDER_MAX:
                return folder
            folder.rmdir()
        raise UsageError("no place for a container engine: the path is too long", where=tempfile.gettempdir())

    def _keep(self, folder: Path) -> None:
        """Start the process that keeps the engine, and wait until it has one."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "ops_core.drill.container_engine", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None  # noqa: S101 - as it was asked for
        line = self._keeper.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"problem": "the process that keeps it has ended"}
        if "problem" in told:
            raise OpsError(f"there is no container engine: {told['problem']}", where=str(folder))
        self.images, self._engine_pid = told["images"], told["pid"]
