"""What the suite `service` sees of the incidents that people handle. Changes nothing."""

from __future__ import annotations

from ops_core.clock import Clock, isoformat
from ops_core.config import Settings
from ops_core.control.opening import plane_of
from ops_core.control.problems import StoreMissing
from ops_core.errors import CannotLook, OpsError
from ops_core.evidence import IncidentsEvidence, OpenIncident
from ops_core.incident.handling import Responses

LOOKER = "incidents probe"


def read_incidents(settings: Settings, clock: Clock) -> IncidentsEvidence:
    """The open incidents. Where there is no store yet, nobody has opened any.

    Raises:
        CannotLook: the store, or what is recorded, cannot be read: nobody knows what is owed.
    """
    found = []
    try:
        responses = Responses(plane_of(settings, clock, LOOKER), clock, LOOKER)
        handled = responses.open_ones(settings.profile)
        now = clock.now()
        for one in handled:
            owed = one.owed
            last = one.updates[-1].at if one.updates else one.events[0].at
            found.append(
                OpenIncident(
                    id=one.incident.id,
                    severity=one.severity.value,
                    title=one.title,
                    last_update_at=last,
                    due_at=isoformat(owed.due_at) if owed else "",
                    overdue=owed.overdue(now) if owed else False,
                )
            )
    except StoreMissing:
        now = clock.now()
    except OpsError as error:
        raise CannotLook(error.what, where=error.where, next_step=error.next_step) from None
    return IncidentsEvidence(seen_at=isoformat(now), incidents=tuple(found))
