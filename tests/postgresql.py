"""A PostgreSQL server of the tests' own: on a Unix socket in a folder that goes away, as a user who is not root.

One server serves all processes of a run: the first that needs it starts it, the last one to leave ends it. Each test has
a schema of its own in it. A server that a test may kill is started for that test alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

import pytest
from support import eventually

from ops_core.control.location import StoreLocation

_PROGRAMS = Path("/usr/lib/postgresql")
# What a crash of the machine would lose does not matter to a test, unless durability is what it is about.
_HASTY = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
_ALWAYS = ("listen_addresses=", "shared_buffers=16MB", "max_connections=60", "autovacuum=off")
PASSWORD = "s3cret-of-the-database"


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server: the folder with its data, its log and its socket."""

    folder: Path

    @property
    def data(self) -> Path:
        """Where its data lie."""
        return self.folder / "data"

    def url(self, schema: str = "") -> str:
        """Its address; with a schema, only that one is seen. There is no password in it."""
        options = f"&options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql://ops@/postgres?host={self.folder}{options}"

    def location(self, path: Path, schema: str) -> StoreLocation:
        """A store in that schema; the latch lies beside `path`."""
        return StoreLocation(path=path, url=self.url(schema), password=PASSWORD)

    def run(self, *statements: str, schema: str = "public") -> list[list[tuple[object, ...]]]:
        """Do what a person with psql could do, as the owner of everything."""
        import psycopg

        answers = []
        with psycopg.connect(
            host=str(self.folder),
            dbname="postgres",
            user="ops",
            password=PASSWORD,
            options=f"-csearch_path={schema}",
            autocommit=True,
        ) as connection:
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[arg-type]  # statements of the tests' own
                answers.append(cursor.fetchall() if cursor.description else [])
        return answers

    def pid(self) -> int:
        """The process of the server itself."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def start(self, *settings: str) -> None:
        """Start it and wait until it answers."""
        options = " ".join(
            f"-c {setting}" for setting in (*_ALWAYS, f"unix_socket_directories={self.folder}", *settings)
        )
        _as_owner("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "-t", "60", "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        """End it: `fast` ends in good order, `immediate` is as good as a crash."""
        _as_owner("pg_ctl", "-D", self.data, "-m", how, "-w", "-t", "60", "stop")

    def kill(self) -> None:
        """Kill every process of it at once: what a machine that loses its power does."""
        pid = self.pid()
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True)
        everyone = (pid, *map(int, listed.stdout.split()))
        for one in everyone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        eventually(lambda: not any(_runs(one) for one in everyone), "the server's processes end")
        # After a loss of power nobody has that number; here a process that nobody has buried yet may.
        for lock in (self.data / "postmaster.pid", self.folder / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def program(name: str) -> str:
    """A program of the newest PostgreSQL of the machine. Without one the test is skipped; under CI it fails."""
    found = sorted(_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if found:
        return str(found[-1])
    missing = f"needs PostgreSQL ({_PROGRAMS}/*/bin/{name})"
    if os.environ.get("CI"):
        pytest.fail(f"{missing}: .ci/run has to install it", pytrace=False)
    pytest.skip(missing)


def new_server(folder: Path, *settings: str) -> Server:
    """Make a cluster in that folder, which may not exist, and start it."""
    program("initdb")
    folder.mkdir(mode=0o700)
    if (owner := _owner()) is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    server = Server(folder=folder)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    _as_owner(
        *("initdb", "-D", server.data, "-U", "ops", "--auth=scram-sha-256", f"--pwfile={secret}"),
        *("-E", "UTF8", "--locale=C", "--no-sync"),
    )
    server.start(*settings)
    return server


@contextlib.contextmanager
def own_server(*settings: str) -> Iterator[Server]:
    """A server for one test, which may do to it what it likes."""
    with _short_folder() as folder:
        server = new_server(folder / "pg", *(settings or _HASTY))
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.stop()


@contextlib.contextmanager
def shared_server(common: Path) -> Iterator[Server]:
    """The server that all processes of a test run share; `common` is a folder that they all know.

    Raises:
        subprocess.CalledProcessError: it does not start; its log is in the message.
    """
    program("initdb")
    note = common / "postgresql.json"
    # A process may use it twice, from two folders of tests.
    me = f"{os.getpid()}/{token_hex(4)}"
    with _locked(common):
        told = json.loads(note.read_text()) if note.exists() else None
        if told is None:
            folder = Path(mkdtemp(prefix="pg-"))
            folder.chmod(0o711)
            told = {"folder": str(folder), "users": []}
            new_server(folder / "pg", *_HASTY)
        note.write_text(json.dumps({**told, "users": [*told["users"], me]}))
    server = Server(folder=Path(told["folder"]) / "pg")
    try:
        yield server
    finally:
        with _locked(common):
            told = json.loads(note.read_text())
            # A worker that was killed leaves its name behind, and must not keep the server up.
            users = [one for one in told["users"] if one != me and Path("/proc", one.partition("/")[0]).exists()]
            if users:
                note.write_text(json.dumps({**told, "users": users}))
            else:
                note.unlink()
                with contextlib.suppress(subprocess.CalledProcessError):
                    server.stop()
                shutil.rmtree(told["folder"], ignore_errors=True)


def new_schema(server: Server) -> str:
    """A schema that nobody else uses; it goes with the server."""
    name = f"t_{secrets.token_hex(8)}"
    server.run(f"CREATE SCHEMA {name}")
    return name


def common_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run know; without workers it is this process's own."""
    base = factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@contextlib.contextmanager
def _short_folder() -> Iterator[Path]:
    # The path of a Unix socket has at most 107 characters; pytest's folders are longer than that soon.
    folder = Path(mkdtemp(prefix="pg-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(common: Path) -> Iterator[None]:
    with (common / "postgresql.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _owner() -> pwd.struct_passwd | None:
    """Who the server has to run as: not root; nobody else is needed otherwise."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _as_owner(name: str, *arguments: str | Path) -> None:
    owner = _owner()
    done = subprocess.run(
        [program(name), *map(str, arguments)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        user=owner.pw_uid if owner else None,
        group=owner.pw_gid if owner else None,
        extra_groups=[] if owner else None,
        timeout=120,
    )
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, name, stderr=done.stderr.decode(errors="replace"))
