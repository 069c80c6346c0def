"""Whoever waits for news of an incident gets it in time: every 15, 30 or 60 minutes, by its severity."""

import pytest

from ops_core import IncidentsEvidence, finding


@pytest.mark.service
@finding("incident.update_overdue")
def check_updates_are_given_in_time(incidents: IncidentsEvidence) -> None:
    """No open incident is owed an update for longer than its severity allows."""
    if not incidents.incidents:
        # Nobody waits. A profile in which nothing else was judged must not be green because of that.
        pytest.skip(incidents.explain())
    assert not incidents.overdue, incidents.explain()
