"""What people do about an incident holds in a file and in a database alike, with many at it at once."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from incident_world import World
from postgresql import common_folder, new_schema, shared_server

from ops_core.control.service import ControlPlane
from ops_core.errors import Refused
from ops_core.incident import opening
from ops_core.incident.events import State
from ops_core.incident.handling import Responses, Saying
from ops_core.incident.phases import Phase, items_of
from ops_core.incident.severity import Scenario, Severity


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A PostgreSQL server, shared by all tests that do it no harm."""
    with shared_server(common_folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """A world whose control plane lies in a file, or in a database."""
    world = World(tmp_path)
    plane = world.plane
    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        location = server.location(tmp_path / "control" / "control.db", new_schema(server))
        plane = ControlPlane(location, world.clock, actor="kim")
        plane.create()
    return SimpleNamespace(settings=world.settings, clock=world.clock, plane=plane)


def opened(place):
    return opening.open_incident(
        place.settings,
        place.plane,
        place.clock,
        title="orders fail",
        severity=Severity.SEV2,
        scenario=Scenario.RELEASE,
        source="alert",
        key="group-7",
        affected=("/api",),
        version="1.4.2",
        actor="kim",
        started_at=place.clock.now(),
    ).id


def test_the_whole_way_with_many_at_it(place):
    """One is opened, every update of all is there in one order, and a phase is finished by one of them only."""
    people = Responses(place.plane, place.clock, "kim")
    with ThreadPoolExecutor(4) as pool:
        (one,) = {found.result() for found in [pool.submit(opened, place) for _ in range(4)]}

        def told(number):
            Responses(place.plane, place.clock, f"p{number}").update(one, Saying(text=f"update {number}"))

        list(pool.map(told, range(6)))

        def finish(_number):
            try:
                Responses(place.plane, place.clock, "kim").finish(one, Phase.TRIAGE)
            except Refused:
                return 0
            return 1

        assert sum(pool.map(finish, range(4))) == 1
    response = people.get(one)
    assert sorted(update.text for update in response.updates) == [f"update {number}" for number in range(6)]
    for phase in list(Phase)[1:]:
        people.update(one, Saying(answers={item.name: "done" for item in items_of(phase, Scenario.RELEASE)}))
        people.finish(one, phase)
    assert people.close(one, "").state is State.RECOVERED
    with pytest.raises(Refused, match="has ended"):
        people.close(one, "again")
    assert people.open_ones("default") == ()
    actions = [row.action for row in place.plane.audit_rows() if row.subject == one]
    assert actions[0] == "incident.declared"
    assert actions[-1] == "incident.closed"
    assert actions.count("incident.phase_finished") == len(Phase)
    place.plane.verify_chain()
