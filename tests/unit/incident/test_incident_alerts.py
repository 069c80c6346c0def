"""Alerts: what their labels come to, one incident a group, each alert once, over is noted and nothing more."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.config import SecretSource
from ops_core.control.running import engage_and_end, registered
from ops_core.errors import Refused, UsageError
from ops_core.incident.alerted import CUT_OFF, look_next, read_request
from ops_core.incident.alerting import LOOK_BEGUN, Taken, pending, suites_of, take
from ops_core.incident.alerts import Alert, Notification, began_at, normal_instant, title_of, wanted_by
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.loop import IncidentOutcome
from ops_core.incident.severity import Severity
from ops_core.incident.store import Incident, Incidents
from tests.support import eventually
from tests.unit.incident.incident_world import World

AT, LATER = "2026-01-05T09:00:00.000Z", "2026-01-05T10:00:00.000Z"
CHECK = """
import pytest
from ops_core.finding import finding

@pytest.mark.mine
@finding("health.not_ok")
def check_mine() -> None:
    '''Never good.'''
    assert False, "as bad as can be"
"""


def alert(name: str = "ErrorsHigh", *, firing: bool = True, at: str = AT, summary: str = "", **labels: str) -> Alert:
    """An alert of that name."""
    status = "firing" if firing else "resolved"
    return Alert(status=status, labels={"alertname": name, **labels}, starts_at=at, summary=summary)


def sent(*alerts: Alert, group: str = "{}:{}", left_out: int = 0) -> Notification:
    """What is sent at once."""
    return Notification(group=group, alerts=alerts, left_out=left_out)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A repository with one target, released."""
    found = World(tmp_path)
    found.plane.release("ready")
    return found


def taking(world: World, told: Notification) -> Taken:
    """Take it in the name of somebody."""
    return take(world.settings, world.plane, world.clock, told, actor="prom")


def incidents(world: World) -> tuple[Incident, ...]:
    """All there are."""
    return Incidents(world.plane, world.clock, "tests").listed()


def events(world: World, incident: str) -> tuple[Event, ...]:
    """Of one of them."""
    return Incidents(world.plane, world.clock, "tests").events(incident)


def head(world: World) -> tuple[int, str]:
    """How far the history has come."""
    with world.plane.snapshot() as found:
        return found.head


def test_labels_are_looked_up() -> None:
    """What is there counts, the most severe of it; what is not there is told by its label and never repeated."""
    many = [
        alert(runbook_target="web", runbook_severity="SEV-3"),
        alert(runbook_target="../../etc", runbook_severity="SEV-1", runbook_suite="mine"),
        alert(runbook_suite="nobody's", runbook_severity="sev-9"),
    ]
    found = wanted_by(many, targets=["web", "db"], suites=["mine", "observe"], suite="observe", severity=Severity.SEV2)
    assert (found.targets, found.suite, found.severity) == (("web",), "mine", Severity.SEV1)
    assert len(found.unknown) == 3
    assert not any("etc" in one or "nobody" in one or "sev-9" in one for one in found.unknown)
    plain = wanted_by([alert()], targets=["web"], suites=["mine"], suite="observe", severity=Severity.SEV2)
    assert (plain.targets, plain.suite, plain.severity, plain.unknown) == ((), "observe", Severity.SEV2, ())


def test_title_and_beginning() -> None:
    """The names, what the first one says in one line, and the earliest beginning."""
    many = [alert("B", at=LATER, summary="two\nlines \x00"), alert("A"), alert("B")]
    assert title_of(many) == "B, A: two lines"
    assert began_at(many).isoformat() == "2026-01-05T09:00:00+00:00"
    assert title_of([alert(str(number)) for number in range(9)]).endswith("and 4 more")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-05T18:00:00.123456789+09:00", "2026-01-05T09:00:00.123Z"),
        ("2026-01-05T09:00:00Z", AT),
    ],
)
def test_instants_of_alertmanager(text: str, shown: str) -> None:
    """Nanoseconds and zones come to one spelling."""
    assert normal_instant(text) == shown


@pytest.mark.parametrize("text", ["", "now", "2026-01-05", "2026-01-05T09:00:00", "0001-01-01T00:00:00Z", "99999"])
def test_what_is_no_instant(text: str) -> None:
    """Is refused."""
    with pytest.raises(ValueError, match=r"."):
        normal_instant(text)


def test_a_group_is_one_incident(world: World) -> None:
    """The first alert opens it; others of the group join it, those of another group do not."""
    first = taking(world, sent(alert(runbook_target="web", runbook_severity="SEV-1", summary="it burns")))
    assert (first.opened, first.firing, first.look) == (True, 1, "queued")
    joined = taking(world, sent(alert(), alert("SlowP95"), left_out=3))
    assert (joined.incident, joined.opened, joined.firing) == (first.incident, False, 2)
    other = taking(world, sent(alert(), group="{}:{b}"))
    assert other.opened
    assert other.incident != first.incident
    declared, *more = events(world, first.incident)
    assert declared.kind is Kind.DECLARED
    assert (declared.data["severity"], declared.data["affected"], declared.data["source"]) == (
        "SEV-1", ["web"], "alertmanager",
    )  # fmt: skip
    assert "it burns" in declared.data["title"]
    assert [one.kind for one in more] == [Kind.NOTED, Kind.NOTED]
    assert "SlowP95" in more[0].data["text"]
    assert "3 more" in more[1].data["text"]


def test_sent_again_it_changes_nothing(world: World) -> None:
    """Neither firing nor over, neither while the incident is open nor afterwards."""
    firing, over = sent(alert(), alert("B")), sent(alert(firing=False), alert("B", firing=False))
    first = taking(world, firing)
    taking(world, over)
    before = head(world)
    for told in (firing, over, sent(*firing.alerts, *over.alerts, *firing.alerts)):
        found = taking(world, told)
        assert (found.firing, found.over, found.look, found.incident) == (0, 0, "none", first.incident)
        assert found.as_dict()["status"] == "known"
    assert head(world) == before
    Incidents(world.plane, world.clock, "kim").events(first.incident)
    closing = Incidents(world.plane, world.clock, "kim")
    closing.events(first.incident)
    closing.close(first.incident, State.CLOSED, {})
    before = head(world)
    assert taking(world, firing).incident == first.incident
    assert head(world) == before
    assert taking(world, sent(alert(at=LATER))).opened
    assert len(incidents(world)) == 2


def test_over_is_noted_and_closes_nothing(world: World) -> None:
    """It clears the alert once the last one is over; the incident stays open, and nothing is looked at."""
    first = taking(world, sent(alert(), alert("B")))
    with world.plane.snapshot() as found:
        waiting = pending(found)
    one = taking(world, sent(alert(firing=False)))
    two = taking(world, sent(alert("B", firing=False)))
    assert (one.over, two.over, one.incident, one.look) == (1, 1, first.incident, "none")
    notes = [event.data for event in events(world, first.incident) if event.kind is Kind.NOTED]
    assert [note["cleared"] for note in notes] == [False, True]
    assert incidents(world)[0].state is State.OPEN
    with world.plane.snapshot() as found:
        assert pending(found) == waiting
    stray = taking(world, sent(alert("never seen", firing=False)))
    assert (stray.over, stray.incident) == (1, "")
    assert "no incident" in stray.notes[0]


def test_many_at_once_take_it_once(world: World) -> None:
    """Of ten servers that are told the same at once one takes it."""
    told, found = sent(alert(), alert("B")), []
    threads = [threading.Thread(target=lambda: found.append(taking(world, told))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.firing for one in found) == 2
    assert len({one.incident for one in found}) == 1
    assert len(incidents(world)) == 1
    assert sum(row.action == "alert.taken" for row in world.plane.audit_rows()) == 2


def test_a_look_is_attached_with_its_decision(world: World) -> None:
    """The suite that the label names is run, its incident is attached; nothing is remedied, and it is not run again."""
    (world.root / "checks" / "mine").mkdir(parents=True)
    (world.root / "checks" / "mine" / "check_mine.py").write_text(CHECK)
    assert suites_of(world.settings) == ("mine", "observe")
    first = taking(world, sent(alert(runbook_suite="mine")))
    told = look_next(world.settings, world.plane, world.clock)
    assert told["incident"] == first.incident
    assert told["left"] == 0
    noted = [event.data["text"] for event in events(world, first.incident) if event.kind is Kind.NOTED]
    attached = [event for event in events(world, first.incident) if event.kind is Kind.ATTACHED]
    assert "looked at the suite mine: UNHEALTHY" in noted[-1]
    assert "found health.not_ok" in noted[-1]
    assert len(attached) == 1
    assert not [row for row in world.plane.audit_rows() if row.action == "step.armed"]
    assert look_next(world.settings, world.plane, world.clock)["result"] == "nothing waits"


def test_the_stop_keeps_a_look_waiting(world: World) -> None:
    """Nothing is begun while it is engaged; released, it is taken from the record."""
    world.plane.engage("stop")
    first = taking(world, sent(alert()))
    assert first.look == "waits"
    with pytest.raises(Refused):
        look_next(world.settings, world.plane, world.clock)
    with world.plane.snapshot() as found:
        assert pending(found) == [(first.incident, "observe")]


def test_a_look_that_was_cut_off_is_told_and_not_taken_again(world: World) -> None:
    """Whoever comes next says so, once."""
    first = taking(world, sent(alert()))
    with registered(world.plane, "alert"), world.plane.transaction() as change:
        change.audit(at=SystemClock().now(), actor="alert", action=LOOK_BEGUN, subject=first.incident, detail={})
    for _ in range(2):
        assert look_next(world.settings, world.plane, world.clock)["result"] == "nothing waits"
    assert [event.data["text"] for event in events(world, first.incident)[1:]] == [CUT_OFF]


def test_an_alert_during_a_look_gets_a_look_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for while a look is under way may be what that look came too early to see: it waits behind it."""
    first = taking(world, sent(alert()))

    def looking(_settings: object, **_given: object) -> IncidentOutcome:
        assert taking(world, sent(alert("SlowP95"))).look == "queued"
        raise Refused("seen enough")

    monkeypatch.setattr("ops_core.incident.loop.run_incident", looking)
    assert look_next(world.settings, world.plane, world.clock)["left"] == 1
    with world.plane.snapshot() as found:
        assert pending(found) == [(first.incident, "observe")]


def test_without_looks_it_waits_for_a_person(world: World) -> None:
    """Where the profile says so."""
    settings = replace(world.settings, alerts=replace(world.settings.alerts, observe=False))
    found = take(settings, world.plane, world.clock, sent(alert()), actor="prom")
    assert (found.opened, found.look) == (True, "off")
    with world.plane.snapshot() as seen:
        assert not pending(seen)


def test_the_stop_ends_a_look(world: World) -> None:
    """With the suite that it runs; it is told as cut off by whoever comes next."""
    (world.root / "checks" / "mine").mkdir(parents=True)
    slow = CHECK.replace(
        "assert False", "import pathlib, time; pathlib.Path('begun').touch(); time.sleep(60); assert False"
    )
    (world.root / "checks" / "mine" / "check_mine.py").write_text(slow)
    first = taking(world, sent(alert(runbook_suite="mine")))
    told = {"config": str(world.settings.path), "profile": world.settings.profile, "actor": "alert"}
    argv = [sys.executable, "-P", "-m", "ops_core.incident.alerted"]
    with subprocess.Popen(argv, cwd=world.root, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(told).encode())
        process.stdin.close()
        eventually((world.root / "begun").exists, "the suite runs")
        stopped = engage_and_end(world.plane, "stop", "kim")
        assert not stopped.left
        assert [one.kind for one in stopped.ended] == ["alert"]
        assert process.wait(10) != 0
    world.plane.release("go on")
    assert look_next(world.settings, world.plane, world.clock)["result"] == "nothing waits"
    assert CUT_OFF in [event.data.get("text") for event in events(world, first.incident)]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"config": 1, "profile": "x", "actor": "y"}', b"x" * 70_000])
def test_a_request_that_is_none(raw: bytes) -> None:
    """Is refused."""
    with pytest.raises(UsageError):
        read_request(raw)


@pytest.mark.parametrize("allowed", [False, True])
def test_only_the_profile_lets_a_look_remedy(world: World, monkeypatch: pytest.MonkeyPatch, *, allowed: bool) -> None:
    """By default nothing is remedied; the labels of an alert have no say in it."""
    asked: list[bool] = []

    def handled(*_args: object, remediate: bool, **_more: object) -> IncidentOutcome:
        asked.append(remediate)
        return IncidentOutcome(outcome="healthy", exit_code=0)

    monkeypatch.setattr("ops_core.incident.loop.run_incident", handled)
    settings = world.settings
    if allowed:
        settings = replace(settings, alerts=replace(settings.alerts, remediate=True))
    taking(world, sent(alert(remediate="true", runbook_remediate="true")))
    assert look_next(settings, world.plane, world.clock)["result"] == "healthy"
    assert asked == [allowed]


def test_what_was_cut_off_is_taken_when_it_is_sent_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the incident and its alerts: the sender hears nothing good, sends again, and nothing is doubled."""
    with monkeypatch.context() as cut:

        def ended(*_args: object) -> None:
            raise SystemExit

        cut.setattr("ops_core.incident.alerting._Taking.record_begun", ended)
        with pytest.raises(SystemExit):
            taking(world, sent(alert()))
    again = taking(world, sent(alert()))
    assert (again.firing, again.look) == (1, "queued")
    assert [one.id for one in incidents(world)] == [again.incident]
    assert taking(world, sent(alert())).firing == 0


def test_secrets_are_in_no_incident(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an alert says of a secret that is known here is masked."""
    settings = replace(world.settings, secrets={"API_KEY": SecretSource()})
    monkeypatch.setenv("API_KEY", "k3y-of-the-ingest")
    take(settings, world.plane, world.clock, sent(alert(summary="key k3y-of-the-ingest failed")), actor="prom")
    told = events(world, incidents(world)[0].id)[0].data["title"]
    assert told == "ErrorsHigh: key [redacted] failed"
