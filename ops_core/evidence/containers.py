"""What was seen of containers."""

from __future__ import annotations

from dataclasses import dataclass

from ops_core.evidence.base import Evidence


@dataclass(frozen=True, kw_only=True)
class ContainerEvidence(Evidence):
    """A container: what its engine says about it, and what its log of the last hour says.

    Attributes:
        name: as the target names it.
        engine: the engine's socket.
        state: the engine's word (`running`, `exited`, …), or `missing`.
        health: `healthy`, `unhealthy`, `starting`, or `none` where no health check is configured.
        health_said: the last words of its health check.
        uptime_s: since its last start; None while it does not run.
        image: the reference that it was made from; `image_id` are 64 hexadecimal digits, as are `image_good`.
        image_good: the image that was last seen good; None where none was recorded.
        ports: as `docker ps` writes them.
        project: its Compose project, and `neighbours` the containers of that with their status.
        log_lines: how many lines there were within `log_window_s`.
        log_errors: how many of them tell an error of what runs now, or ran last; `log_errors_all` of all before it too.
        log_excerpt: the first of those since the last start.
        log_cut: the log was longer than what is read.
        log_problem: why there is no log to read.
    """

    name: str
    engine: str
    state: str
    id: str = ""
    health: str = "none"
    health_said: str = ""
    pid: int | None = None
    exit_code: int | None = None
    out_of_memory: bool = False
    restart_count: int = 0
    uptime_s: float | None = None
    image: str = ""
    image_id: str = ""
    image_good: str | None = None
    ports: tuple[str, ...] = ()
    project: str = ""
    neighbours: tuple[tuple[str, str], ...] = ()
    log_window_s: float = 0.0
    log_lines: int = 0
    log_errors: int = 0
    log_errors_all: int = 0
    log_excerpt: tuple[str, ...] = ()
    log_cut: bool = False
    log_problem: str = ""

    @property
    def ok(self) -> bool:
        return self.state == "running" and self.health in {"healthy", "none"}

    @property
    def facts(self) -> tuple[str, ...]:
        # Where there is no container there is no image to blame.
        known = self.image_good is not None and self.image_id
        return ("image.unproven",) if known and self.image_id != self.image_good else ()

    def explain(self) -> str:
        if self.state == "missing":
            return f"container {self.name}: the engine has none of that name"
        text = f"container {self.name}: {self.state}"
        if self.health != "none" and self.state == "running":
            text += f", {self.health}"
            text += f" ({self.health_said})" if self.health_said and self.health == "unhealthy" else ""
        if self.state in {"exited", "dead", "restarting"}:
            text += f", exit code {self.exit_code}" + (", out of memory" if self.out_of_memory else "")
        if self.restart_count:
            text += f", restarted {self.restart_count} times"
        text += f", image {self.image or self.image_id[:12]}"
        if self.facts:
            text += f" (last good: {(self.image_good or '')[:12]})"
        return text

    def explain_log(self) -> str:
        """One line about its log."""
        if self.log_problem:
            return f"log of {self.name}: {self.log_problem}"
        at_least = "at least " if self.log_cut else ""
        text = f"log of {self.name}: {at_least}{self.log_errors} lines tell errors since its start"
        return f"{text}: {self.log_excerpt[0]}" if self.log_excerpt else text


@dataclass(frozen=True, kw_only=True)
class HeartbeatEvidence(Evidence):
    """The heartbeats in a container's log: how many lines of the last `window_s` seconds match `pattern`."""

    name: str
    pattern: str
    window_s: float
    state: str
    uptime_s: float | None
    count: int
    lines: int
    cut: bool = False

    @property
    def ok(self) -> bool:
        return self.count > 0

    def explain(self) -> str:
        return f"log of {self.name}: {self.count} of {self.lines} lines in {self.window_s:g} s match {self.pattern!r}"
