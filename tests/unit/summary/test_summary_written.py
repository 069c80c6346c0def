"""A summary of a real host: what was recorded is found and cited, and the summary is recorded and read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_core.cli import main
from ops_core.control.audit import canonical
from ops_core.control.checkpoint import read_checkpoint
from ops_core.control.files import LATCH_NAME
from ops_core.control.opening import complete
from ops_core.control.problems import StoreUnusable
from ops_core.push import add_message
from ops_core.summary import summary as making
from ops_core.summary.facts import read
from ops_core.summary.summary import RECEIPT_MAX_CHARS, latest, of_run, regenerate
from tests.unit.slo.slo_world import World

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A released host at noon of a Monday in Seoul."""
    found = World(tmp_path, NOW)
    found.plane.release("ready")
    complete(found.plane, found.settings)
    return found


def risks(world: World) -> dict[str, dict[str, Any]]:
    """The risks of a summary that is made now, by their codes."""
    made = regenerate(world.settings, world.plane, world.clock)
    assert made["more_risks"] == 0
    return {one["code"]: one for one in made["top_risks"]}


def test_new_host_is_not_ok(world: World) -> None:
    """Nobody ever looked, no cycle ran, nobody knows a budget: WARN, each with what to type."""
    made = regenerate(world.settings, world.plane, world.clock)
    assert made["overall_status"] == "WARN"
    assert [one["code"] for one in made["top_risks"]] == ["CYCLE_NONE", "OBSERVATION_MISSING", "SLO_UNKNOWN"]
    assert made["schema"] == "ops_summary_v1"
    assert made["snapshot_ref"] == f"ops_summary/{made['run_id']}"


def test_newest_observation_of_each_suite_is_cited(world: World) -> None:
    """What it found stands in the risk with the record and the evidence; a good one is no risk."""
    world.look(NOW - timedelta(minutes=9), shop="bad", search="unknown")
    told = risks(world)
    record = f"observe/{NOW - timedelta(minutes=9):%Y%m%dT%H%M%SZ}-000001"
    assert told["OBSERVATION_UNHEALTHY"]["evidence"] == [f"{record}:health"]
    assert "health.not_ok[shop]" in told["OBSERVATION_UNHEALTHY"]["what"]
    assert "health.not_ok[search]" in told["OBSERVATION_UNKNOWN"]["what"]
    world.look(NOW - timedelta(minutes=1), shop="good", search="good")
    assert not any(code.startswith("OBSERVATION") for code in risks(world))


def test_record_of_another_profile_or_of_a_replay_says_nothing(world: World) -> None:
    """Only what this profile saw at the time counts."""
    from tests.unit.slo.slo_world import write_record

    write_record(world.settings, NOW, {"shop": "good"}, profile="other", number=2)
    write_record(world.settings, NOW, {"shop": "good"}, replayed="reports/observe/x.json", number=3)
    assert "OBSERVATION_MISSING" in risks(world)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"runbook": {}}', '{"runbook": {"profile": "default"}}'])
def test_damaged_record_is_never_good(world: World, damage: str) -> None:
    """The newest record cannot be read: it may have said anything, whatever the one before it says."""
    world.look(NOW - timedelta(minutes=9), shop="good", search="good")
    path = world.settings.reports_dir / "observe" / f"{NOW:%Y%m%dT%H%M%SZ}-00000f.json"
    path.write_text(damage, encoding="utf-8")
    told = risks(world)
    if damage == '{"runbook": {}}':
        # It names no profile, so it is none of ours: the one before it counts.
        assert "OBSERVATION_UNREADABLE" not in told
        return
    assert told["OBSERVATION_UNREADABLE"]["evidence"] == [f"observe/{path.stem}"]


def test_suites_of_their_own_are_looked_at_too(world: World) -> None:
    """A folder of records that somebody's own suite left is read; folders of other things are none."""
    world.look(NOW - timedelta(minutes=1), shop="good", search="good")
    world.look(NOW - timedelta(minutes=1), suite="prices", shop="bad")
    world.look(NOW - timedelta(minutes=1), suite="live_fire", shop="bad")
    world.look(NOW - timedelta(minutes=1), suite="replay", shop="bad")
    assert risks(world)["OBSERVATION_UNHEALTHY"]["evidence"] == [
        f"prices/{NOW - timedelta(minutes=1):%Y%m%dT%H%M%SZ}-000002:health"
    ]


def test_stop_is_blocked_and_names_its_row(world: World) -> None:
    """Engaged in the store: the audit row; engaged by the latch: the latch."""
    world.plane.engage("too hot")
    made = regenerate(world.settings, world.plane, world.clock)
    assert made["overall_status"] == "BLOCKED"
    (risk,) = [one for one in made["top_risks"] if one["code"] == "EMERGENCY_STOP"]
    assert "too hot" in risk["what"]
    with world.plane.snapshot() as found:
        rows = [row.seq for row in found.audit_rows() if row.action == "stop.engaged"]
    assert risk["evidence"] == [f"audit/{rows[-1]}"]
    world.plane.release("cooled down")
    (world.settings.control_dir / LATCH_NAME).touch()
    assert risks(world)["EMERGENCY_STOP"]["evidence"] == [f"control/{LATCH_NAME}"]


def test_what_could_become_real_is_told(world: World) -> None:
    """The gate for real and the sender are risks for as long as they last."""
    world.plane.set_gate("REAL_ENABLED", "tonight")
    world.plane.enable_sender("CONSOLE_ONLY", "tonight")
    assert {"GATE_REAL", "SENDER_ON"} <= set(risks(world))
    world.clock.instant += timedelta(hours=2)
    assert not {"GATE_REAL", "SENDER_ON"} & set(risks(world))


def test_changed_mirror_is_a_failure_until_somebody_accepts(world: World) -> None:
    """What the suite `integrity` would find is found here, with the place."""
    from ops_core.control.mirrors import export

    export(world.plane, world.settings)
    mirror = world.settings.state_dir / "execution_gate.json"
    mirror.write_text('{"mode": "REAL_ENABLED"}', encoding="utf-8")
    made = regenerate(world.settings, world.plane, world.clock)
    assert made["overall_status"] == "FAIL"
    assert [one["evidence"] for one in made["top_risks"] if one["code"] == "INTEGRITY" and "gate" in one["what"]] == [
        ["state/execution_gate.json"]
    ]


def test_message_whose_fate_is_not_known_is_told_for_a_week(world: World) -> None:
    """Its id is the evidence; after a week nobody asks any more, and it is in the outbox for good."""
    message = add_message(world.plane, "weekly report")
    from sqlalchemy import update

    from ops_core.clock import isoformat
    from ops_core.control import schema

    with world.plane.transaction() as change:
        ended = {"state": "UNKNOWN", "ended_at": isoformat(NOW)}
        change.execute(update(schema.outbox).where(schema.outbox.c.id == message).values(**ended))
        change.audit(at=NOW, actor="kim", action="outbox.unknown", subject=message)
    assert risks(world)["OUTBOX_UNKNOWN"]["evidence"] == [f"outbox/{message}"]
    world.clock.instant += timedelta(days=8)
    assert "OUTBOX_UNKNOWN" not in risks(world)


def test_open_incident_is_told(world: World) -> None:
    """One that the loop handles still; an ended one is history."""
    world.incident(began=NOW, detected=NOW, ended=NOW)
    assert "INCIDENT_OPEN" not in risks(world)
    incident = world.incident(began=NOW, detected=NOW, ended=None)
    assert risks(world)["INCIDENT_OPEN"]["evidence"] == [f"incident/{incident}"]


def test_missed_slots_and_cycles_are_told(world: World) -> None:
    """Days on which nobody ran the cycle, after one that was."""
    from ops_core.cycle.run import run

    run(world.settings, world.plane)
    assert not {"CYCLE_NONE", "CYCLE_MISSED"} & set(risks(world))
    world.clock.instant += timedelta(days=2)
    told = risks(world)["CYCLE_MISSED"]
    assert "slot 2026-12-02T09:05+09:00[Asia/Seoul]" in told["evidence"]


def test_spent_budget_is_told(world: World) -> None:
    """More bad time than the objective allows: the target is named."""
    for minutes in range(0, 2000, 8):
        world.look(NOW - timedelta(minutes=minutes + 1), shop="bad", search="good")
    told = risks(world)
    assert told["SLO_BUDGET_SPENT"]["evidence"] == ["slo/shop"]
    assert told["SLO_UNKNOWN"]["evidence"] == ["slo/search"]


def test_summary_is_an_audit_row_and_is_read_back(world: World) -> None:
    """The newest is the latest, each is found by its run, and it carries a checkpoint of what was before it."""
    with world.plane.snapshot() as found:
        assert latest(found) is None
        head = found.head
    first = regenerate(world.settings, world.plane, world.clock)
    second = regenerate(world.settings, world.plane, world.clock)
    with world.plane.snapshot() as found:
        assert latest(found) == second
        assert of_run(found, first["run_id"]) == first
        assert of_run(found, "20260101T000000Z-000001") is None
    assert read_checkpoint(first, "here")["seq"] == head[0]
    assert first["run_id"] != second["run_id"]
    assert len(canonical(second)) <= RECEIPT_MAX_CHARS
    assert world.plane.verify_chain().rows == head[0] + 2


def test_same_host_gives_the_same_summary(world: World) -> None:
    """Made twice of the same facts, nothing differs but the run and what follows from it."""
    world.look(NOW - timedelta(minutes=9), shop="bad", search="unknown")
    made = [regenerate(world.settings, world.plane, world.clock) for _ in range(2)]
    for one in made:
        for name in ("run_id", "snapshot_ref", "checkpoint"):
            del one[name]
    assert made[0] == made[1]


def test_store_that_cannot_be_used_is_told_and_not_recorded(tmp_path: Path) -> None:
    """FAIL, unrecorded, with what to type; nothing is claimed about what nobody could read."""
    world = World(tmp_path, NOW)
    world.settings.control_store.write_bytes(b"no store at all" * 100)
    made = regenerate(world.settings, world.plane, world.clock)
    assert (made["overall_status"], made["recorded"], made["snapshot_ref"]) == ("FAIL", False, None)
    codes = [one["code"] for one in made["top_risks"]]
    assert codes[0] == "STORE_PROBLEM"
    assert "CYCLE_NONE" not in codes
    assert making.exit_code_of(made) == 3


def test_area_that_cannot_be_read_keeps_no_other_from_being_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reader that fails in a way of its own is a risk; the rest is told as ever."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError("no such figure")

    monkeypatch.setattr("ops_core.summary.facts.figures", fails)
    monkeypatch.setattr("ops_core.summary.facts.read_integrity", fails)
    world.look(NOW - timedelta(minutes=9), shop="bad", search="good")
    told = risks(world)
    assert {"SLO_UNKNOWN", "INTEGRITY_UNREADABLE", "OBSERVATION_UNHEALTHY"} <= set(told)
    assert "no such figure" in told["SLO_UNKNOWN"]["what"]


def test_receipt_that_was_changed_is_unread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live cycle whose row does not prove itself counts as not known."""

    def broken(*_: object) -> None:
        raise StoreUnusable("audit row 5 was changed after it was written", where="here")

    monkeypatch.setattr("ops_core.summary.facts._live_cycle", broken)
    facts = read(world.settings, world.plane, world.clock)
    assert [(one.area, one.where) for one in facts.unread] == [("live_cycle", "here")]


def test_typed_summary_says_how_everything_stands(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`regenerate` ends with what the status stands for, `latest` shows it again; both as text and as JSON."""
    monkeypatch.chdir(world.root)
    assert main(["summary", "latest"]) == 0
    assert "no summary was made yet" in capsys.readouterr().out
    assert main(["summary", "regenerate"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("overall   WARN\n")
    assert "medium    OBSERVATION_MISSING\n" in told
    assert "next      ops observe --suite observe\n" in told
    world.plane.engage("too hot")
    assert main(["summary", "regenerate", "--json"]) == 2
    made = json.loads(capsys.readouterr().out)
    assert main(["summary", "latest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == made


def test_receipt_stays_within_its_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long what others say is: risks that do not fit are counted, and weigh all the same."""
    from dataclasses import replace

    from tests.unit.summary.summary_facts import WELL, Handled

    long = "\ud55c" * 5000
    many = tuple(Handled(id=f"{number}{long}", severity="SEV-1", title=long) for number in range(40))
    monkeypatch.setattr(making, "read", lambda *_: replace(WELL, incidents=many))
    made = regenerate(world.settings, world.plane, world.clock)
    assert len(canonical(made)) <= RECEIPT_MAX_CHARS
    assert 0 < len(made["top_risks"]) < making.TOP_MAX
    assert len(made["top_risks"]) + made["more_risks"] == 40
    assert made["overall_status"] == "FAIL"
