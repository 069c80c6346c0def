"""What every stack does: start, be found again, answer for its processes, take versions, and end without a trace.

Nothing of it may outlive its owner: `leash.py` ties supervisord to the process that started it, and the services to
supervisord. Only a stack that was started detached stays until it is taken down.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from ops_core.clock import Clock, SystemClock
from ops_core.content import content_dir
from ops_core.drill import sessions
from ops_core.drill.host import Host
from ops_core.drill.ports import HOST, Reservation, declared_ports
from ops_core.drill.supervision import ProcessInfo, Supervision
from ops_core.drill.waiting import wait_until
from ops_core.drill.work_dir import WorkDir, digest_below, swap_link
from ops_core.errors import OpsError

SETTLE_S = 10.0
EFFECTS_BYTES_MAX = 1 << 22

SomeLayout = TypeVar("SomeLayout", bound=WorkDir)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One line of the effect ledger: a service was started."""

    time: str
    service: str
    pid: int
    release: str
    config: str


class Stack(Generic[SomeLayout]):
    """Services to break and to heal, under a supervisor of their own.

    Args:
        work_dir: where everything lies; made when missing.
        ports: by service; free ones by default.
        clock: tells the time and sleeps.
        state_dir: for `environ()`; `work_dir/state` by default.
        reports_dir: for `environ()`; `work_dir/reports` by default.
        config: the `ops.toml` for `environ()`; the shipped one by default.
    """

    LAYOUT: type[SomeLayout]
    PROFILE: str
    SUITE: str
    DIR_VARIABLE: str
    DRIVER = "process"
    SETTLE_S = SETTLE_S

    def __init__(
        self,
        work_dir: Path,
        ports: Mapping[str, int] | None = None,
        *,
        clock: Clock | None = None,
        state_dir: Path | None = None,
        reports_dir: Path | None = None,
        config: Path | None = None,
    ) -> None:
        self.work_dir = work_dir.absolute()
        self.layout = self.LAYOUT(self.work_dir)
        self.clock: Clock = clock or SystemClock()
        self.state_dir = (state_dir or self.work_dir / "state").absolute()
        self.reports_dir = (reports_dir or self.work_dir / "reports").absolute()
        self.config = (config or content_dir() / "ops.toml").absolute()
        self._wanted_ports = dict(ports) if ports else None
        self._ports: dict[str, int] = dict(ports) if ports else {}
        self._reservation: Reservation | None = None
        self._host = Host(self.layout, self.clock)

    def __enter__(self) -> Self:
        if not self.running:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, detached: bool = False) -> None:
        """Lay out the directory, start supervisord and the services, and wait until all of them are well.

        Args:
            detached: the stack outlives this process; somebody has to stop it (`attach(work_dir).stop()`).

        Raises:
            UsageError: the directory belongs to something else, or to a stack that runs.
            PortTaken: somebody else has one of the ports.
            Overdue: a service did not answer in time. Nothing is left running.
        """
        with self._host.claim() as lock:
            try:
                self._reservation = Reservation(self._wanted_ports, self.layout.SERVICES)
                self._ports = self._reservation.ports
                self._lay_out(lambda: secrets.token_urlsafe(32))
                self._host.launch(self._ports, lock, tied=not detached)
                self._wait_until_well()
            except BaseException:
                self.stop()
                raise
        if detached:
            self._reservation.release()
            self._host.detach()

    @classmethod
    def up(
        cls,
        work_dir: Path,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        detached: bool = False,
    ) -> Self:
        """Start a stack on the ports that `ops.toml` declares, unless the environment says otherwise.

        Raises:
            PortTaken: somebody else has one; the message says who.
            OpsError: whatever else `start` raises.
        """
        ports = declared_ports(os.environ if environ is None else environ, cls.LAYOUT.SERVICES)
        stack = cls(work_dir, ports, clock=clock)
        stack.start(detached=detached)
        return stack

    @classmethod
    def attach(cls, work_dir: Path, *, clock: Clock | None = None) -> Self:
        """The stack that runs in `work_dir`, started by another process.

        Raises:
            UsageError: none runs there.
        """
        stack = cls(work_dir, clock=clock)
        stack._ports = stack._host.attach()
        return stack

    def stop(self) -> None:
        """End everything. Can be called at any time and as often as one likes.

        Raises:
            Overdue: something could not be ended even with SIGKILL.
        """
        try:
            self._host.stop()
        finally:
            if self._reservation is not None:
                self._reservation.release()
                self._reservation = None

    @classmethod
    def lacking(cls) -> str:
        """Why such a stack cannot be started on this machine; empty where it can."""
        return ""

    @property
    def running(self) -> bool:
        """Whether its supervisord runs."""
        return self._host.running

    @property
    def supervision(self) -> Supervision:
        """The line to its supervisord."""
        return self._host.supervision

    @property
    def ports(self) -> Mapping[str, int]:
        """Port by service; empty before the start unless they were given."""
        return dict(self._ports)

    def url(self, service: str, path: str | None = None) -> str:
        """The address of a path of a service; of its health endpoint by default."""
        return f"http://{HOST}:{self._ports[service]}{path or self.layout.spec_of(service).health_path}"

    def environ(self) -> dict[str, str]:
        """What a child process needs in its environment for `ops.toml` to mean this stack."""
        return {
            self.DIR_VARIABLE: str(self.work_dir),
            "OPS_STATE_DIR": str(self.state_dir),
            "OPS_CONTROL_DIR": str(self.state_dir.with_name("control")),
            "OPS_LOGS_DIR": str(self.state_dir.with_name("logs")),
            "OPS_REPORTS_DIR": str(self.reports_dir),
            "OPS_CONFIG": str(self.config),
            "OPS_PROFILE": self.PROFILE,
            **{spec.port_variable: str(self._ports[name]) for name, spec in self.layout.SERVICES.items()},
        }

    def effects(self, service: str | None = None) -> tuple[Effect, ...]:
        """The effect ledger since the stack was started, oldest first; of one service if named.

        Raises:
            OpsError: the ledger is larger than any rehearsal makes it.
        """
        if self.layout.effects_log.stat().st_size > EFFECTS_BYTES_MAX:
            raise OpsError("the effect ledger is too large", where=str(self.layout.effects_log))
        # A line that is being written at this moment has no end yet: it is read the next time.
        whole, _, _ = self.layout.effects_log.read_text(encoding="utf-8").rpartition("\n")
        lines = whole.splitlines()
        effects = (Effect(**json.loads(line)) for line in lines)
        return tuple(effect for effect in effects if service in (None, effect.service))

    def process(self, service: str) -> ProcessInfo:
        """What supervisord says about a service."""
        return self.supervision.info(self.layout.spec_of(service).name)

    def system_state(self, service: str) -> str:
        """What the kernel says about a service's process: `S` sleeps, `T` is stopped by a signal, `X` is gone."""
        pid = self.process(service).pid
        return sessions.state(pid) if pid else "X"

    def standing(self) -> dict[str, str]:
        """What was deployed where, and what runs: equal before a fault and after it was withdrawn."""
        stands: dict[str, str] = {}
        for service in self.layout.SERVICES:
            stands[f"{service}: in force"] = " and ".join(self.layout.in_force(service))
            stands[f"{service}: process"] = self.process(service).state
            for about, link in (
                ("releases", self.layout.release_link(service)),
                ("configurations", self.layout.config_link(service)),
            ):
                stands[f"{service}: {about}"] = digest_below(link.parent)
        return stands

    def answers(self, service: str) -> bool:
        """Whether a service answers anything at all."""
        raise NotImplementedError

    def make_good(self, service: str) -> None:
        """Put a service back to its known good state, whatever was done to it, its process too while the stack runs."""
        raise NotImplementedError

    def deploy_release(self, service: str, name: str, patch: Mapping[str, str]) -> None:
        """Write a release of a service and put it in force; the running process keeps the old one until `restart`."""
        raise NotImplementedError

    def deploy_config(self, service: str, name: str, changes: Mapping[str, str | None]) -> None:
        """Write a configuration and put it in force; the running process keeps the old one until `restart`.

        Args:
            service: whose.
            name: such as `2.env`.
            changes: settings on top of the known good configuration; None removes one.

        Raises:
            UsageError: the name is taken, or a value does not fit on a line.
        """
        settings: dict[str, str | None] = {**self.layout.good_settings(service), **changes}
        kept = {key: value for key, value in settings.items() if value is not None}
        self.layout.write_config(service, name, kept)
        swap_link(self.layout.config_link(service), name)

    def restart(self, service: str) -> None:
        """Stop and start a service, and wait until it answers anything at all, or has ended.

        Raises:
            SupervisorError: supervisord refused.
            Overdue: neither happened.
        """
        self.supervision.stop(self.layout.spec_of(service).name)
        self.launch(service)

    def launch(self, service: str) -> None:
        """Start a service that does not run, and wait as `restart` does."""
        self.supervision.start(self.layout.spec_of(service).name)

        def settled() -> bool:
            return self.answers(service) or self.process(service).state != "RUNNING"

        self.wait(settled, f"{service} does not answer")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition.

        Raises:
            Overdue: it did not come to hold.
        """
        wait_until(condition, self.clock, self.SETTLE_S, what, where=str(self.work_dir / "logs"))

    def _runs_what_is_in_force(self, service: str, pid: int) -> bool:
        started = [effect for effect in self.effects(service) if effect.pid == pid]
        return bool(started) and (started[-1].release, started[-1].config) == self.layout.in_force(service)

    def _lay_out(self, new_secret: Callable[[], str]) -> None:
        raise NotImplementedError

    def _wait_until_well(self) -> None:
        raise NotImplementedError
