"""What was seen of the hand-off on the operator's host: bundle in force, newest pull, summary and live cycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ops_core.evidence.base import STRICT, Evidence

REFUSED = "REFUSED"


@dataclass(frozen=True, kw_only=True)
class BundleSeen:
    """The bundle in force. Times are ISO 8601 in UTC; `problem` says why nothing in it is to be relied on."""

    __pydantic_config__: ClassVar[Any] = STRICT

    id: str
    producer: str = ""
    sequence: int = 0
    created_at: str = ""
    age_s: float = 0.0
    fresh: bool = False
    fresh_until: str = ""
    problem: str = ""

    def explain(self) -> str:
        """In words: which, of whom, and until when it is worth something."""
        if self.problem:
            return (
                f"bundle {self.id} is in force and not to be relied on: {self.problem} "
                "(next: ops handoff status; then ops handoff pull, or ops handoff rollback)"
            )
        age = f"bundle {self.id} of {self.producer} was made {self.age_s / 3600:.1f} h ago"
        if self.fresh:
            return f"{age} and is good until {self.fresh_until}"
        return (
            f"{age} and was good until {self.fresh_until} "
            "(next: on the producer's host ops handoff publish, then here ops handoff pull)"
        )


@dataclass(frozen=True, kw_only=True)
class PullSeen:
    """What came of the newest pull: its outcome, and of a refusal the code and the reason."""

    __pydantic_config__: ClassVar[Any] = STRICT

    run_id: str
    at: str
    outcome: str
    code: str = ""
    reason: str = ""

    def explain(self) -> str:
        """In words: what was refused and why, or how it ended."""
        if self.outcome == REFUSED:
            return (
                f"pull {self.run_id} refused a bundle at {self.at} ({self.code}): {self.reason} "
                "(next: ops handoff status; the bundle in force stays in force)"
            )
        return f"pull {self.run_id} ended at {self.at} as {self.outcome}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, kw_only=True)
class SummarySeen:
    """The newest summary; `current`: it is no older than a bundle may be."""

    __pydantic_config__: ClassVar[Any] = STRICT

    run_id: str
    asof: str
    age_s: float
    overall_status: str
    current: bool

    def explain(self) -> str:
        """In words: of when it is, and what it says."""
        told = f"summary {self.run_id} of {self.asof} says {self.overall_status}"
        if self.current:
            return told
        return f"{told}, and is {self.age_s / 3600:.1f} h old (next: ops summary regenerate)"


@dataclass(frozen=True, kw_only=True)
class LiveCycleSeen:
    """The latest live cycle. `alive`: it is open and goes on; `snapshot_problem`: why its references fail."""

    __pydantic_config__: ClassVar[Any] = STRICT

    run_id: str
    asof: str
    result: str
    decision: str = ""
    reason: str = ""
    bundle_id: str = ""
    snapshot_ref: str = ""
    snapshot_problem: str = ""
    alive: bool = False

    @property
    def failed(self) -> bool:
        """Whether it ended as a failure, or did not end although nobody is at it any more."""
        return self.result == "FAILED" or (self.result == "OPEN" and not self.alive)

    def explain(self) -> str:
        """In words: how it ended, what it decided, and what to type where that is no good."""
        how = self.result
        if how == "OPEN":
            how = "still running" if self.alive else "begun and not ended: its process is gone"
        told = f"live cycle {self.run_id} of {self.asof} is {how}, decision {self.decision or 'NONE'}: {self.reason}"
        return f"{told} (next: ops live latest; again: ops live run)" if self.failed else told

    def explain_snapshot(self) -> str:
        """In words: whether its snapshot is found."""
        problem = self.snapshot_problem or ("" if self.snapshot_ref else "it left no reference")
        if not problem:
            return f"the snapshot {self.snapshot_ref} is found"
        return (
            f"the snapshot of live cycle {self.run_id} is not found: {problem} "
            "(next: ops live run makes a new one; ops audit verify says whether the record holds)"
        )


@dataclass(frozen=True, kw_only=True)
class HandoffEvidence(Evidence):
    """The hand-off at one instant.

    Attributes:
        seen_at: that instant.
        configured: whether this host takes bundles at all; where it does not, there is nothing to judge.
        bundle: in force; None where none is.
        pull: the newest; None where nobody ever pulled.
        summary: the newest; None where none was made.
        live_cycle: the latest; None where none ever ran.
        missed: keys of the slots since then that nobody ran.
    """

    seen_at: str
    configured: bool
    bundle: BundleSeen | None = None
    pull: PullSeen | None = None
    summary: SummarySeen | None = None
    live_cycle: LiveCycleSeen | None = None
    missed: tuple[str, ...] = ()

    def explain_bundle(self) -> str:
        """What was seen of the bundle, and what to type where there is none."""
        if self.bundle is not None:
            return self.bundle.explain()
        return "no bundle is in force: there is nothing to operate on (next: ops handoff pull)"

    def explain_summary(self) -> str:
        """What was seen of the summary, and what to type where there is none."""
        if self.summary is not None:
            return self.summary.explain()
        return "no summary was made yet (next: ops summary regenerate)"

    def explain_live_cycle(self) -> str:
        """What was seen of the live cycle, and what to type where it did not run."""
        typed = "(next: ops daily --split; by itself every day: ops schedule install --cron)"
        if self.live_cycle is None:
            return f"no live cycle has run yet {typed}"
        if self.missed:
            last = f"the latest is {self.live_cycle.run_id} of {self.live_cycle.asof}"
            return f"nobody ran {', '.join(self.missed[-3:])} ({len(self.missed)} missed); {last} {typed}"
        return self.live_cycle.explain()

    def explain(self) -> str:
        if not self.configured:
            return "this host takes no bundles: no producer is named under [profiles.NAME.handoff.producers]"
        pull = "nobody ever pulled" if self.pull is None else self.pull.explain()
        return f"{self.explain_bundle()}; {pull}; {self.explain_summary()}; {self.explain_live_cycle()}"
