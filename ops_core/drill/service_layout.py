"""The work directory of a service stack.

releases/ingest/{v1,…}/ingest/  copies of the service;      current -> v1
config/ingest/{1.env,…}         its environment files;      current.env -> 1.env
schema/alembic.ini, migrations/ what the database is brought up to date with
secrets/{POSTGRES_PASSWORD,…}   the operator's own copies
rollout/rollout.py              how a rollout is asked about, halted and resumed; order, halt, under-way
redis.conf  ports.json  place   what the servers were given, and where PostgreSQL's files are
effects.log  supervisord.conf  stack.json  stack.lock  logs/
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ops_core.drill import servers
from ops_core.drill.ports import HOST
from ops_core.drill.work_dir import (
    GOOD_CONFIG,
    GOOD_RELEASE,
    ServiceSpec,
    WorkDir,
    supervisor_head,
    supervisor_program,
    swap_link,
    write_private,
)
from ops_core.errors import UsageError

DATABASE, REDIS, INGEST = "database", "redis", "ingest"
# Nobody operates these: they use the service, or its database, or deploy it.
VISITORS, LOAD, BUSY, WRITERS, STEADY = "visitors", "load", "busy", "writers", "steady"
HOLDER, ROLLOUT = "holder", "rollout"
# Clients, items in a batch, seconds between two batches: more than the service can take at once; as much as it can
# take, which is slow; a little; small ones, but so many that a few of a hundred can be told from none.
SENDERS = {
    LOAD: ("6", "100", "0.05"),
    BUSY: ("4", "100", "0.05"),
    WRITERS: ("3", "2", "0.2"),
    STEADY: ("4", "1", "0.05"),
}
# Seconds for which a session locks the table, and for which it lets it go: long, but shorter than a writer waits.
HOLDING = ("0.9", "0.05")
UNWANTED = (*SENDERS, HOLDER)
ACCOUNT = "ingest"
PASSWORD, API_KEY, JWT_SECRET = "POSTGRES_PASSWORD", "API_KEY", "JWT_SECRET"
SECRETS = (PASSWORD, API_KEY, JWT_SECRET)
SOURCE = Path(__file__).resolve().parent / "ingest"
LOAD_SCRIPT = SOURCE.with_name("load.py")
HOLDING_SCRIPT = SOURCE.with_name("holding.py")
ROLLOUT_SCRIPT = SOURCE.with_name("rollout.py")
NEW_STEP = "rev_0003_new.py"
SCHEMA_FILES = ("alembic.ini", "migrations")
SERVICES = {
    spec.name: spec
    for spec in (
        ServiceSpec(name=DATABASE, target=DATABASE, port=5442, port_variable="OPS_POSTGRES_PORT", health_path=""),
        ServiceSpec(name=REDIS, target=REDIS, port=6389, port_variable="OPS_REDIS_PORT", health_path=""),
        ServiceSpec(
            name=INGEST, target=INGEST, port=8100, port_variable="OPS_INGEST_PORT", health_path="/health/ready"
        ),
    )
}


@dataclass(frozen=True)
class ServiceLayout(WorkDir):
    """Paths and versions of one work directory."""

    KIND: ClassVar[str] = "service stack"
    SERVICES: ClassVar[Mapping[str, ServiceSpec]] = SERVICES

    @property
    def schema(self) -> Path:
        """The `alembic.ini` of the schema."""
        return self.root / "schema" / "alembic.ini"

    @property
    def versions(self) -> Path:
        """The steps of the schema."""
        return self.root / "schema" / "migrations" / "versions"

    @property
    def log_file(self) -> Path:
        """The log of the service."""
        return self.root / "logs" / f"{INGEST}.log"

    @property
    def place(self) -> Path | None:
        """Where PostgreSQL's files are; None where there are none."""
        try:
            return Path((self.root / "place").read_text(encoding="utf-8").strip())
        except OSError:
            return None

    @property
    def rollout_folder(self) -> Path:
        """Where a rollout is ordered and halted."""
        return self.root / "rollout"

    @property
    def control_file(self) -> Path | None:
        """The file without which PostgreSQL does not start."""
        return None if self.place is None else self.place / "data" / "global" / "pg_control"

    @property
    def ports(self) -> dict[str, int]:
        """The ports of this stack, by service."""
        ports: dict[str, int] = json.loads((self.root / "ports.json").read_text(encoding="utf-8"))
        return ports

    def secret(self, name: str) -> str:
        """The operator's copy of a secret."""
        return (self.root / "secrets" / name).read_text(encoding="utf-8").strip()

    def database_url(self) -> str:
        """The address of the service's database, without a password."""
        return f"postgresql://{ACCOUNT}@{HOST}:{self.ports[DATABASE]}/{ACCOUNT}"

    def lay_out(self, ports: Mapping[str, int], new_secret: Callable[[], str]) -> None:
        """Write everything a stack starts from: a fresh cluster, known good versions in force. Secrets are kept.

        Raises:
            UsageError: the directory holds something else, or a program is missing.
            OpsError: there is no cluster to be had.
        """
        self.claim()
        for folder in ("secrets", "logs", f"releases/{INGEST}", f"config/{INGEST}"):
            (self.root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in SECRETS:
            file = self.root / "secrets" / name
            if not file.is_file() or not file.read_text(encoding="utf-8").strip():
                write_private(file, new_secret() + "\n")
        write_private(self.root / "ports.json", json.dumps(dict(ports)) + "\n")
        write_private(self.root / "redis.conf", servers.redis_configuration(ports[REDIS], self.root))
        write_private(self.effects_log, "")
        self.restore_rollout()
        self.make_good(INGEST)
        self.restore_schema()
        self.remove_cluster()
        place = servers.new_place(self.root / "postgres")
        write_private(self.root / "place", f"{place}\n")
        servers.new_cluster(place, ACCOUNT, self.secret(PASSWORD))

    def remove_cluster(self) -> None:
        """Remove PostgreSQL's files, if there are any."""
        place = self.place
        if place is not None:
            servers.remove_place(place, self.root)
            (self.root / "place").unlink(missing_ok=True)

    def restore_cluster(self) -> None:
        """Bring back what was taken from PostgreSQL's files."""
        control = self.control_file
        if control is not None and not control.exists():
            with contextlib.suppress(OSError):
                lost_name(control).rename(control)

    def restore_rollout(self) -> None:
        """Withdraw every order, and put the program that is asked about rollouts back."""
        self.rollout_folder.mkdir(exist_ok=True, mode=0o700)
        for name in ("order", "halt"):
            (self.rollout_folder / name).unlink(missing_ok=True)
        text = f"#!{sys.executable} -ISB\n{ROLLOUT_SCRIPT.read_text(encoding='utf-8')}"
        program = self.rollout_folder / ROLLOUT_SCRIPT.name
        if not program.is_file() or program.read_text(encoding="utf-8") != text:
            write_private(program, text)
            program.chmod(0o700)

    def restore_schema(self) -> None:
        """The steps of the schema as they are shipped, and no others."""
        folder = self.schema.parent
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, content in _shipped().items():
            if name.split("/")[0] in SCHEMA_FILES:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)

    def make_good(self, service: str) -> None:
        if service != INGEST:
            return
        release, config = self.release_link(INGEST), self.config_link(INGEST)
        if _content(release.with_name(GOOD_RELEASE) / SOURCE.name) != _shipped():
            shutil.rmtree(release.with_name(GOOD_RELEASE), ignore_errors=True)
            self.write_release(GOOD_RELEASE, {})
        if self.read_config(INGEST) != self.good_settings(INGEST):
            config.with_name(GOOD_CONFIG).unlink(missing_ok=True)
            self.write_config(INGEST, GOOD_CONFIG, self.good_settings(INGEST))
        swap_link(release, GOOD_RELEASE)
        swap_link(config, GOOD_CONFIG)
        for other in release.parent.iterdir():
            if other.name not in (GOOD_RELEASE, release.name):
                shutil.rmtree(other, ignore_errors=True)
        for other in config.parent.iterdir():
            if other.name not in (GOOD_CONFIG, config.name):
                other.unlink(missing_ok=True)

    def good_settings(self, service: str) -> dict[str, str]:
        if service != INGEST:
            return {}
        return {
            "DATABASE_URL": self.database_url(),
            "REDIS_URL": f"redis://{HOST}:{self.ports[REDIS]}/0",
            **{name: self.secret(name) for name in SECRETS},
            "INGEST_MAX_BATCH_ITEMS": "100",
            "MAX_REQUEST_BODY_BYTES": "65536",
            "DEGRADED_MODE": "0",
            "RATE_LIMIT_PER_MINUTE": "6000",
            # The largest batch takes half a second: more of them than the service can take is what overload means here.
            "ITEM_WORK_MS": "5",
        }

    def write_release(self, name: str, patch: Mapping[str, str]) -> Path:
        """Write a release: the shipped code with other passages in some places. It is not in force yet.

        Raises:
            UsageError: a passage does not occur exactly once, the result is not Python, or the name is taken.
        """
        final = self.release_link(INGEST).parent / name
        if final.exists():
            raise UsageError(f"there is a release {name} of {INGEST} already", where=str(final))
        files = _patched(_shipped(), patch)
        draft = final.with_name(f".{name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        for path, content in files.items():
            (draft / SOURCE.name / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (draft / SOURCE.name / path).write_bytes(content)
        draft.rename(final)
        return final

    def supervisor_text(self, ports: Mapping[str, int], socket_path: Path) -> str:
        place = self.place or self.root / "postgres"
        python = (sys.executable, "-I", "-B")
        serve = str(self.release_link(INGEST) / SOURCE.name / "serve.py")
        config = str(self.config_link(INGEST))
        ingest = (*python, serve, "--port", str(ports[INGEST]), "--env-file", config, "--ledger", str(self.effects_log))
        url = f"http://{HOST}:{ports[INGEST]}/api"
        clients = (sys.executable, "-I", "-S", "-B", str(LOAD_SCRIPT))
        keys = self.root / "secrets"
        senders = {
            name: (*clients, "send", f"{url}/ingest", str(keys / API_KEY), *about) for name, about in SENDERS.items()
        }
        session = (*python, str(HOLDING_SCRIPT), self.database_url(), str(keys / PASSWORD))
        burdens = {**senders, HOLDER: (*session, *HOLDING)}
        rollout = str(self.rollout_folder / ROLLOUT_SCRIPT.name)
        agent = (sys.executable, "-I", "-S", "-B", rollout, "agent", str(self.release_link(INGEST)))
        redis = (servers.program("redis-server"), str(self.root / "redis.conf"))
        lines = [
            *supervisor_head(self, socket_path),
            # Fast shutdown: what waits for clients to go away would wait for the service's pool.
            *supervisor_program(
                self, DATABASE, servers.postgres_argv(place, ports[DATABASE], self.root), stop_signal="INT", stop_s=5
            ),
            *supervisor_program(self, REDIS, servers.leashed("", redis), stop_s=3),
            *supervisor_program(self, INGEST, servers.leashed("", ingest), stop_s=4),
            *supervisor_program(self, VISITORS, servers.leashed("", (*clients, "visit", f"{url}/items"))),
            *supervisor_program(self, ROLLOUT, servers.leashed("", agent)),
        ]
        for name, argv in burdens.items():
            lines += supervisor_program(self, name, servers.leashed("", argv), autostart=False)
        return "\n".join(lines) + "\n"


def lost_name(path: Path) -> Path:
    """Where a file lies that a rehearsal has taken away."""
    return path.with_name(f"{path.name}.lost")


def _shipped() -> dict[str, bytes]:
    return _content(SOURCE)


def _content(folder: Path) -> dict[str, bytes]:
    """The files below a folder by their relative path, compiled Python aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _patched(files: Mapping[str, bytes], patch: Mapping[str, str]) -> dict[str, bytes]:
    patched = dict(files)
    for old, new in patch.items():
        holding = [name for name, content in patched.items() if old.encode() in content]
        if len(holding) != 1 or patched[holding[0]].count(old.encode()) != 1:
            raise UsageError(f"the passage does not occur exactly once: {old!r}", where=str(SOURCE))
        name = holding[0]
        patched[name] = patched[name].replace(old.encode(), new.encode())
        try:
            compile(patched[name], name, "exec")
        except SyntaxError as error:
            raise UsageError(f"the patched code is not Python: {error}", where=name) from None
    return patched
