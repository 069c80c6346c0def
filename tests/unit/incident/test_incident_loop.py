"""The loop, from the first look to the end: what it does, what it refuses to do, and what it says."""

import pytest
from incident_world import World, render_all

from ops_core.control.store import StoreUnusable
from ops_core.errors import ConfigError, UsageError
from ops_core.incident.lock import LoopBusy, claimed
from ops_core.incident.loop import incident_view, list_incidents, shown_state
from ops_core.incident.progress import State
from ops_core.incident.timeline import figures
from ops_core.observation.launch import ObservationFailed
from ops_core.report.model import IncidentView
from ops_core.verdict import Judged


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.permit()
    return world


def test_what_is_healthy_opens_no_incident(world):
    """Nothing bad was found: exit 0, nothing recorded, nothing touched."""
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code, outcome.incident_id) == ("healthy", 0, None)
    assert list_incidents(world.plane, world.clock) == ()
    assert world.effects() == []


def test_what_was_not_seen_is_never_remediated(world):
    """Nothing bad, but not everything seen: exit 3, no incident, nothing touched."""
    world.script = [[("guard.open", "web", Judged.UNKNOWN), ("process.not_running", "web", Judged.GOOD)]]
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code, outcome.view) == ("unknown", 3, None)
    world.script = [[]]
    assert world.run().exit_code == 3, "nothing judged is not good"
    assert world.effects() == []


def test_a_bad_configuration_is_rolled_back_and_verified(world):
    """Found, decided, planned, permitted, applied, verified by the same checks, then by all: recovered, exit 0."""
    world.deploy()
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("recovered", 0)
    assert world.in_force() == "1.env"
    assert world.effects() == ["stop", "start"]
    assert world.looks == 3
    view = outcome.view
    assert (view.state, view.row_id, view.remediation) == ("recovered", "guard-open-new-config", "rollback_config")
    assert [o.purpose for o in view.observations] == ["detection", "verification", "verification"]
    assert [step.outcome for step in view.plan_steps] == ["done"] * 4
    assert view.undo.outcome == "available"
    assert view.recover.met
    assert figures(view).recovered_s >= figures(view).acted_s >= figures(view).decided_s >= 0
    assert {path.name for path in outcome.files} == {"incident.md", "postmortem.md", "incident.json"}
    assert [line.split()[1] for line in world.log()] == ["INCIDENT", "RECOVERY"]
    render_all(view)
    world.plane.verify_chain()


def test_every_stage_is_recorded_before_the_next(world):
    """The events tell the whole way, in order."""
    world.deploy()
    kinds = world.kinds(world.run().incident_id)
    step = ["armed", "step"]
    head = ["opened", "decided", "planned", "permitted"]
    assert kinds == [*head, *step * 4, "acted", "observed", "verified", "observed", "closed", "filed"]


@pytest.mark.parametrize(
    ("gate", "drill", "words"),
    [("DRY_RUN", True, "the gate is DRY_RUN"), ("MOCK_ONLY", False, "this profile is not a drill")],
)
def test_a_guard_that_says_no_leaves_everything_as_it_is(tmp_path, gate, drill, words):
    """The plan is shown, nothing is touched, and the exit code says that a guard refused."""
    world = World(tmp_path, drill=drill)
    world.permit(gate)
    world.deploy()
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("refused", 2)
    assert world.effects() == []
    assert world.in_force() == "2.env"
    assert any("mv -f -T" in line for line in world.said), "the plan is shown"
    assert any(words in line for line in world.said)
    assert [step.outcome for step in outcome.view.plan_steps] == ["refused"] * 4
    assert outcome.view.timeline[-1].kind == "refused"
    render_all(outcome.view)


def test_a_stop_wins(world):
    """With the emergency stop engaged it is found, decided, and refused."""
    world.deploy()
    world.plane.engage("smoke")
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("refused", 2)
    assert world.effects() == []


def test_a_store_that_is_missing_is_made_stopped(tmp_path):
    """On a machine without a control store the first incident is recorded, and nothing is permitted."""
    world = World(tmp_path)
    world.settings.control_store.unlink()
    world.crash()
    assert world.run().outcome == "refused"
    assert world.plane.state().stopped


def test_a_store_that_cannot_be_trusted_ends_it_before_it_begins(world):
    """What cannot be recorded is not done."""
    world.settings.control_store.write_bytes(b"damaged")
    with pytest.raises(StoreUnusable):
        world.run()
    assert world.looks == 0


def test_looking_only_touches_nothing(world):
    """Without remediation it is found, decided and handed to a person."""
    world.deploy()
    outcome = world.run(remediate=False)
    assert (outcome.outcome, outcome.exit_code) == ("escalated", 1)
    assert world.effects() == []
    assert outcome.view.remediation == "rollback_config"
    assert "all that was asked for" in outcome.view.timeline[-1].params["reason"]


def test_what_does_not_help_is_undone_and_handed_over(world):
    """The rollback did not heal it: what was in force is in force again, and a person is called."""
    world.deploy()
    bad = [("guard.open", "web", Judged.BAD), ("process.not_running", "web", Judged.GOOD)]
    world.script = [bad, bad, bad]
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("escalated", 1)
    assert world.in_force() == "2.env"
    assert world.effects() == ["stop", "start", "stop", "start"]
    assert outcome.view.undo.outcome == "done"
    assert [step.outcome for step in outcome.view.plan_steps] == ["done"] * 8
    kinds = world.kinds(outcome.incident_id)
    assert kinds.index("verified") < kinds.index("undone") < kinds.index("closed")
    render_all(outcome.view)


def test_a_way_back_that_fails_is_told(world):
    """When even going back fails, that is the first thing that a person has to know."""
    world.deploy()
    bad = [("guard.open", "web", Judged.BAD), ("process.not_running", "web", Judged.GOOD)]
    world.script = [bad, bad]
    # What starts with the old configuration ends at once.
    argv = ("sh", "-c", "readlink web/current.env | grep 1.env > web/running; echo start >> web/effects")
    world.change_target(start_argv=argv)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ops_core.remediation.drivers.command.STEP_S", 1.0)
        outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("escalated", 1)
    assert outcome.view.undo.outcome == "failed"
    assert "the way back failed" in outcome.view.timeline[-1].params["reason"]
    render_all(outcome.view)


def test_the_next_row_of_the_table_is_tried_where_the_first_cannot_be_planned(world):
    """A rollback to a version that was changed is refused; the table's next row about the same finding restarts."""
    world.deploy()
    world.crash()
    (world.root / "web" / "1.env").write_text("changed\n")
    (world.root / "web" / "2.env").write_text("fine\n")
    outcome = world.run()
    kinds = world.kinds(outcome.incident_id)
    assert "unplanned" in kinds
    notes = [entry.params["text"] for entry in outcome.view.timeline if entry.kind == "note"]
    assert any("its content was changed" in note for note in notes)
    assert world.effects()[0] == "start"
    assert outcome.view.remediation == "restart_service"
    render_all(outcome.view)


def test_two_targets_are_handled_one_after_the_other(tmp_path):
    """Each gets its own plan, and the end is one look at everything."""
    world = World(tmp_path, ("api", "web"))
    world.permit()
    world.crash("api")
    world.deploy("web")
    outcome = world.run()
    assert outcome.outcome == "recovered"
    assert (world.effects("api"), world.effects("web")) == (["start"], ["stop", "start"])
    decided = [entry.params["row"] for entry in outcome.view.timeline if entry.kind == "decided"]
    assert decided == ["guard-open-new-config", "process-not-running"]
    assert set(outcome.view.affected) == {"web", "api"}
    render_all(outcome.view)


def test_one_target_that_cannot_be_healed_does_not_keep_the_other_from_it(tmp_path):
    """What can be recovered is, and then a person is called for the rest."""
    world = World(tmp_path, ("api", "web"))
    world.permit()
    world.crash("api")
    world.deploy("web")
    (tmp_path / "web" / "1.env").unlink()
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("escalated", 1)
    assert (world.effects("api"), world.effects("web")) == (["start"], [])
    assert outcome.view.observations[-1].verdict == "UNHEALTHY"


def test_what_shows_only_after_the_first_recovery_is_handled_too(world):
    """The look at everything finds something else: another round, until it is healthy."""
    world.deploy()
    good = [("guard.open", "web", Judged.GOOD), ("process.not_running", "web", Judged.GOOD)]
    other = [("guard.open", "web", Judged.GOOD), ("health.slow", "web", Judged.BAD)]
    world.script = [[("guard.open", "web", Judged.BAD)], good, other, [("health.slow", "web", Judged.GOOD)], good]
    outcome = world.run()
    assert outcome.outcome == "recovered"
    assert world.effects() == ["stop", "start", "stop", "start"]
    assert [finding.code for finding in outcome.view.findings] == ["guard.open", "health.slow"]


def test_a_recovery_that_was_not_seen_is_none(world):
    """Not everything can be seen at the end: it is looked at twice, then handed to a person."""
    world.deploy()
    good, unseen = [("guard.open", "web", Judged.GOOD)], [("guard.open", "web", Judged.UNKNOWN)]
    world.script = [[("guard.open", "web", Judged.BAD)], good, unseen, unseen]
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("escalated", 1)
    assert "not everything could be seen" in outcome.view.timeline[-1].params["reason"]
    render_all(outcome.view)


def test_a_verification_may_take_several_looks(world):
    """The checks are asked again until they are good; only the last answer is kept."""
    world.deploy()
    bad, good = [("guard.open", "web", Judged.BAD)], [("guard.open", "web", Judged.GOOD)]
    world.script = [bad, bad, bad, good, good]
    outcome = world.run(verify_s=30.0)
    assert outcome.outcome == "recovered"
    records = list((world.settings.reports_dir / "incidents" / outcome.incident_id / "verify").iterdir())
    assert [path.name for path in records] == ["O2-3.json"]


def test_a_suite_that_fails_while_verifying_is_asked_again(world):
    """One failure of ours is not the service's."""
    world.deploy()
    observe, failed = world.observe, []

    def flaky(*args, only=(), **kwargs):
        if only and not failed:
            failed.append(True)
            raise ObservationFailed("pytest could not be started")
        return observe(*args, only=only, **kwargs)

    assert world.run(observe=flaky, verify_s=30.0).outcome == "recovered"
    assert failed


def test_a_suite_that_keeps_failing_leaves_the_incident_open(world):
    """Then nothing is known: the incident is shown interrupted, and the next run goes on with it."""
    world.deploy()
    observe = world.observe

    def broken(*args, only=(), **kwargs):
        if only:
            raise ObservationFailed("pytest could not be started")
        return observe(*args, **kwargs)

    with pytest.raises(ObservationFailed):
        world.run(observe=broken)
    (incident,) = list_incidents(world.plane, world.clock)
    assert shown_state(world.settings, incident) is State.INTERRUPTED
    assert world.run().outcome == "recovered"
    assert world.effects() == ["stop", "start"]


def test_a_gate_that_was_opened_for_it_does_not_keep_it_from_being_recovered(tmp_path):
    """For real, the gate has to stand at REAL_ENABLED; that this is found at the end is a note and no relapse."""
    world = World(tmp_path, drill=False)
    world.permit("REAL_ENABLED")
    world.deploy()
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("recovered", 0)
    assert "close it now" in outcome.view.timeline[-1].params["text"]
    world.deploy(version="1.env")
    alone = world.run()
    assert alone.outcome == "escalated", "an open gate alone is a finding for a person"
    assert world.effects() == ["stop", "start"]


def test_a_stop_in_the_middle_ends_the_incident(world):
    """The step that runs is killed, nothing follows, nothing is undone, and a person takes over."""
    world.deploy()
    latch = world.settings.control_dir / "EMERGENCY_STOP"
    argv = ("sh", "-c", f"echo stop >> web/effects; touch {latch}; sleep 60")
    world.change_target(stop_argv=argv)
    outcome = world.run()
    assert (outcome.outcome, outcome.exit_code) == ("interrupted", 2)
    assert world.effects() == ["stop"]
    assert [step.outcome for step in outcome.view.plan_steps] == ["done", "done", "armed", "planned"]
    assert "ended by the emergency stop" in outcome.view.timeline[-1].params["reason"]
    render_all(outcome.view)


def test_one_loop_at_a_time(world, monkeypatch):
    """Who comes second is refused and touches nothing."""
    monkeypatch.setattr("ops_core.incident.lock.PATIENCE_S", 0.1)
    with claimed(world.settings.state_dir, world.clock), pytest.raises(LoopBusy, match="another process handles"):
        world.run()
    assert world.looks == 0


def test_a_broken_decision_table_is_told_before_anything_is_looked_at(world):
    """What cannot be relied on is not relied on at night."""
    (world.root / "remediations").mkdir()
    (world.root / "remediations" / "decisions.toml").write_text('[[row]]\nid = "x"\n')
    with pytest.raises(ConfigError):
        world.run()
    assert world.looks == 0


def test_incidents_are_listed_and_shown(world):
    """The latest first; each as it was, in either language; an unknown id is told."""
    world.deploy()
    first = world.run().incident_id
    world.crash()
    second = world.run().incident_id
    assert [one.id for one in list_incidents(world.plane, world.clock, "default")] == [second, first]
    assert list_incidents(world.plane, world.clock, "other") == ()
    view = incident_view(world.settings, world.plane, world.clock, first, "ko")
    assert IncidentView.from_json(view.to_json()) == view
    with pytest.raises(UsageError, match="there is no incident 'nothing'"):
        incident_view(world.settings, world.plane, world.clock, "nothing")


def test_everything_is_said_in_korean_too(world):
    """The words of the loop, and those of table and remediation, come in the language that was asked for."""
    world.deploy()
    assert world.run(lang="ko").outcome == "recovered"
    assert any(line.startswith("계획") for line in world.said)
    assert any("롤백" in line for line in world.said)
