"""Opening incidents for people: once per key, in the store of the loop, and out of the loop's way."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from incident_world import World, look

from ops_core.errors import Refused, UsageError
from ops_core.incident import opening
from ops_core.incident.events import Kind, State
from ops_core.incident.loop import incident_view, resume_incident, shown_state
from ops_core.incident.severity import Scenario, Severity
from ops_core.incident.store import Incidents


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def opened(world, **changes):
    fields = {
        "title": "orders fail",
        "severity": Severity.SEV2,
        "scenario": Scenario.DATABASE,
        "source": "alert",
        "key": "group-7",
        "affected": ("/api/orders",),
        "version": "1.4.2",
        "actor": "alert",
    }
    return opening.open_incident(world.settings, world.plane, world.clock, **{**fields, **changes})


def test_one_is_open_for_each_key(world):
    """A second call returns the first incident; once that has ended, another one is opened. No key is like no other."""
    first = opened(world)
    assert opened(world, title="again").id == first.id
    assert opened(world, key="group-8").id != first.id
    assert opened(world, key="").id != opened(world, key="").id
    world.incidents.events(first.id)
    incidents = world.incidents
    incidents.events(first.id)
    incidents.close(first.id, State.CLOSED, {})
    assert opened(world).id != first.id


def test_of_many_who_open_at_once_one_wins(world):
    """The key is looked for in the transaction that opens."""
    with ThreadPoolExecutor(8) as pool:
        found = {future.result().id for future in [pool.submit(opened, world) for _ in range(16)]}
    assert len(found) == 1
    assert len(world.incidents.listed()) == 1


def test_what_is_opened_is_recorded_and_audited(world):
    """The first event holds everything that was known, the chain tells of it, and whole records stay out of it."""
    incident = opened(world, look=look(bad=[("database.unreachable", "web")]), cited={"affected": ["O1"]})
    event = world.incidents.events(incident.id)[0]
    assert event.kind is Kind.DECLARED
    assert event.data["scenario"] == "database"
    assert event.data["affected"] == ["/api/orders"]
    row = next(row for row in world.plane.audit_rows() if row.subject == incident.id)
    assert (row.action, row.actor) == ("incident.declared", "alert")
    assert "look" not in row.data
    world.plane.verify_chain()


def test_the_loop_leaves_it_alone(world):
    """It is no unfinished business of the loop, not resumed, and not called interrupted while nobody runs."""
    world.permit()
    incident = opened(world)
    assert world.run().outcome == "healthy"
    with pytest.raises(UsageError, match="people handle that incident"):
        resume_incident(
            world.settings, incident.id, plane=world.plane, clock=world.clock, say=world.said.append, lang="en"
        )
    with pytest.raises(UsageError, match="people handle that incident"):
        incident_view(world.settings, world.plane, world.clock, incident.id)
    assert shown_state(world.settings, world.incidents.get(incident.id)) is State.OPEN


def test_notes_are_added_whoever_else_adds(world):
    """Every note of many who write at once is there, in one gapless order."""
    incident = opened(world)

    def one(number):
        opening.note(world.plane, world.clock, incident.id, f"note {number}", actor="alert", source="alert")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(8)))
    told = [event.data["text"] for event in world.incidents.events(incident.id)[1:]]
    assert sorted(told) == sorted(f"note {number}" for number in range(8))


def test_what_the_loop_did_is_attached_once(world):
    """Only an incident of the loop, of the same profile, to one that has not ended."""
    world.permit()
    incident = opened(world)
    world.deploy()
    run = world.run().incident_id
    for _ in range(2):
        opening.attach(world.plane, world.clock, incident.id, run, actor="kim")
    assert world.kinds(incident.id) == ["declared", "attached"]
    with pytest.raises(UsageError, match="cannot be attached"):
        opening.attach(world.plane, world.clock, incident.id, incident.id, actor="kim")
    incidents = Incidents(world.plane, world.clock, "kim")
    incidents.events(incident.id)
    incidents.close(incident.id, State.CLOSED, {})
    with pytest.raises(Refused, match="has ended"):
        opening.add(incidents, incident.id, lambda _incident, _events: [(Kind.UPDATED, {})])
    opening.note(world.plane, world.clock, incident.id, "cleared", actor="alert", cleared=True)


@pytest.mark.parametrize("title", ["", " ", "\n\u202e"])
def test_an_incident_has_a_title(world, title):
    """Nothing that can be read is no title."""
    with pytest.raises(UsageError, match="needs a title"):
        opened(world, title=title)
