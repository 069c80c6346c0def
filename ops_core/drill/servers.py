"""The real PostgreSQL and Redis of a stack: where their programs are, a fresh cluster, and how they are started."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ops_core.drill.host import LEASH
from ops_core.drill.ports import HOST
from ops_core.errors import OpsError, UsageError

POSTGRES_PROGRAMS = Path("/usr/lib/postgresql")
# Servers often lie where only the administrator looks.
ADMINISTRATORS_PATH = ("/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin")
POSTGRES_USER = "postgres"
INITDB_S = 120.0
PLACE_PREFIX = "ops-pg-"
# Where every account may make folders; mkdtemp makes one of the caller's alone.
EVERYBODYS = "/tmp"  # noqa: S108 - see above
SOCKET_FOLDER_MAX = 85  # bytes: a Unix socket's path has at most 107, its name included
# What a crash of the machine would lose does not matter to a rehearsal.
POSTGRES_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "shared_buffers=16MB",
    "max_connections=40",
    "autovacuum=off",
    f"listen_addresses={HOST}",
)
PACKAGES = ("psycopg", "redis")


def need_packages() -> None:
    """Whether what the service and its stack import is installed.

    Raises:
        UsageError: something is not; the message says what to type.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the service stack needs {' and '.join(missing)}",
            where=sys.executable,
            next_step="pip install 'pytest-runbook[service]'",
        )


def program(name: str) -> str:
    """The path of a program of PostgreSQL (the newest on the machine) or Redis.

    Raises:
        UsageError: there is none; the message says what to type.
    """
    found = sorted(POSTGRES_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: path.parts[-3].rjust(4))
    if found:
        return str(found[-1])
    other = shutil.which(name, path=search_path())
    if other is not None:
        return other
    package = "redis-server" if name.startswith("redis") else "postgresql"
    raise UsageError(
        f"the service stack needs the program {name}",
        where=f"PATH, {POSTGRES_PROGRAMS}/*/bin",
        next_step=f"apt-get install {package}",
    )


def search_path() -> str:
    """Where programs are looked for: the path of whoever asks, and where only the administrator looks."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *ADMINISTRATORS_PATH))


def postgres_account() -> pwd.struct_passwd | None:
    """As whom PostgreSQL has to run: it refuses root. None where we are not root.

    Raises:
        UsageError: we are, and there is no such account.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(POSTGRES_USER)
    except KeyError:
        raise UsageError(
            f"PostgreSQL does not run as root, and there is no account {POSTGRES_USER!r}",
            next_step="apt-get install postgresql",
        ) from None


def new_place(beside: Path) -> Path:
    """A folder for a cluster and its socket: `beside`, or where the account that runs it can get at it.

    Below folders of root alone no other account reaches anything, whatever the folder itself permits.
    """
    account = postgres_account()
    if account is None:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700)
        return beside
    usual = Path(tempfile.gettempdir()).resolve()
    within_reach = all(folder.stat().st_mode & stat.S_IXOTH for folder in (usual, *usual.parents))
    place = Path(tempfile.mkdtemp(prefix=PLACE_PREFIX, dir=None if within_reach else EVERYBODYS))
    os.chown(place, account.pw_uid, account.pw_gid)
    return place


def remove_place(place: Path, work_dir: Path) -> None:
    """Remove what `new_place` made; anything else is left alone."""
    if place.name.startswith(PLACE_PREFIX) or place.parent == work_dir:
        shutil.rmtree(place, ignore_errors=True)


def new_cluster(place: Path, user: str, password: str) -> None:
    """Make a cluster in `place`, whose only account is `user`.

    Raises:
        OpsError: it could not be made.
    """
    account = postgres_account()
    secret = place / "password"
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password)
    if account is not None:
        os.chown(secret, account.pw_uid, account.pw_gid)
    argv = [program("initdb"), "-D", str(place / "data"), "-U", user, "--auth=scram-sha-256", f"--pwfile={secret}"]
    try:
        done = subprocess.run(
            [*argv, "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            timeout=INITDB_S,
        )
    except subprocess.TimeoutExpired:
        raise OpsError(f"initdb did not end within {INITDB_S:g} seconds", where=str(place)) from None
    finally:
        with contextlib.suppress(OSError):
            secret.unlink()
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise OpsError(f"initdb ended with {done.returncode}: {said[:200]}", where=str(place))


def postgres_argv(place: Path, port: int, mark: Path) -> tuple[str, ...]:
    """How PostgreSQL is started, on a leash; `mark` is the work directory, by which its process is known."""
    account = postgres_account()
    sockets = str(place) if len(os.fsencode(place)) < SOCKET_FOLDER_MAX else ""
    settings = (*POSTGRES_SETTINGS, f"unix_socket_directories={sockets}", f"ops.stack={mark}")
    options = tuple(word for setting in settings for word in ("-c", setting))
    postgres = (program("postgres"), "-D", str(place / "data"), "-p", str(port), *options)
    return leashed(account.pw_name if account else "", postgres)


def redis_configuration(port: int, folder: Path) -> str:
    """The text of `redis.conf`: nothing is kept, and the process keeps the arguments it was started with."""
    lines = (f"bind {HOST}", f"port {port}", "daemonize no", 'save ""', "appendonly no", "set-proc-title no")
    return "\n".join((*lines, f'dir "{folder}"', "databases 1", "maxmemory 32mb")) + "\n"


def leashed(user: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Start a program that ends with its supervisor, as `user` unless that is empty."""
    return (sys.executable, "-I", "-S", "-B", str(LEASH), "run", user, *argv)
