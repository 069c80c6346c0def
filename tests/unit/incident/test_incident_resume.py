"""Going on: cut off at any commit to the store, an incident comes to its end, and no step has its effect twice."""

import contextlib
import itertools

import pytest
from incident_world import World, render_all
from support import sampled

from ops_core.budget import RECOVER_S
from ops_core.control.service import ControlPlane
from ops_core.errors import UsageError
from ops_core.incident.loop import Choice, incident_view, list_incidents
from ops_core.incident.progress import State
from ops_core.incident.store import Incidents
from ops_core.remediation.plan import Plan
from ops_core.remediation.runner import StepState

# One more than a rollback that recovers commits, among them that its work has begun and has ended.
COMMITS = 21


class Cut(BaseException):
    """The program is killed here."""


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.permit()
    world.deploy()
    return world


@contextlib.contextmanager
def cut_at(count, *, after):
    """Kill the program at its `count`-th commit: before it, or when it is made but nobody has learned of it."""
    original, seen = ControlPlane.transaction, []

    @contextlib.contextmanager
    def transaction(self):
        seen.append(1)
        if len(seen) == count and not after:
            raise Cut
        with original(self) as change:
            yield change
        if len(seen) == count:
            raise Cut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ControlPlane, "transaction", transaction)
        try:
            yield seen
        except Cut:
            seen.append("cut")


def test_what_was_left_open_is_not_gone_on_with_behind_a_choice(world):
    """Cut off with a plan; somebody chooses another remediation; whoever comes next does not bring the old plan back."""
    with cut_at(8, after=True) as seen:
        world.run()
    assert seen[-1] == "cut"
    (left,) = list_incidents(world.plane, world.clock)
    assert left.state is State.OPEN
    assert any(event.kind == "planned" for event in Incidents(world.plane, world.clock, "t").events(left.id))
    world.run(choice=Choice(remediation="restart_service", target="web"))
    view = incident_view(world.settings, world.plane, world.clock, left.id)
    assert view.state == "interrupted"
    assert all("restart_service" in text for text in render_all(view)[:1])
    assert {one.state for one in list_incidents(world.plane, world.clock)}.isdisjoint({State.OPEN})
    assert world.in_force() == "2.env"


@pytest.mark.parametrize(
    ("count", "after"),
    [
        pytest.param(count, after, id=f"{count}-{'after' if after else 'before'}")
        for count, after in sampled(itertools.product(range(1, COMMITS), (False, True)), 0.4)
    ],
)
def test_cut_off_at_any_commit_it_comes_to_its_end(world, count, after):
    """Whatever was recorded last: gone on with, every step has its effect once, and each report is written once."""
    with cut_at(count, after=after) as seen:
        world.run()
    assert seen[-1] == "cut", "there are fewer commits than this test takes for granted"
    opened = list_incidents(world.plane, world.clock)
    for one in opened:
        if one.state is State.OPEN:
            assert incident_view(world.settings, world.plane, world.clock, one.id).state == "interrupted"
    outcome = world.run()
    incidents = list_incidents(world.plane, world.clock)
    assert len(incidents) == 1
    view = incident_view(world.settings, world.plane, world.clock, incidents[0].id)
    assert world.effects() == sorted(set(world.effects()), reverse=True), "a step had its effect twice"
    if view.state == "recovered":
        assert world.effects() == ["stop", "start"]
        assert outcome.exit_code == 0
    else:
        # The commands of this world tell yes or no only: armed and not begun is not to be told from begun in vain.
        assert view.state == "escalated"
        assert "whether it had its effect" in view.timeline[-1].params["reason"]
        assert outcome.exit_code == 1
    assert [line.split()[1] for line in world.log()] == [
        "INCIDENT",
        "RECOVERY" if outcome.exit_code == 0 else "INCIDENT",
    ]
    assert world.incidents.unfinished("default", "observe") == ()
    if opened and opened[0].state is State.OPEN:
        assert "interrupted" in [entry.kind for entry in view.timeline]
    render_all(view)
    world.plane.verify_chain()


def test_a_fresh_incident_makes_as_many_commits_as_the_test_above_cuts(world):
    """The test above cuts at every commit there is."""
    with cut_at(10_000, after=True) as seen:
        assert world.run().outcome == "recovered"
    assert len(seen) == COMMITS - 1


def interrupted(world, after_commit=9):
    """An incident that was cut off: by default when its second step, the swap of the link, was done and recorded."""
    with cut_at(after_commit, after=True):
        world.run()
    (incident,) = list_incidents(world.plane, world.clock)
    assert incident.state is State.OPEN
    return incident.id


def test_what_was_not_begun_is_looked_at_anew(world):
    """Nothing was armed, so nothing is owed: what was seen before the interruption is no ground to act on now."""
    incident = interrupted(world, after_commit=4)
    assert world.kinds(incident)[-1] == "permitted"
    world.deploy(version="1.env")
    outcome = world.run()
    assert (outcome.incident_id, outcome.outcome) == (incident, "recovered")
    assert world.effects() == []
    assert outcome.view.acted_at is None


def test_what_was_begun_is_finished(world):
    """The link was swapped, the restart is still to come: it goes on where it was."""
    incident = interrupted(world)
    assert world.in_force() == "1.env"
    assert world.effects() == []
    outcome = world.resume(incident)
    assert (outcome.incident_id, outcome.outcome) == (incident, "recovered")
    assert world.effects() == ["stop", "start"]


def test_what_was_left_alone_for_too_long_is_closed_and_looked_at_anew(world):
    """After ten minutes the old incident is ended, with what became of its steps; the new look decides."""
    old = interrupted(world, after_commit=8)
    world.clock.ahead_s = RECOVER_S + 60
    outcome = world.run()
    view = incident_view(world.settings, world.plane, world.clock, old)
    assert view.state == "interrupted"
    assert "more than 10 minutes" in view.timeline[-1].params["reason"]
    assert StepState.ARMED not in {row.state for row in world.incidents.steps(old)}
    assert outcome.incident_id != old
    assert outcome.outcome == "recovered"
    assert world.effects() == ["stop", "start"]
    render_all(view)


def test_reports_that_were_not_written_are_written_by_the_next_run(world):
    """Cut off between the end and the reports: they are written, and the log has no line twice."""
    with cut_at(COMMITS - 2, after=True):
        world.run()
    (incident,) = list_incidents(world.plane, world.clock)
    assert incident.state is State.RECOVERED
    folder = world.settings.reports_dir / "incidents" / incident.id
    assert not (folder / "postmortem.md").exists()
    assert world.run().outcome == "healthy"
    assert (folder / "postmortem.md").exists()
    assert [line.split()[1] for line in world.log()] == ["INCIDENT", "RECOVERY"]


def test_looking_only_leaves_interrupted_incidents_alone(world):
    """Who asks to look does not want anything to be gone on with."""
    old = interrupted(world)
    assert world.run(remediate=False).outcome == "escalated"
    assert incident_view(world.settings, world.plane, world.clock, old).state == "interrupted"
    assert world.effects() == []


def test_a_stop_between_two_runs_is_heard(world):
    """Interrupted half-way and stopped since: what is left is refused, and a person takes over."""
    incident = interrupted(world)
    world.plane.engage("smoke")
    outcome = world.run()
    assert (outcome.incident_id, outcome.outcome) == (incident, "escalated")
    assert "smoke" in outcome.view.timeline[-1].params["reason"]
    assert world.effects() == []
    render_all(outcome.view)


def test_only_what_exists_and_is_ours_can_be_gone_on_with(world):
    """An unknown id and another profile's incident are told; one that has ended is shown as it ended."""
    incident = interrupted(world)
    with pytest.raises(UsageError, match="there is no incident"):
        world.resume("20260105T090000Z-000000")
    other = (world.root / "ops.toml").read_text().replace("default", "other")
    (world.root / "ops.toml").write_text((world.root / "ops.toml").read_text() + other)
    ours = world.settings
    world.settings = type(ours)(**{**vars(ours), "profile": "other"})
    with pytest.raises(UsageError, match="of profile 'default'"):
        world.resume(incident)
    world.settings = ours
    assert world.resume(incident).outcome == "recovered"
    assert world.resume(incident).outcome == "recovered"
    assert world.effects() == ["stop", "start"]


def test_the_plan_that_is_gone_on_with_is_the_recorded_one(world):
    """What is carried out after an interruption is what was planned and permitted before it, to the letter."""
    incident = interrupted(world)
    before = next(e.data["plan"] for e in world.incidents.events(incident) if e.kind == "planned")
    outcome = world.run()
    planned = [e.data for e in world.incidents.events(incident) if e.kind == "planned"]
    assert len(planned) == 1
    assert Plan.from_json(before).digest == outcome.view.plan_digest
