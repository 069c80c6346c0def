"""The parts of `ops.toml` that say how a profile is operated: when cycles run, what they need, how messages go out.

Plain frozen data, like everything that `config` reads. A profile without these tables gets the defaults, which are
safe: nothing leaves the machine, and the server listens to this host alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WORKDAYS = DAYS[:5]
ZONE_DEFAULT = "Asia/Seoul"
SEVERITIES = ("SEV-1", "SEV-2", "SEV-3")
ROLES = ("producer", "operator")


def is_url(value: str) -> bool:
    """Whether the text is an http or https address with a host, and without a user or password in it."""
    try:
        parts = urlsplit(value)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and (parts.port is None or 0 < parts.port < 65536)
            and not any(ord(c) < 33 or ord(c) == 127 for c in value)
        )
    except ValueError:
        return False


URL = {"check": is_url, "allowed": "http:// or https:// with a host and no user or password in it"}
SECONDS = {"check": lambda v: 0 < v <= 3600, "allowed": "seconds: more than 0, at most 3600"}


def _is_named(value: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value))


NAMED = {
    "check": _is_named,
    "allowed": "letters, digits, dot, dash and underscore",
}


def _is_time(value: str) -> bool:
    return bool(re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value))


def _is_below(value: str) -> bool:
    """Whether the text is a path of plain names below some folder: it cannot lead out of it, nor into git's own."""
    parts = value.split("/")
    return len(value) <= 200 and all(
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", part) and part.lower() != ".git" for part in parts
    )


BELOW = {"check": _is_below, "allowed": "names joined by /, each of letters, digits, dot, dash and underscore"}
_REFNAME = {
    "check": lambda v: _is_below(v) and ".." not in v and not v.endswith((".", ".lock", "/")),
    "allowed": "a name such as origin, main or results/daily",
}
_ARGV = {"check": lambda v: 0 < len(v) <= 64 and all(v), "allowed": "1 to 64 arguments, none of them empty"}
_PUBLIC_KEYS = {
    "check": lambda v: all(re.fullmatch(r"[0-9a-f]{64}", key) and _is_named(name) for name, key in v.items()),
    "allowed": "by the name of a producer its public key: 64 hexadecimal digits, small letters",
}
_TIME = {"check": _is_time, "allowed": "a time of day such as 09:05"}
_ZONE = {
    "check": lambda v: bool(re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", v)),
    "allowed": "a zone such as Asia/Seoul or UTC",
}
_WEEK = {
    "check": lambda v: len(v) > 0 and len(set(v)) == len(v) and set(v) <= set(DAYS),
    "allowed": f"some of {', '.join(DAYS)}",
}


_SHARE = {"check": lambda v: 0 <= v <= 1, "allowed": "a share from 0 to 1"}
_BELOW_ONE = {"check": lambda v: 0 < v < 1, "allowed": "a ratio between 0 and 1, such as 0.999"}
_SUITES = {
    "check": lambda v: 0 < len(v) == len(set(v)) and all(re.fullmatch(r"[a-z][a-z0-9_]{0,63}", one) for one in v),
    "allowed": "suites, each once, such as observe",
}
_FINDINGS = {
    "check": lambda v: 0 < len(v) == len(set(v)) and all(re.fullmatch(r"\w+(\.\w+)+", one) for one in v),
    "allowed": "finding codes, each once, such as health.not_ok",
}
# What keeps a target from doing its work for others; a weak secret or a slow answer is trouble of another kind.
AVAILABILITY_FINDINGS = (
    "health.not_ok",
    "live.not_ok",
    "ready.not_ok",
    "errors.rate_high",
    "stream.silent",
    "process.not_running",
    "container.exited",
    "database.unreachable",
    "redis.unreachable",
)


@dataclass(frozen=True, kw_only=True)
class ScheduleTable:
    """When a cycle is due: at that time of those days in that zone, and for `grace_minutes` after it."""

    at: str = field(default="09:05", metadata=_TIME)
    zone: str = field(default=ZONE_DEFAULT, metadata=_ZONE)
    days: tuple[str, ...] = field(default=WORKDAYS, metadata=_WEEK)
    grace_minutes: int = field(default=30, metadata={"check": lambda v: 1 <= v <= 720, "allowed": "1 to 720 minutes"})


@dataclass(frozen=True, kw_only=True)
class TradingTable:
    """In which days and hours a live fire may happen: `[opens, closes)`, without the days that the file lists."""

    zone: str = field(default=ZONE_DEFAULT, metadata=_ZONE)
    days: tuple[str, ...] = field(default=WORKDAYS, metadata=_WEEK)
    opens: str = field(default="09:00", metadata=_TIME)
    closes: str = field(
        default="18:00",
        metadata={"check": lambda v: v == "24:00" or _is_time(v), "allowed": "a time of day, or 24:00"},
    )
    holidays_file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class CycleTable:
    """What a cycle needs and does: modules that can be imported, files that are there, and what it is asked for."""

    needs_modules: tuple[str, ...] = ()
    needs_files: tuple[Path, ...] = ()
    request_types: tuple[str, ...] = ("OPS_CYCLE",)
    budget_s: float = field(default=300.0, metadata=SECONDS)
    live_fire: bool = False


@dataclass(frozen=True, kw_only=True)
class PushTable:
    """The way out for messages. The secrets are named; their values come from where all secrets come from.

    Attributes:
        notify: by the name of a channel the name of the secret that holds its address, as Apprise reads it.
        channel: which of these messages go to; without it they go to the chat, or to the console.
    """

    telegram_url: str = field(default="https://api.telegram.org", metadata=URL)
    telegram_token: str | None = field(default=None, metadata=NAMED)
    telegram_chat: str | None = field(default=None, metadata=NAMED)
    notify: Mapping[str, str] = field(default_factory=dict)
    channel: str | None = field(default=None, metadata=NAMED)
    timeout_s: float = field(default=10.0, metadata=SECONDS)


@dataclass(frozen=True, kw_only=True)
class IssuesTable:
    """Where issues about incidents are made; the token is named, its value comes from where all secrets come from."""

    url: str = field(default="https://api.github.com", metadata=URL)
    repository: str | None = field(
        default=None,
        metadata={
            "check": lambda v: re.fullmatch(r"[A-Za-z0-9-]{1,39}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", v) is not None,
            "allowed": "owner/name",
        },
    )
    token: str | None = field(default=None, metadata=NAMED)
    timeout_s: float = field(default=10.0, metadata=SECONDS)


@dataclass(frozen=True, kw_only=True)
class AlertsTable:
    """What follows when a monitoring system sends an alert: the look that is taken, and whether more may be done.

    Attributes:
        suite: looked at where the alert does not name one.
        severity: of the incident where the alert does not name one.
        observe: whether a look is taken at all; without it the incident is opened and waits for a person.
        remediate: whether what the look finds may be remedied, behind the guard as always.
    """

    suite: str = field(default="observe", metadata=NAMED)
    severity: str = field(
        default="SEV-2", metadata={"check": lambda v: v in SEVERITIES, "allowed": "SEV-1, SEV-2 or SEV-3"}
    )
    observe: bool = True
    remediate: bool = False


@dataclass(frozen=True, kw_only=True)
class SloTable:
    """What is promised, and how it is told from what was recorded.

    Attributes:
        zone: whose clocks begin and end weeks and months.
        suites: whose observations say whether a target was available.
        counted: the findings that make a target unavailable; a target of which none was judged was not looked at.
        observation_valid_s: how long an observation is worth something, if no other one of its suite comes before.
        known_min: how much of a period has to be known before anything is called met, or left.
        availability: promised of targets that promise nothing themselves (`slo_availability`).
        mttr_max_s: recovery takes less than that in the mean.
        automatic_recovery_min: more than that of all incidents recover without a person.
        security_incidents_max: how many are accepted.
        budget_days: the days up to now whose error budget decides about a rollout.
    """

    zone: str = field(default=ZONE_DEFAULT, metadata=_ZONE)
    suites: tuple[str, ...] = field(default=("observe", "service"), metadata=_SUITES)
    counted: tuple[str, ...] = field(default=AVAILABILITY_FINDINGS, metadata=_FINDINGS)
    observation_valid_s: float = field(
        default=600.0, metadata={"check": lambda v: 1 <= v <= 86_400, "allowed": "1 to 86400 seconds"}
    )
    known_min: float = field(default=0.9, metadata=_SHARE)
    availability: float = field(default=0.999, metadata=_BELOW_ONE)
    mttr_max_s: float = field(
        default=300.0, metadata={"check": lambda v: 0 < v <= 604_800, "allowed": "up to 604800 seconds"}
    )
    automatic_recovery_min: float = field(default=0.95, metadata=_BELOW_ONE)
    security_incidents_max: int = field(
        default=0, metadata={"check": lambda v: 0 <= v <= 1000, "allowed": "0 to 1000 incidents"}
    )
    budget_days: int = field(default=30, metadata={"check": lambda v: 1 <= v <= 366, "allowed": "1 to 366 days"})


@dataclass(frozen=True, kw_only=True)
class ProducerStep:
    """One step of producing results: an argument list with a budget of its own, run in the folder of `ops.toml`."""

    name: str = field(metadata=NAMED)
    argv: tuple[str, ...] = field(metadata=_ARGV)
    budget_s: float = field(
        default=600.0, metadata={"check": lambda v: 0 < v <= 86_400, "allowed": "seconds: up to 86400"}
    )


@dataclass(frozen=True, kw_only=True)
class HandoffTable:
    """How results get from the host that produces them to the one that operates on them, with git between them.

    Attributes:
        repository: the git checkout; `remote` and `branch` are those of the shared repository.
        folder: where the bundle lies in the tree of that branch.
        producer: the name under which this host publishes.
        steps: what makes the results, one after the other.
        results: the folder that the steps fill; `files` are the patterns of those that go along.
        schemas: by file what its `schema` has to say.
        signing_key: the name of the secret that holds the producer's private key.
        producers: whose bundles are taken, with their public keys.
        fresh_hours: for how long a bundle is worth something after it was made.
        skew_max_s: how far in the future a bundle may have been made, by the clock of this host.
        bundles_dir: where bundles are put on the operator's host; `current` in it is the link to the one in force.
        decision_file: the file of the bundle that says what to do, under the key `decision_key`.
        git_budget_s: seconds for one exchange with the remote.
    """

    repository: Path = Path()
    remote: str = field(default="origin", metadata=_REFNAME)
    branch: str = field(default="main", metadata=_REFNAME)
    folder: str = field(default="handoff", metadata=BELOW)
    producer: str | None = field(default=None, metadata=NAMED)
    steps: tuple[ProducerStep, ...] = field(
        default=(), metadata={"check": lambda v: len({one.name for one in v}) == len(v) <= 20, "allowed": "up to 20"}
    )
    results: Path = Path("results")
    files: tuple[str, ...] = field(
        default=("*.json",), metadata={"check": lambda v: 0 < len(v) <= 50, "allowed": "1 to 50 patterns"}
    )
    schemas: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"check": lambda v: all(map(_is_below, v)), "allowed": "by the name of a file its schema"},
    )
    signing_key: str | None = field(default=None, metadata=NAMED)
    producers: Mapping[str, str] = field(default_factory=dict, metadata=_PUBLIC_KEYS)
    fresh_hours: float = field(
        default=26.0, metadata={"check": lambda v: 0 < v <= 8760, "allowed": "hours: more than 0, at most 8760"}
    )
    skew_max_s: float = field(
        default=300.0, metadata={"check": lambda v: 0 <= v <= 86_400, "allowed": "0 to 86400 seconds"}
    )
    bundles_dir: Path = Path("bundles")
    decision_file: str | None = field(default=None, metadata=BELOW)
    decision_key: str = field(default="decision", metadata=NAMED)
    git_budget_s: float = field(default=60.0, metadata=SECONDS)


@dataclass(frozen=True, kw_only=True)
class SplitTable:
    """The five steps of a day on the operator's host: which server is asked, and how long each step may take.

    Attributes:
        backend_url: where `ops serve` listens.
        token: the name of the secret that holds an operator's token, for when the gate is not at rest.
    """

    backend_url: str = field(default="http://127.0.0.1:8000", metadata=URL)
    token: str | None = field(default=None, metadata=NAMED)
    pull_s: float = field(default=120.0, metadata=SECONDS)
    health_s: float = field(default=10.0, metadata=SECONDS)
    summary_s: float = field(default=60.0, metadata=SECONDS)
    live_cycle_s: float = field(default=120.0, metadata=SECONDS)
    snapshot_s: float = field(default=15.0, metadata=SECONDS)


@dataclass(frozen=True, kw_only=True)
class ServeTable:
    """Where `ops serve` listens, which Host names it answers to, and how much it takes."""

    host: str = "127.0.0.1"
    port: int = field(default=8000, metadata={"check": lambda v: 0 <= v < 65536, "allowed": "0 to 65535"})
    hosts: tuple[str, ...] = ()
    body_max_bytes: int = field(
        default=65_536, metadata={"check": lambda v: 1024 <= v <= 1 << 20, "allowed": "1024 to 1048576 bytes"}
    )
    requests_per_minute: int = field(
        default=600, metadata={"check": lambda v: 1 <= v <= 100_000, "allowed": "1 to 100000 requests"}
    )
    anonymous_per_hour: int = field(
        default=60, metadata={"check": lambda v: 1 <= v <= 100_000, "allowed": "1 to 100000 acts"}
    )
