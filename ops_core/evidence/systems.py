"""What was seen of the systems under operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ops_core import temporary
from ops_core.evidence.base import STRICT, Evidence


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Where the time of a request went, in milliseconds; None where the step did not happen or is not known."""

    __pydantic_config__: ClassVar[Any] = STRICT

    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    body_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class HttpEvidence(Evidence):
    """One HTTP exchange. `status` is None when the target refused or broke the exchange; `error` then says how."""

    method: str
    url: str
    status: int | None = None
    error: str | None = None
    error_detail: str = ""
    elapsed_ms: float = 0.0
    timing: Timing = field(default_factory=Timing)
    http_version: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    size_bytes: int = 0
    truncated: bool = False
    body_excerpt: str = ""

    @property
    def ok(self) -> bool:
        return self.status is not None and self.status < 500 and self.error is None

    def header(self, name: str) -> str | None:
        """The first value of a response header, by case-insensitive name."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: the body is not JSON, or was cut at the size limit.
        """
        import json

        if self.truncated:
            raise ValueError(f"the body of {self.url} was cut after {len(self.body_excerpt)} characters")
        return json.loads(self.body_excerpt)

    def explain(self) -> str:
        failed = f"{self.error} ({self.error_detail})" if self.error_detail else self.error
        if self.status is None:
            return f"{self.method} {self.url}: {failed} after {self.elapsed_ms:.0f} ms"
        said = f"{self.status}, then {failed}" if failed else str(self.status)
        return f"{self.method} {self.url}: {said} after {self.elapsed_ms:.0f} ms, {self.size_bytes} bytes"


@dataclass(frozen=True, kw_only=True)
class GuardEvidence(Evidence):
    """The secret guard asked three ways. `right` is None when our own copy of the secret is not available."""

    without: HttpEvidence
    wrong: HttpEvidence
    right: HttpEvidence | None
    right_missing: str = ""

    @property
    def ok(self) -> bool:
        return self.without.ok and self.wrong.ok and (self.right is None or self.right.ok)

    def explain(self) -> str:
        right = str(self.right.status or self.right.error) if self.right else "not asked"
        return (
            f"{self.without.url}: without secret {self.without.status or self.without.error}, "
            f"wrong secret {self.wrong.status or self.wrong.error}, right secret {right}"
        )


@dataclass(frozen=True, kw_only=True)
class StreamEvidence(Evidence):
    """A server-sent event stream, watched for a window of time. Heartbeat comments count as bytes and as comments."""

    url: str
    status: int | None = None
    error: str | None = None
    error_detail: str = ""
    content_type: str = ""
    first_byte_ms: float | None = None
    watched_ms: float = 0.0
    window_s: float = 0.0
    size_bytes: int = 0
    events: int = 0
    comments: int = 0
    ended_by_server: bool = False
    excerpt: str = ""

    @property
    def ok(self) -> bool:
        return self.status == 200 and self.size_bytes > 0

    def explain(self) -> str:
        if self.error is not None or self.status is None:
            failed = f"{self.error} ({self.error_detail})" if self.error_detail else self.error
            said = f"{self.status}, then {failed}" if self.status is not None else failed
            return f"GET {self.url}: {said}"
        return (
            f"GET {self.url}: {self.status}, {self.size_bytes} bytes, {self.events} events and "
            f"{self.comments} heartbeats in {self.watched_ms / 1000:.1f} s"
        )


@dataclass(frozen=True, kw_only=True)
class ProcessEvidence(Evidence):
    """A supervised process: what its supervisor says and what the operating system says."""

    name: str
    supervisor: str
    state: str
    pid: int | None = None
    os_state: str | None = None
    uptime_s: float | None = None
    exit_status: int | None = None
    detail: str = ""

    @property
    def running(self) -> bool:
        """Whether the supervisor holds the process to be running and the system has it."""
        return self.state == "RUNNING" and self.os_state not in (None, "Z", "X")

    @property
    def frozen(self) -> bool:
        """Whether the process exists but is stopped by a signal or a debugger (SIGSTOP, SIGTSTP, ptrace)."""
        return self.os_state in ("T", "t")

    def explain(self) -> str:
        text = f"process {self.name}: {self.state}"
        if self.pid:
            text += f", pid {self.pid}, system state {self.os_state or 'gone'}"
        if self.exit_status is not None and self.state in ("EXITED", "FATAL", "BACKOFF"):
            text += f", exit status {self.exit_status}"
        return text + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, kw_only=True)
class CommandEvidence(Evidence):
    """A command that was run by its argument list. Output is bounded and redacted."""

    argv: tuple[str, ...]
    exit_code: int
    elapsed_ms: float
    stdout: str
    stderr: str
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def explain(self) -> str:
        last = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return f"{' '.join(self.argv)}: exit {self.exit_code}" + (f", {last[-1]}" if last else "")


@dataclass(frozen=True, kw_only=True)
class DeploymentEvidence(Evidence):
    """Which release and configuration are in force, and which were last seen good. None means not recorded."""

    release: str | None
    release_exists: bool
    release_good: str | None
    config: str | None
    config_exists: bool
    config_good: str | None

    @property
    def facts(self) -> tuple[str, ...]:
        found = []
        if self.release_good is not None and self.release != self.release_good:
            found.append("release.unproven")
        config = self.config or ""
        if self.config_good is not None and temporary.lasting(config) != self.config_good:
            found.append("config.unproven")
        return (*found, *(temporary.FACTS[kind] for kind in temporary.kinds_of(config)))

    def explain(self) -> str:
        return (
            f"release {self.release or 'none'} in force (last good: {self.release_good or 'not recorded'}), "
            f"configuration {self.config or 'none'} (last good: {self.config_good or 'not recorded'})"
        )


@dataclass(frozen=True, kw_only=True)
class RolloutEvidence(Evidence):
    """Whether a rollout is under way, as the operator's own command says; None where it says neither yes nor no."""

    running: bool | None
    detail: str = ""

    @property
    def facts(self) -> tuple[str, ...]:
        return ("rollout.running",) if self.running else ()

    def explain(self) -> str:
        if self.running is None:
            return f"nobody can tell whether a rollout is under way: {self.detail}"
        return "a rollout is under way" if self.running else "no rollout is under way"
