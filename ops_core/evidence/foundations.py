"""What was seen of what a service stands on: database, Redis, schema, certificate, disk; and how quick it is."""

from __future__ import annotations

from dataclasses import dataclass

from ops_core.evidence.base import Evidence


@dataclass(frozen=True, kw_only=True)
class CertificateEvidence(Evidence):
    """The certificate that a server shows. `days_left` is negative for one that has run out.

    `problem` says why it is not to be trusted; empty where it is.
    """

    url: str
    days_left: float
    not_after: str
    subject: str = ""
    issuer: str = ""
    problem: str = ""

    def explain(self) -> str:
        left = f"{self.days_left:.1f} days left" if self.days_left >= 0 else f"ran out {-self.days_left:.1f} days ago"
        return f"{self.url}: {left} (until {self.not_after})" + (f"; {self.problem}" if self.problem else "")


@dataclass(frozen=True, kw_only=True)
class DatabaseEvidence(Evidence):
    """A PostgreSQL database: does it answer, and may one write? `problem` is what it, or the network, said else."""

    url: str
    reachable: bool
    problem: str = ""
    elapsed_ms: float = 0.0
    in_recovery: bool = False
    read_only: bool = False
    connections: int = 0
    connections_max: int = 0

    @property
    def ok(self) -> bool:
        return self.reachable

    def explain(self) -> str:
        if not self.reachable:
            return f"{self.url}: {self.problem}"
        how = "in recovery" if self.in_recovery else "read-only" if self.read_only else "writable"
        return f"{self.url}: {how}, {self.connections} of {self.connections_max} connections used"


@dataclass(frozen=True, kw_only=True)
class RedisEvidence(Evidence):
    """A Redis: does it answer PING? `problem` is what it, or the network, said else."""

    url: str
    reachable: bool
    problem: str = ""
    elapsed_ms: float = 0.0

    @property
    def ok(self) -> bool:
        return self.reachable

    def explain(self) -> str:
        return f"{self.url}: PONG after {self.elapsed_ms:.0f} ms" if self.reachable else f"{self.url}: {self.problem}"


@dataclass(frozen=True, kw_only=True)
class SchemaEvidence(Evidence):
    """The schema in force against the migrations that there are.

    Attributes:
        current: revisions that the database says are in force; empty where none was ever applied.
        heads: the newest revisions of the migrations.
        unknown: of `current`, those that no migration has.
        reversible: whether every revision in force declares itself reversible and its data safe.
        good: the revision under which everything was last seen good; None where none was recorded.
    """

    migrations: str
    current: tuple[str, ...]
    heads: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    reversible: bool = False
    good: str | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        unproven = self.good is not None and bool(self.current) and self.current != (self.good,)
        return (
            *(("schema.reversible",) if self.reversible else ()),
            *(("schema.unproven",) if unproven else ()),
        )

    def explain(self) -> str:
        current, heads = (", ".join(names) or "none" for names in (self.current, self.heads))
        strange = f"; {', '.join(self.unknown)} in no file of {self.migrations}" if self.unknown else ""
        return f"schema at {current}, migrations at {heads}{strange}"


@dataclass(frozen=True, kw_only=True)
class DiskEvidence(Evidence):
    """The disk below a path: percent free for who is not the administrator, of space and of files."""

    path: str
    free_percent: float
    free_bytes: int
    files_free_percent: float | None = None

    @property
    def least_percent(self) -> float:
        """What runs out first: space or files."""
        return min(self.free_percent, 100.0 if self.files_free_percent is None else self.files_free_percent)

    def explain(self) -> str:
        files = "" if self.files_free_percent is None else f", {self.files_free_percent:.1f} % of the files"
        return f"{self.path}: {self.free_percent:.1f} % free ({self.free_bytes / 1e9:.1f} GB){files}"


@dataclass(frozen=True, kw_only=True)
class BenchEvidence(Evidence):
    """A bounded number of requests, one after the other, and how long they took.

    Attributes:
        profile: under which name a baseline is kept.
        wanted, done: requests that were to be made, and that were made in the time there was.
        failed: those not answered with 2xx; `failure` describes the first.
        max_ms, p95_max_ms: the limits in force for median and p95; `limits_from` says who set them.
        baseline_*: what was recorded before; None where nothing was.
    """

    url: str
    profile: str
    wanted: int
    done: int
    failed: int
    median_ms: float | None
    p95_ms: float | None
    max_ms: float
    p95_max_ms: float
    limits_from: str = "ops.toml"
    failure: str = ""
    baseline_median_ms: float | None = None
    baseline_p95_ms: float | None = None
    baseline_at: str = ""
    baseline_problem: str = ""

    def explain(self) -> str:
        if self.median_ms is None or self.p95_ms is None:
            return f"{self.url}: {self.failed} of {self.done} requests failed: {self.failure}"
        return f"{self.url}: median {self.median_ms:.1f} ms, p95 {self.p95_ms:.1f} ms over {self.done} requests"
