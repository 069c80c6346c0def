"""The service stack: the reference service on a real PostgreSQL and a real Redis, in a directory of its own."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ops_core.clock import isoformat
from ops_core.drill import servers, sessions
from ops_core.drill.base_stack import Stack
from ops_core.drill.host import PASSED_ON
from ops_core.drill.ports import HOST
from ops_core.drill.service_layout import (
    ACCOUNT,
    DATABASE,
    INGEST,
    PASSWORD,
    REDIS,
    ROLLOUT,
    SECRETS,
    UNWANTED,
    VISITORS,
    ServiceLayout,
)
from ops_core.drill.waiting import wait_until
from ops_core.drill.work_dir import GOOD_CONFIG, digest_below, swap_link, write_private
from ops_core.errors import OpsError, UsageError
from ops_core.temporary import BASE_DIGEST, UNTIL, Kind, name_for

if TYPE_CHECKING:
    import psycopg

START_S = 60.0
MIGRATE_S = 60.0
CONNECT_S = 2
SCHEMES = {DATABASE: "postgresql", REDIS: "redis"}
GOOD_SCHEMA = "0002"
GOOD_TABLES = {
    "alembic_version": "r version_num",
    "alembic_version_pkc": "i version_num",
    "items": "r id,payload,received_at",
    "items_newest": "i received_at,id",
    "items_pkey": "i id",
}
LASTS = timedelta(minutes=30)
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
        unwanted = [name for name in UNWANTED if self.supervision.info(name).state == "RUNNING"]
        about = {"burdens": ", ".join(unwanted), "rollout": "under way" if self.rolling_out else "none"}
        return {**super().standing(), **schema, **about}

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

    def header(self, path: str, name: str, sent: str) -> str:
        """A header of the answer to a GET that brings this header along; empty without one."""
        connection = http.client.HTTPConnection(HOST, self._ports[INGEST], timeout=CONNECT_S)
        try:
            connection.request("GET", path, headers={name: sent})
            return connection.getresponse().headers.get(name, "")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

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

    def run(self, name: str, *, on: bool) -> None:
        """Start or end what uses the service or its database: clients, or a session that locks a table."""
        if on:
            self.supervision.start(name)
        else:
            self.supervision.stop(name)

    def temporary_config(
        self, service: str, kind: Kind, changes: Mapping[str, str | None], base: str = GOOD_CONFIG
    ) -> None:
        """Put a configuration in force for a while, as the remediations do; the process keeps the old one."""
        link = self.layout.config_link(service)
        digest = hashlib.sha256(link.with_name(base).read_bytes()).hexdigest()
        until = isoformat(self.clock.now() + LASTS) if kind is Kind.LOWERED else ""
        told = {UNTIL: until, BASE_DIGEST: digest}
        self.deploy_config(service, name_for(base, kind), {**self.layout.read_config(service, base), **changes, **told})

    def roll_out(self, release: str) -> None:
        """Order a release; it is put in force, and a rollout is under way until it is halted.

        Raises:
            Overdue: nobody carries the order out.
        """
        write_private(self.layout.rollout_folder / "order", release + "\n")
        self.wait(lambda: self.rolling_out, "no rollout begins")

    @property
    def rolling_out(self) -> bool:
        """Whether a rollout is under way."""
        return (self.layout.rollout_folder / "under-way").exists()

    def sessions_of_service(self) -> tuple[int, ...]:
        """The processes of PostgreSQL that serve the service."""
        with self.connect("postgres") as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'ingest'").fetchall()
        return tuple(int(row[0]) for row in rows)

    def make_good(self, service: str) -> None:
        """Put a service, and all that it stands on or that leans on it, back to the known good state."""
        self.layout.spec_of(service)
        self.layout.restore_rollout()
        edited = self.layout.read_config(INGEST) != self.layout.good_settings(INGEST)
        if not self.running:
            self.layout.make_good(INGEST)
            self.layout.restore_cluster()
            self.layout.restore_schema()
            return
        self._quiet()
        self.layout.make_good(INGEST)
        self.layout.restore_cluster()
        for name in ORDER:
            if self.process(name).state == "RUNNING":
                self._wake(name)
            if self.process(name).state != "RUNNING":
                self.launch(name)
            if name == DATABASE:
                self.wait(self._database_answers, "the database does not answer")
                self._restore_schema()
        if edited or not self._runs_what_is_in_force(INGEST, self.process(INGEST).pid):
            self.restart(INGEST)
        self.wait(lambda: self.status() == 200, "ingest is not ready")
        self.supervision.start(VISITORS)

    def _quiet(self) -> None:
        """End what burdens the service or its database, and any rollout."""
        for name in UNWANTED:
            self.run(name, on=False)
        self.supervision.signal(ROLLOUT, signal.SIGCONT)
        self.wait(lambda: not self.rolling_out, "the rollout does not end")

    def _wake(self, name: str) -> None:
        self.supervision.signal(name, signal.SIGCONT)
        if name == DATABASE:
            # What serves one client was stopped on its own, and does not hear what its parent hears.
            for pid in sessions.children(self.process(name).pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

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
        """Make the schema anew where anything about it is not as its migrations left it, whoever changed it."""
        if self.schema() != GOOD_SCHEMA or self._tables() != GOOD_TABLES:
            self.layout.restore_schema()
            with self.connect() as connection:
                connection.execute("DROP SCHEMA public CASCADE")
                connection.execute("CREATE SCHEMA public")
            self.migrate("upgrade", "head")
        self.layout.restore_schema()

    def _tables(self) -> dict[str, str]:
        """What there is in the database, and of which kind."""
        asked = (
            "SELECT c.relname, c.relkind::text || ' ' || string_agg(a.attname, ',' ORDER BY a.attnum)"
            " || coalesce(' ' || obj_description(c.oid), '')"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'i') GROUP BY c.oid"
            " UNION ALL SELECT proname, 'f' FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
        with self.connect() as connection:
            return {str(row[0]): str(row[1]) for row in connection.execute(asked).fetchall()}

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
