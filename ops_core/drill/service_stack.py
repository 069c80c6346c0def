"""The service stack: the reference service on a real PostgreSQL and a real Redis, in a directory of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ops_core.drill import servers
from ops_core.drill.base_stack import Stack
from ops_core.drill.host import PASSED_ON
from ops_core.drill.ports import HOST
from ops_core.drill.service_layout import ACCOUNT, DATABASE, INGEST, LOAD, PASSWORD, REDIS, SECRETS, ServiceLayout
from ops_core.drill.waiting import wait_until
from ops_core.drill.work_dir import digest_below, swap_link
from ops_core.errors import OpsError, UsageError

if TYPE_CHECKING:
    import psycopg

START_S = 60.0
MIGRATE_S = 60.0
CONNECT_S = 2
SCHEMES = {DATABASE: "postgresql", REDIS: "redis"}
GOOD_SCHEMA = "0002"
PROGRAMS = ("initdb", "postgres", "redis-server")
# In this order each stands on what is well already.
ORDER = (DATABASE, REDIS, INGEST)


class ServiceStack(Stack[ServiceLayout]):
    """A service to break and to heal, and what it stands on: `database`, `redis`, `ingest`."""

    LAYOUT = ServiceLayout
    PROFILE = "service"
    SUITE = "service"
    DIR_VARIABLE = "OPS_SERVICE_DIR"
    DRIVER = "service"
    # Starting the service means importing a web framework.
    SETTLE_S = 30.0

    @classmethod
    def lacking(cls) -> str:
        try:
            servers.need_packages()
            for name in PROGRAMS:
                servers.program(name)
        except UsageError as error:
            return error.what
        return ""

    def standing(self) -> dict[str, str]:
        schema = {"schema": self.schema(), "migrations": digest_below(self.layout.schema.parent)}
        return {**super().standing(), **schema, "clients": self.supervision.info(LOAD).state}

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            if not self.running:
                self.layout.remove_cluster()

    def url(self, service: str, path: str | None = None) -> str:
        if service == INGEST:
            return super().url(service, path)
        return f"{SCHEMES[service]}://{HOST}:{self._ports[service]}"

    def secret(self, name: str) -> str:
        """The operator's copy of `POSTGRES_PASSWORD`, `API_KEY` or `JWT_SECRET`."""
        return self.layout.secret(name)

    def secrets_environ(self) -> dict[str, str]:
        """The operator's copies of all secrets, as environment variables."""
        return {name: self.secret(name) for name in SECRETS}

    def answers(self, service: str) -> bool:
        if service == INGEST:
            return self.status(service) != 0
        with contextlib.suppress(OSError), socket.create_connection((HOST, self._ports[service]), timeout=CONNECT_S):
            return True
        return False

    def status(self, service: str = INGEST, path: str | None = None, *, limit_s: float = 5.0) -> int:
        """The HTTP status of a GET; 0 when there is no answer within `limit_s`."""
        return self.ask(path or self.layout.spec_of(service).health_path, limit_s=limit_s)[0]

    def ask(
        self, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, limit_s: float = 5.0
    ) -> tuple[int, Any]:
        """Status and JSON body of a GET, or of a POST where there is a body; `(0, None)` without an answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        status, text = self._exchange(path, data, headers or {}, limit_s)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, None

    def text(self, path: str) -> str:
        """The body of a GET; empty without an answer."""
        return self._exchange(path, None, {}, CONNECT_S)[1].decode(errors="replace")

    def ready(self) -> tuple[int, str]:
        """Status of the readiness endpoint, and the word that it says: ready, degraded, unready; or empty."""
        status, body = self.ask("/health/ready")
        return status, str(body.get("status", "")) if isinstance(body, dict) else ""

    def deploy_release(self, service: str, name: str, patch: Mapping[str, str]) -> None:
        """Write a release of the service and put it in force; the running process keeps the old one until `restart`.

        Args:
            service: `ingest`.
            name: such as `v2`.
            patch: passages of the known good release's code, and what stands there instead.

        Raises:
            UsageError: the service has no releases, a passage does not occur exactly once, the result is not Python, or
                the name is taken.
        """
        if service != INGEST:
            raise UsageError(f"{service} has no releases", allowed=INGEST)
        self.layout.write_release(name, patch)
        swap_link(self.layout.release_link(INGEST), name)

    def connect(self, database: str = ACCOUNT) -> psycopg.Connection:
        """A connection to PostgreSQL as the service has it; every statement for itself.

        Raises:
            psycopg.Error: there is none to be had.
        """
        import psycopg

        return psycopg.connect(
            f"postgresql://{ACCOUNT}@{HOST}:{self._ports[DATABASE]}/{database}",
            password=self.secret(PASSWORD),
            autocommit=True,
            connect_timeout=CONNECT_S,
        )

    def schema(self) -> str:
        """The revision of the schema that the database says is in force; empty where it does not say."""
        import psycopg

        try:
            with self.connect() as connection:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.Error:
            return ""
        return str(row[0]) if row else ""

    def migrate(self, *words: str) -> None:
        """`alembic upgrade head`, `alembic downgrade -1`: what a person types, with the stack's own schema.

        Raises:
            OpsError: it did not end well.
        """
        environ = {key: value for key, value in os.environ.items() if key in PASSED_ON}
        environ |= {"DATABASE_URL": self.layout.database_url(), PASSWORD: self.secret(PASSWORD)}
        argv = [sys.executable, "-P", "-B", "-m", "alembic", "-c", str(self.layout.schema), *words]
        done = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            env=environ,
            cwd=self.work_dir,
            stdin=subprocess.DEVNULL,
            timeout=MIGRATE_S,
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise OpsError(f"alembic {' '.join(words)} ended with {done.returncode}: {said[:200]}")

    def load(self, *, on: bool) -> None:
        """Start or end the clients that send as much as they can."""
        if on:
            self.supervision.start(LOAD)
        else:
            self.supervision.stop(LOAD)

    def make_good(self, service: str) -> None:
        """Put a service, and all that it stands on or that leans on it, back to the known good state."""
        self.layout.spec_of(service)
        self.layout.make_good(INGEST)
        if not self.running:
            self.layout.restore_schema()
            return
        self.load(on=False)
        for name in ORDER:
            if self.process(name).state == "RUNNING":
                self.supervision.signal(name, signal.SIGCONT)
            if self.process(name).state != "RUNNING":
                self.launch(name)
            if name == DATABASE:
                self.wait(self._database_answers, "the database does not answer")
                self._restore_schema()
        if not self._runs_what_is_in_force(INGEST, self.process(INGEST).pid):
            self.restart(INGEST)
        self.wait(lambda: self.status() == 200, "ingest is not ready")

    def _exchange(self, path: str, body: bytes | None, headers: Mapping[str, str], limit_s: float) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HOST, self._ports[INGEST], timeout=limit_s)
        try:
            connection.request("GET" if body is None else "POST", path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def _restore_schema(self) -> None:
        if self.schema() != GOOD_SCHEMA:
            self.migrate("downgrade", GOOD_SCHEMA)
        self.layout.restore_schema()

    def _lay_out(self, new_secret: Callable[[], str]) -> None:
        servers.need_packages()
        for name in PROGRAMS:
            servers.program(name)
        self.layout.lay_out(self._ports, new_secret)

    def _wait_until_well(self) -> None:
        logs = str(self.work_dir / "logs")

        def holds(condition: Callable[[], bool]) -> Callable[[], bool]:
            def looked_at() -> bool:
                if not self.running:
                    raise OpsError("supervisord ended at once", where=logs)
                self.supervision.nudge()
                return condition()

            return looked_at

        wait_until(holds(self._database_answers), self.clock, START_S, "the database does not answer", where=logs)
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {ACCOUNT}")
        self.migrate("upgrade", "head")
        wait_until(holds(lambda: self.status() == 200), self.clock, START_S, "ingest is not ready", where=logs)

    def _database_answers(self) -> bool:
        import psycopg

        try:
            self.connect("postgres").close()
        except psycopg.Error:
            return False
        return True
