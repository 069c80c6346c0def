"""What was seen of a service that takes data: is it alive and ready, how does it do, does it keep what it promised?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ops_core.evidence.base import STRICT, Evidence
from ops_core.evidence.systems import HttpEvidence

SINCE_START = "since start"
WINDOW = "between two looks"


@dataclass(frozen=True, kw_only=True)
class ReadyEvidence(Evidence):
    """Readiness: the answer, and whether it is the documented word of a service that works with less.

    Attributes:
        degraded: it answered 503 and said that it is degraded, and why.
        why: in the service's own words.
        away: which of what it depends on it misses; `mode` says that it was told to work with less.
    """

    answer: HttpEvidence
    degraded: bool = False
    why: str = ""
    away: tuple[str, ...] = ()
    mode: bool = False

    @property
    def ok(self) -> bool:
        return self.answer.ok

    @property
    def facts(self) -> tuple[str, ...]:
        return ("degraded.on",) if self.mode else ()

    @property
    def ready(self) -> bool:
        """Whether it answered 200."""
        return self.answer.status == 200 and self.answer.error is None

    def explain(self) -> str:
        if not self.degraded:
            return self.answer.explain()
        parts = [f"away: {', '.join(self.away)}" if self.away else "", self.why]
        return f"{self.answer.explain()}; degraded ({'; '.join(part for part in parts if part)})"


@dataclass(frozen=True, kw_only=True)
class MetricsEvidence(Evidence):
    """What a service's own Prometheus metrics say of its requests.

    Counters count from the start of the process. Where requests were counted between two looks, the figures are of
    these; else of all since the start, which `basis` says. Requests to the addresses that probes ask are left out,
    where the metrics tell addresses apart.

    Attributes:
        window_s: seconds between the two looks.
        requests, failed: counted on that basis; failed are those answered with 5xx.
        p95_ms: by linear interpolation in the histogram; None where nothing was timed.
        p95_is_more: the true value lies above the largest limit of the histogram, which `p95_ms` is.
        uptime_s: since the process started, where the metrics say when.
        missing: what the page does not hold, in words.
    """

    url: str
    basis: str
    window_s: float
    requests: float | None = None
    failed: float | None = None
    requests_since_start: float | None = None
    p95_ms: float | None = None
    p95_is_more: bool = False
    uptime_s: float | None = None
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def error_rate(self) -> float | None:
        """Failed requests among all; None where there were none, or they are not counted."""
        if self.requests is None or self.failed is None or self.requests <= 0:
            return None
        return self.failed / self.requests

    @property
    def per_s(self) -> float | None:
        """Requests a second between the two looks; None where none were counted there."""
        if self.basis != WINDOW or self.requests is None or self.window_s <= 0:
            return None
        return self.requests / self.window_s

    def explain(self) -> str:
        over = f"in {self.window_s:.1f} s" if self.basis == WINDOW else "since its start"
        if self.requests is None or self.failed is None:
            return f"{self.url}: requests are not counted"
        parts = [f"{self.failed:g} of {self.requests:g} requests failed {over}"]
        if self.p95_ms is not None:
            parts.append(f"p95 {'more than ' if self.p95_is_more else ''}{self.p95_ms:.0f} ms")
        return f"{self.url}: {', '.join(parts)}"


@dataclass(frozen=True, kw_only=True)
class RequestIdEvidence(Evidence):
    """A request with an id of ours: was the id on the answer, and did it get into the log?

    `logged` is None where the log could not be read, which `log_problem` explains.
    """

    request_id: str
    answer: HttpEvidence
    echoed: str | None
    log_file: str
    logged: bool | None = None
    waited_s: float = 0.0
    log_problem: str = ""

    def explain(self) -> str:
        on = "came back" if self.echoed == self.request_id else f"came back as {self.echoed}" if self.echoed else "lost"
        log = {True: "logged", False: f"not in {self.log_file} after {self.waited_s:.1f} s"}.get(bool(self.logged), "")
        return f"X-Request-Id {on}, {log if self.logged is not None else self.log_problem}"


@dataclass(frozen=True, kw_only=True)
class PayloadEvidence(Evidence):
    """One request that is larger than what was promised to be taken.

    Attributes:
        what: "body" or "batch"; `limit` is in bytes or in items, and one more was announced.
        sent_bytes: its size; who refuses it early is not sent all of it.
        code: what the answer calls the reason, such as PAYLOAD_TOO_LARGE.
    """

    PROMISED: ClassVar[str] = "PAYLOAD_TOO_LARGE"

    what: str
    limit: int
    answer: HttpEvidence
    code: str = ""
    sent_bytes: int = 0

    @property
    def accepted(self) -> bool:
        """Whether it was taken."""
        return self.answer.status is not None and 200 <= self.answer.status < 300

    @property
    def refused_as_promised(self) -> bool:
        """Whether it was refused for its size."""
        return self.answer.status == 413 and self.code == self.PROMISED

    def explain(self) -> str:
        unit = "bytes" if self.what == "body" else "items"
        code = f" {self.code}" if self.code else ""
        return f"{self.what} of {self.limit + 1} {unit} (limit {self.limit}): {self.answer.explain()}{code}"


@dataclass(frozen=True, kw_only=True)
class SecretSeen:
    """A secret by its name, and what is to be said of it; nothing in here is made from its value.

    `length` is a class ("none", "1 to 15 bytes", "16 to 31 bytes", "32 bytes or more"), `weakness` the reason why it is
    weak, empty where it is strong.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    name: str
    present: bool
    length: str = "none"
    weakness: str = ""


@dataclass(frozen=True, kw_only=True)
class SecretsEvidence(Evidence):
    """The secrets that a service must have: there, and strong?"""

    secrets: tuple[SecretSeen, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of those that have no value on this host."""
        return tuple(one.name for one in self.secrets if not one.present)

    @property
    def weak(self) -> tuple[SecretSeen, ...]:
        """Those that are there and easily guessed."""
        return tuple(one for one in self.secrets if one.present and one.weakness)

    def explain(self) -> str:
        weak = [f"{one.name} {one.weakness}" for one in self.weak]
        said = [f"{name} has no value" for name in self.missing] + weak
        return "; ".join(said) or f"{len(self.secrets)} secrets are there and strong"
