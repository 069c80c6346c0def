"""What a live fire would see now, as evidence for the checks of the suite `live_fire`."""

from __future__ import annotations

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.opening import plane_of
from ops_core.evidence import LiveFireEvidence, PreconditionSeen
from ops_core.push.preconditions import look

LOOKER = "live_fire probe"


def read_live_fire(settings: Settings, clock: Clock) -> LiveFireEvidence:
    """All eight preconditions at this instant. Nothing is burnt, completed or changed."""
    judged = look(settings, plane_of(settings, clock, LOOKER))
    return LiveFireEvidence(
        profile=settings.profile,
        preconditions=tuple(
            PreconditionSeen(
                name=one.name, ok=one.ok, required=one.required, seen=one.seen, next="" if one.ok else one.next_step
            )
            for one in judged.conditions
        ),
        problem=judged.state.problem,
    )
