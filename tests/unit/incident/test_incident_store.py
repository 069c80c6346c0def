"""Incidents in the control store: durable, in order, one writer, and every arming asked for in its own transaction."""

import json
import sqlite3
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incident_histories import plan_of
from incident_world import World, look

from ops_core.clock import SystemClock
from ops_core.control.problems import StoreConflict
from ops_core.errors import OpsError, RecordError
from ops_core.incident import files
from ops_core.incident.ledger import StepLedger
from ops_core.incident.lock import LoopBusy, claimed, is_held
from ops_core.incident.progress import Kind, State
from ops_core.incident.store import Incidents
from ops_core.incident.words import PREVENTION, REASONS, SAID, prevention, reason, say, told
from ops_core.remediation.guard import Guard, GuardRefused
from ops_core.remediation.runner import StepState

BAD = look(bad=[("guard.open", "web")])
ABOUT = {"attempt": 1, "decision": 0, "target": "web", "remediation": "restart_service"}


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.permit()
    return world


@pytest.fixture
def opened(world):
    incidents = world.incidents
    return incidents, incidents.open(world.settings, "observe", BAD, {"lang": "en"})


@pytest.fixture
def ledger(world, opened):
    incidents, incident = opened
    incidents.plan(incident.id, plan_of("restart_service", "web", undo=True), ABOUT)
    return StepLedger(incidents, incident.id, 1, "apply", Guard(world.plane, drill=True))


def test_what_is_recorded_is_there_for_the_next(world, opened):
    """Another program finds incident, events and their data as they were written."""
    incidents, incident = opened
    incidents.append(incident.id, Kind.DECIDED, {"decisions": [{"ko": "가"}]})
    again = world.incidents
    assert again.get(incident.id).data["lang"] == "en"
    assert [event.kind for event in again.events(incident.id)] == [Kind.OPENED, Kind.DECIDED]
    assert again.events(incident.id)[1].data == {"decisions": [{"ko": "가"}]}
    assert [one.id for one in again.unfinished("default", "observe")] == [incident.id]
    assert again.unfinished("default", "daily") == again.unfinished("other", "observe") == ()


def test_of_two_who_think_they_are_in_charge_one_goes_on(world, opened):
    """An event is added only behind the last one that its writer knows of."""
    _, incident = opened
    first, second = world.incidents, world.incidents
    first.events(incident.id)
    second.events(incident.id)
    first.append(incident.id, Kind.DECIDED, {"decisions": []})
    with pytest.raises(StoreConflict, match="changed by somebody else"):
        second.append(incident.id, Kind.DECIDED, {"decisions": []})
    assert len(world.incidents.events(incident.id)) == 2


def test_an_incident_ends_once(opened):
    """Who comes second is told; nothing is recorded."""
    incidents, incident = opened
    incidents.close(incident.id, State.RECOVERED, {})
    with pytest.raises(StoreConflict, match="ended already"):
        incidents.close(incident.id, State.ESCALATED, reason("not_asked"))
    assert incidents.get(incident.id).state is State.RECOVERED


def test_what_was_done_is_in_the_audit_chain(world, opened, ledger):
    """Opening, planning, arming and closing are audited, with what a reader needs and without whole records."""
    incidents, incident = opened
    ledger.arm(0, mark={"link": "v2"}, again="")
    incidents.close(incident.id, State.ESCALATED, reason("not_asked"))
    rows = [row for row in world.plane.audit_rows() if row.subject == incident.id]
    assert [row.action for row in rows] == ["incident.opened", "incident.planned", "step.armed", "incident.closed"]
    assert rows[1].data["digest"] == plan_of("restart_service", "web", undo=True).digest
    assert rows[2].data["command"] == "mv a b"
    assert "look" not in rows[0].data
    world.plane.verify_chain()


def test_a_step_goes_from_planned_to_armed_to_its_end(opened, ledger):
    """Each change is made from the state that it was believed to be in, and tells the timeline."""
    incidents, incident = opened
    assert ledger.recorded(0).state is StepState.PLANNED
    ledger.arm(0, mark={"link": "v2"}, again="")
    assert ledger.recorded(0).mark == {"link": "v2"}
    with pytest.raises(StoreConflict, match="the step is armed, not planned"):
        ledger.arm(0, mark={}, again="")
    ledger.arm(0, mark={"link": "v3"}, again="never begun")
    ledger.finish(0, StepState.DONE, detail="fine", elapsed_s=0.5)
    with pytest.raises(StoreConflict, match="the step is done already"):
        ledger.finish(0, StepState.FAILED, detail="", elapsed_s=None)
    with pytest.raises(StoreConflict):
        ledger.arm(0, mark={}, again="once more")
    row = incidents.steps(incident.id)[0]
    assert [one["reason"] for one in row.data["armings"]] == ["", "never begun"]
    assert row.armed_at is not None
    assert row.ended_at is not None
    kinds = [event.kind for event in incidents.events(incident.id)]
    assert kinds == [Kind.OPENED, Kind.PLANNED, Kind.ARMED, Kind.ARMED, Kind.STEP]
    with pytest.raises(RecordError, match="the step is not recorded"):
        ledger.recorded(7)


@pytest.mark.parametrize("change", ["stop", "gate", "latch"])
def test_what_is_not_permitted_is_not_armed(world, opened, ledger, change):
    """The guard is asked in the transaction of the arming: the step stays planned, and nothing is told."""
    if change == "stop":
        world.plane.engage("smoke")
    elif change == "gate":
        world.plane.set_gate("DRY_RUN", "enough")
    else:
        (world.settings.control_dir / "EMERGENCY_STOP").touch()
    with pytest.raises(GuardRefused) as caught:
        ledger.arm(0, mark={}, again="")
    assert caught.value.code == ("dry_run" if change == "gate" else "stopped")
    assert ledger.recorded(0).state is StepState.PLANNED
    incidents, incident = opened
    assert [event.kind for event in incidents.events(incident.id)] == [Kind.OPENED, Kind.PLANNED]


def test_steps_of_the_way_back_come_behind(opened, ledger):
    """Steps are listed by attempt, first those that were applied, then the way back."""
    incidents, incident = opened
    incidents.plan(incident.id, plan_of("rollback_config", "web", undo=True), {**ABOUT, "attempt": 2})
    assert ledger is not None
    listed = [(row.attempt, row.phase, row.index) for row in incidents.steps(incident.id)]
    one = [("apply", 0), ("apply", 1), ("undo", 0)]
    assert listed == [(attempt, phase, index) for attempt in (1, 2) for phase, index in one]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE incident_event SET kind = 'magic' WHERE seq = 2", "unknown kind 'magic'"),
        ("UPDATE incident_event SET data = '[1]' WHERE seq = 2", "what is recorded is damaged"),
        ("UPDATE incident_event SET data = '{' WHERE seq = 2", "what is recorded is damaged"),
        ("DELETE FROM incident_event WHERE seq = 1", "an event of the incident is missing"),
        ("UPDATE incident SET state = 'fine'", "unknown state 'fine'"),
    ],
)
def test_damage_is_found_and_told(world, opened, sql, message):
    """A record that somebody edited is refused with its place, and never becomes an action."""
    incidents, incident = opened
    incidents.append(incident.id, Kind.DECIDED, {"decisions": []})
    with sqlite3.connect(world.settings.control_store) as connection:
        connection.execute(sql)
    connection.close()
    read = world.incidents.get if "UPDATE incident SET" in sql else world.incidents.events
    with pytest.raises(RecordError, match=message) as caught:
        read(incident.id)
    assert incident.id in caught.value.where


def test_the_lock_dies_with_its_process(tmp_path, monkeypatch):
    """Held by a process that is killed, it is free at once; held by one that lives, the other is told who it is."""
    monkeypatch.setattr("ops_core.incident.lock.PATIENCE_S", 0.1)
    script = (
        "import sys; from pathlib import Path; from ops_core.clock import SystemClock\n"
        "from ops_core.incident.lock import claimed\n"
        "with claimed(Path(sys.argv[1]), SystemClock()): print('held', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert is_held(tmp_path)
        with pytest.raises(LoopBusy, match=f"process {holder.pid}") as caught, claimed(tmp_path, SystemClock()):
            pytest.fail("it is held")
        assert caught.value.exit_code == 2
        holder.kill()
    with claimed(tmp_path, SystemClock()):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "nowhere")


def test_a_lock_that_cannot_be_is_told(tmp_path):
    """A file where the folder should be is named."""
    (tmp_path / "state").write_text("")
    with pytest.raises(OpsError, match="there can be no lock"), claimed(tmp_path / "state", SystemClock()):
        pytest.fail("there is no lock")


lines = st.lists(st.text(st.sampled_from("ab c"), max_size=5), max_size=4).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(before=lines, cut=st.integers(0, 40))
def test_a_line_stands_in_the_log_once_wherever_its_writer_was_cut_off(tmp_path, before, cut):
    """Written whole, in part, or not at all: afterwards it is there once, and what others wrote is still there."""
    import os

    path, line = tmp_path / "log", "2026 INCIDENT x (drill) web guard.open\n"
    path.write_text((before + "\n" if before else "") + line[:cut])
    for added in (cut < len(line), False):
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        try:
            assert files._append(descriptor, line.encode()) is added
        finally:
            os.close(descriptor)
    found = path.read_text()
    assert found.splitlines().count(line.rstrip()) == 1
    assert found.endswith(line)
    assert found.startswith(before)


def test_somebody_elses_broken_template_does_not_cost_the_report(world):
    """It is told, and the shipped one is used."""
    (world.root / "templates").mkdir()
    (world.root / "templates" / "incident.md.j2").write_text("{{ nonsense")
    world.deploy()
    outcome = world.run()
    assert outcome.outcome == "recovered"
    assert any("incident.md.j2" in line for line in world.said)
    text = next(path for path in outcome.files if path.name == "incident.md").read_text()
    assert "guard.open" in text


def test_reports_that_cannot_be_written_are_told_and_written_later(world):
    """The incident has ended all the same; the next run writes what is missing."""
    world.settings.reports_dir.mkdir()
    (world.settings.reports_dir / "incidents").write_text("in the way")
    world.deploy()
    # Records of observations go elsewhere: only the reports cannot be written.
    observe = world.observe
    outcome = world.run(
        observe=lambda *args, record, **rest: observe(*args, record=world.root / "r" / record.name, **rest)
    )
    assert (outcome.outcome, outcome.exit_code, outcome.files) == ("recovered", 0, ())
    assert any("cannot be written" in line for line in world.said)
    (world.settings.reports_dir / "incidents").unlink()
    assert world.run().outcome == "healthy"
    assert [line.split()[1] for line in world.log()] == ["INCIDENT", "RECOVERY"]


@pytest.mark.parametrize("table", [REASONS, SAID], ids=["reasons", "said"])
def test_everything_is_said_in_both_languages_with_the_same_blanks(table):
    """A sentence in Korean has the same parameters as in English."""
    from string import Formatter

    for key, text in table.items():
        blanks = [{name for _, name, _, _ in Formatter().parse(text[lang]) if name} for lang in ("en", "ko")]
        assert blanks[0] == blanks[1], key


def test_words_are_filled_in_and_never_lost():
    """Braces in what is filled in stay as they are; a reason of a newer program is shown by its key."""
    assert told(reason("still_bad", remediation="x", codes="{odd}"), "en") == "x did not help: {odd}"
    assert "magic" in told({"key": "magic", "params": {"a": "b"}}, "en")
    assert say("opened", "fr", id="7") == "incident 7", "English where there is no such language"
    assert json.loads(json.dumps(reason("guard", detail=7))) == {"key": "guard", "params": {"detail": "7"}}


def test_prevention_follows_the_findings():
    """One proposal per subject, in the order of the findings; a subject of somebody's own has none of ours."""
    found = prevention(("stream.silent", "guard.open", "guard.rejects_secret", "orders.late"))
    assert found == (PREVENTION["stream"], PREVENTION["guard"])
    assert all(set(text) == {"en", "ko"} for text in PREVENTION.values())


def test_incidents_belong_to_one_store(world, opened):
    """Without the store there are no incidents, and that is said."""
    _, incident = opened
    world.settings.control_store.rename(world.root / "elsewhere.db")
    with pytest.raises(OpsError, match="does not exist"):
        Incidents(world.plane, world.clock, "kim").get(incident.id)
