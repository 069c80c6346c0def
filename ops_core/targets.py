"""A system under operation, as `ops.toml` names it: what there is to look at, how it is run, and what it needs.

Plain frozen data. A probe that `needs` a field is asked about the targets that set it, so a target that sets nothing of
a theme is never asked about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ops_core.operations import NAMED, SECONDS, URL

DRIVERS = ("supervisor", "command", "container")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DATABASE_URL = {
    "check": lambda v: not v or bool(re.fullmatch(r"postgresql://[A-Za-z0-9._~%-]+@[^\s@]+/[^\s@]+", v)),
    "allowed": "postgresql://user@host/database, without a password in it",
}
ENGINE_SOCKET = Path("/var/run/docker.sock")

_MILLIS = {"check": lambda v: 0 < v <= 3_600_000, "allowed": "milliseconds: more than 0, at most 3600000"}
_HEADER = {"check": lambda v: bool(re.fullmatch(r"[A-Za-z0-9-]{1,64}", v)), "allowed": "letters, digits and dashes"}
_REDIS_URL = {
    "check": lambda v: bool(re.fullmatch(r"rediss?://[^\s@/?#]+(/[0-9]{1,3})?", v)),
    "allowed": "redis://host:port or redis://host:port/0, without a password in it",
}
_HTTPS = {
    "check": lambda v: v.startswith("https://") and bool(URL["check"](v)),  # type: ignore[operator]  # it is a function
    "allowed": "https:// with a host and no user or password in it",
}
_RATIO = {"check": lambda v: 0 <= v <= 1, "allowed": "a ratio from 0 to 1"}
_OBJECTIVE = {"check": lambda v: 0 < v < 1, "allowed": "a ratio between 0 and 1, such as 0.999"}
_PERCENT = {"check": lambda v: 0 <= v <= 100, "allowed": "0 to 100 percent"}
_DAYS = {"check": lambda v: 0 <= v <= 3650, "allowed": "0 to 3650 days"}
_COUNT = {"check": lambda v: 1 <= v <= 1_000_000_000, "allowed": "a whole number from 1 to 1000000000"}
_REQUESTS = {"check": lambda v: 1 <= v <= 1000, "allowed": "1 to 1000 requests"}
_NAMES = {
    "check": lambda v: len(set(v)) == len(v) and all(NAME.fullmatch(one) for one in v),
    "allowed": "names, each once: letters, digits, dot, dash and underscore",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A system under operation. A probe that `needs` a field is asked about the targets that set it.

    Fields of your own go under `vars` and are read as attributes: `target.orders_url`.
    """

    name: str
    # Does it answer, does it keep strangers out, does its stream say anything?
    health_url: str | None = field(default=None, metadata=URL)
    health_latency_max_ms: float = field(default=1000.0, metadata=_MILLIS)
    guard_url: str | None = field(default=None, metadata=URL)
    guard_header: str = field(default="X-Internal-Secret", metadata=_HEADER)
    guard_secret: str | None = field(default=None, metadata=NAMED)
    stream_url: str | None = field(default=None, metadata=URL)
    stream_window_s: float = field(default=10.0, metadata=SECONDS)
    # A service that takes data: is it alive, is it ready, does it measure itself, does it refuse what it promised to?
    live_url: str | None = field(default=None, metadata=URL)
    ready_url: str | None = field(default=None, metadata=URL)
    metrics_url: str | None = field(default=None, metadata=URL)
    error_rate_max: float = field(default=0.01, metadata=_RATIO)
    latency_p95_max_ms: float = field(default=400.0, metadata=_MILLIS)
    traffic_expected: bool = False
    ingest_url: str | None = field(default=None, metadata=URL)
    ingest_key: str | None = field(default=None, metadata=NAMED)
    batch_items_max: int | None = field(default=None, metadata=_COUNT)
    body_max_bytes: int | None = field(default=None, metadata=_COUNT)
    log_file: Path | None = None
    required_secrets: tuple[str, ...] = field(default=(), metadata=_NAMES)
    # What it stands on.
    database_url: str | None = field(default=None, metadata=DATABASE_URL)
    database_password: str | None = field(default=None, metadata=NAMED)
    migrations: Path | None = None
    redis_url: str | None = field(default=None, metadata=_REDIS_URL)
    redis_password: str | None = field(default=None, metadata=NAMED)
    certificate_url: str | None = field(default=None, metadata=_HTTPS)
    certificate_days_min: float = field(default=14.0, metadata=_DAYS)
    disk_path: Path | None = None
    disk_free_min_percent: float = field(default=10.0, metadata=_PERCENT)
    # How quick it has to be when it is asked a few times on purpose.
    bench_url: str | None = field(default=None, metadata=URL)
    bench_requests: int = field(default=50, metadata=_REQUESTS)
    bench_max_ms: float = field(default=250.0, metadata=_MILLIS)
    bench_p95_max_ms: float = field(default=400.0, metadata=_MILLIS)
    # What it depends on, and what is promised about it.
    depends_on: tuple[str, ...] = field(default=(), metadata=_NAMES)
    slo_availability: float | None = field(default=None, metadata=_OBJECTIVE)
    # How it is run, and which versions of it there are.
    driver: str | None = field(
        default=None, metadata={"check": lambda v: v in DRIVERS, "allowed": "supervisor, command or container"}
    )
    process: str | None = field(default=None, metadata=NAMED)
    supervisor_conf: Path | None = None
    container: str | None = field(default=None, metadata=NAMED)
    engine_socket: Path | None = None
    start_argv: tuple[str, ...] = ()
    stop_argv: tuple[str, ...] = ()
    running_argv: tuple[str, ...] = ()
    release_link: Path | None = None
    config_link: Path | None = None
    rollout_running_argv: tuple[str, ...] = ()
    rollout_halt_argv: tuple[str, ...] = ()
    rollout_resume_argv: tuple[str, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        # Only reached for names that are not fields.
        own = self.__dict__.get("vars", {})
        if name in own:
            return own[name]
        raise AttributeError(f"target {self.__dict__.get('name')!r} has no {name!r}")

    @property
    def proving_suite(self) -> str:
        """The suite that says whether it is well: one that says itself whether it is ready is asked that."""
        return "service" if self.ready_url or self.live_url else "observe"

    def has(self, needed: tuple[str, ...]) -> bool:
        """Whether every needed field or variable is set."""
        return all(getattr(self, name, None) not in (None, (), "") for name in needed)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The names of all secrets that the target uses."""
        named = (self.guard_secret, self.ingest_key, self.database_password, self.redis_password)
        return tuple(dict.fromkeys((*(name for name in named if name), *self.required_secrets)))


TARGET_FIELDS = frozenset(f.name for f in fields(Target))


def what_is_missing(target: Target) -> tuple[str, str] | None:
    """A key that the target sets, and the other one that it needs beside it; None where all are complete."""
    needed = (
        (target.guard_url, "guard_url", "guard_secret", target.guard_secret),
        (target.batch_items_max, "batch_items_max", "ingest_url", target.ingest_url),
        (target.body_max_bytes, "body_max_bytes", "ingest_url", target.ingest_url),
        (target.log_file, "log_file", "live_url", target.live_url),
        (target.database_password, "database_password", "database_url", target.database_url),
        (target.migrations, "migrations", "database_url", target.database_url),
        (target.redis_password, "redis_password", "redis_url", target.redis_url),
        (target.driver == "supervisor", "driver", "process", target.process),
        (target.process, "process", "supervisor_conf", target.supervisor_conf),
        (target.driver == "container", "driver = 'container'", "container", target.container),
        (target.driver == "command", "driver = 'command'", "start_argv", target.start_argv),
        (target.start_argv, "start_argv", "stop_argv", target.stop_argv),
        (target.stop_argv, "stop_argv", "running_argv", target.running_argv),
        (target.rollout_halt_argv, "rollout_halt_argv", "rollout_running_argv", target.rollout_running_argv),
    )
    return next(((key, other) for used, key, other, value in needed if used and not value), None)


def dependencies_in(targets: Sequence[Target]) -> dict[str, tuple[str, ...]]:
    """By target, the names of those it depends on directly; targets that depend on none are left out."""
    return {target.name: target.depends_on for target in targets if target.depends_on}


def order_of(targets: Sequence[Target]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The targets in an order in which each comes behind what it depends on, and those that are in a circle.

    Args:
        targets: whose `depends_on` names others among them.
    """
    waiting = {target.name: set(target.depends_on) for target in targets}
    ordered: list[str] = []
    while True:
        free = [name for name, needs in waiting.items() if not needs]
        if not free:
            return tuple(ordered), tuple(sorted(waiting))
        for name in free:
            ordered.append(name)
            del waiting[name]
        for needs in waiting.values():
            needs.difference_update(free)
