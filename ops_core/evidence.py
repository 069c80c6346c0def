"""What a probe saw, frozen: the only thing that checks, decisions and reports may speak about.

`Evidence` is the base of what a probe returns. `EvidenceRecord` is the envelope that the observation keeps for each
(probe, target) pair: the evidence, or the reason why there is none, with times and the actions taken. A record holds
no secret: instruments redact before they build evidence.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ops_core.errors import UsageError

# How pydantic is to read a record back: a field that we do not know means that the record is not ours.
STRICT: dict[str, str] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Base of everything a probe may return.

    A user's own evidence is a frozen dataclass that derives from this one; its fields must be JSON values, other
    dataclasses, or tuples of them, so that a recorded observation can be judged again.
    """

    __pydantic_config__: ClassVar[Any] = STRICT
    kinds: ClassVar[dict[str, type[Evidence]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        before = Evidence.kinds.get(cls.__name__)
        if before is not None and _file_of(before) != _file_of(cls):
            # Records tell evidence apart by its name: another class of that name would read what this one wrote.
            raise UsageError(
                f"there is evidence called {cls.__name__!r} already",
                where=f"{_file_of(cls)}; the other one stands in {_file_of(before)}",
                next_step="give it another name",
            )
        Evidence.kinds[cls.__name__] = cls

    @property
    def ok(self) -> bool:
        """Whether a retry would be pointless. It steers `@probe(attempts=…)` only: judging is the checks' work."""
        return True

    @property
    def facts(self) -> tuple[str, ...]:
        """Codes of what was seen that is neither good nor bad in itself but steers the decision."""
        return ()

    def explain(self) -> str:
        """One line that says what was seen, for the message of a failing check."""
        return repr(self)


@dataclass(frozen=True, kw_only=True)
class ValueEvidence(Evidence):
    """Evidence of a probe that returned a plain JSON value."""

    value: Any

    def explain(self) -> str:
        return f"saw {self.value!r}"


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
        if self.config_good is not None and self.config != self.config_good:
            found.append("config.unproven")
        return tuple(found)

    def explain(self) -> str:
        return (
            f"release {self.release or 'none'} in force (last good: {self.release_good or 'not recorded'}), "
            f"configuration {self.config or 'none'} (last good: {self.config_good or 'not recorded'})"
        )


@dataclass(frozen=True, kw_only=True)
class ControlEvidence(Evidence):
    """The control plane as its store says. `stopped` is also true when the store is missing or unreadable."""

    store: str
    stopped: bool
    stop_reason: str
    gate: str
    changed_by: str = ""
    changed_at: str = ""
    problem: str = ""

    def explain(self) -> str:
        if self.problem:
            return f"emergency stop counts as engaged: {self.problem}"
        stop = f"engaged ({self.stop_reason})" if self.stopped else "released"
        return f"emergency stop {stop}, gate {self.gate}"


@dataclass(frozen=True, kw_only=True)
class DailyEvidence(Evidence):
    """What the daily checklist looks at: the control plane, and the cycle that ran last.

    Attributes:
        stopped: why everything is stopped; empty where it is not.
        gate: the one in force.
        window: status of the latest window, or NONE.
        window_left_s: seconds until it runs out.
        window_used: whether the latest cycle's own live fire consumed it.
        keys: how many approvals it has; `keys_problem` says why they do not prove themselves.
        due_slot: key of the slot that is due now, empty where none is; `due_run` whether it was run.
        missed: keys of the slots that nobody ran since the last cycle.
        run_id, result, cause, begun_at, ended_at: of the latest cycle; all empty where none ran yet.
        alive: whether it is still running.
    """

    stopped: str
    gate: str
    window: str = "NONE"
    window_left_s: int = 0
    window_used: bool = False
    keys: int = 0
    keys_needed: int = 2
    keys_problem: str = ""
    due_slot: str = ""
    due_run: bool = True
    missed: tuple[str, ...] = ()
    run_id: str = ""
    result: str = ""
    cause: str = ""
    begun_at: str = ""
    ended_at: str = ""
    alive: bool = False

    def explain(self) -> str:
        cycle = f"cycle {self.run_id} {self.result}" if self.run_id else "no cycle yet"
        return f"{self.stopped or 'emergency stop released'}; gate {self.gate}; window {self.window}; {cycle}"


@dataclass(frozen=True, kw_only=True)
class PreconditionSeen:
    """One precondition of a live fire: what it asks for, what was seen, and what to type where it does not hold."""

    __pydantic_config__: ClassVar[Any] = STRICT

    name: str
    ok: bool
    required: str
    seen: str
    next: str = ""


@dataclass(frozen=True, kw_only=True)
class LiveFireEvidence(Evidence):
    """What a live fire would see now: its eight preconditions. `problem`: the store could not be read."""

    profile: str
    preconditions: tuple[PreconditionSeen, ...]
    problem: str = ""

    def holds(self, name: str) -> bool:
        """Whether the precondition of that name holds."""
        return self._one(name).ok

    def explain_one(self, name: str) -> str:
        """What was seen of the precondition of that name, and what to type."""
        one = self._one(name)
        return f"{one.name} is {one.seen}, and must be {one.required}" + (f" (next: {one.next})" if one.next else "")

    def explain(self) -> str:
        missing = [one.name for one in self.preconditions if not one.ok]
        return f"missing for a live fire: {', '.join(missing)}" if missing else "a live fire may happen now"

    def _one(self, name: str) -> PreconditionSeen:
        return next(one for one in self.preconditions if one.name == name)


@dataclass(frozen=True, kw_only=True)
class Breach:
    """Something that was changed behind the program's back, or tried without permission.

    Attributes:
        area: "gate_mirror", "stop_mirror", "mirrors", "tickets", "logs", "contracts", "chain" or "real".
        where: the file, or what was tried.
        what: what was found, as one clause.
        at: when, as far as known: a file's modification time, or when it was recorded.
        by: who, as far as known: an actor, or the owner of what was found.
        put_right: whether the program has put it right since; it is told until somebody accepts it.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    area: str
    where: str
    what: str
    at: str = ""
    by: str = ""
    put_right: bool = False

    def explain(self) -> str:
        """In words: what, where, when and who as far as known."""
        known = [
            f"at {self.at}" if self.at else "at a time not known",
            f"by {self.by}" if self.by else "by nobody known",
        ]
        said = f"{self.where}: {self.what}, {', '.join(known)}"
        return f"{said}; put right since" if self.put_right else said


@dataclass(frozen=True, kw_only=True)
class IntegrityEvidence(Evidence):
    """Whether the files around the control store, and its own history, are what the program left there.

    `pending` names mirrors that an export has not yet brought up to date: late, and nobody's doing. `effect` says what
    is in force whatever those files say.
    """

    store: str
    audit_rows: int
    head_hash: str
    effect: str
    breaches: tuple[Breach, ...] = ()
    pending: tuple[str, ...] = ()
    accepted_at: str = ""

    def of(self, *areas: str) -> tuple[Breach, ...]:
        """The breaches in those areas."""
        return tuple(breach for breach in self.breaches if breach.area in areas)

    def tell(self, *areas: str) -> str:
        """The breaches in those areas in words, and that they had no effect."""
        found = self.of(*areas)
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        return "; ".join(breach.explain() for breach in found[:5]) + f"{more}. It had no effect: {self.effect}"

    def explain(self) -> str:
        late = f", {len(self.pending)} mirrors not yet exported" if self.pending else ""
        return f"{len(self.breaches)} breaches, {self.audit_rows} audit rows verified{late}"


@dataclass(frozen=True, kw_only=True)
class EvidenceRecord:
    """The envelope of one (probe, target) pair in an observation.

    `id` is `probe[target]`, or the probe's name where it looks at no target. `seen` is False when the probe could not
    look; `reason` then says why in one line, and `actions` holds what it had done until then.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    id: str
    probe: str
    target: str | None
    seen: bool
    kind: str | None
    evidence: Evidence | None
    reason: str = ""
    where: str = ""
    started_at: str = ""
    elapsed_s: float = 0.0
    charged_s: float = 0.0
    budget_s: float = 0.0
    attempts: int = 1
    facts: tuple[str, ...] = ()
    actions: tuple[dict[str, Any], ...] = ()


def _file_of(cls: type) -> str:
    return str(getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.__module__)


def evidence_id(probe: str, target: str | None) -> str:
    """`health[core-api]`, or `control` for a probe that looks at no target."""
    return probe if target is None else f"{probe}[{target}]"
