"""What an incident is made of: events, each of one kind, and the state that they come to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What an incident is, or came to. CLOSED is for people alone: ended with a reason, recovery not verified."""

    OPEN = "open"
    RECOVERED = "recovered"
    ESCALATED = "escalated"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    CLOSED = "closed"


class Kind(StrEnum):
    """What an event tells of."""

    OPENED = "opened"
    OBSERVED = "observed"
    DECIDED = "decided"
    PLANNED = "planned"
    UNPLANNED = "unplanned"
    PERMITTED = "permitted"
    REFUSED = "refused"
    ARMED = "armed"
    STEP = "step"
    ACTED = "acted"
    UNACTED = "unacted"
    VERIFIED = "verified"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"
    INTERRUPTED = "interrupted"
    CLOSED = "closed"
    FILED = "filed"
    # What people do; see `response`. The loop takes no notice of it.
    DECLARED = "declared"
    UPDATED = "updated"
    ANSWERED = "answered"
    FINISHED = "phase_finished"
    NOTED = "noted"
    ATTACHED = "attached"
    LOOKED = "looked"
    REPORTED = "reported"
    ISSUE = "issue"
    CHANGELOG = "changelog"


# What may still be recorded when an incident has ended.
AFTERWARDS = frozenset({Kind.FILED, Kind.NOTED, Kind.REPORTED, Kind.ISSUE, Kind.CHANGELOG})


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened. `at` is ISO 8601 in UTC, `data` JSON values."""

    seq: int
    at: str
    kind: Kind
    data: Mapping[str, Any]
