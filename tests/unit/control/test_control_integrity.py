"""The look behind the suite `integrity`: what it tells, until when, and what it does not take for somebody's doing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mirrored import World, past_the_program

from ops_core.control import mirrors, opening
from ops_core.control.integrity import survey
from ops_core.control.integrity.accepting import accept_look
from ops_core.control.integrity.comparing import KNOWN_MAX, TAMPERED, known_of, noted_with
from ops_core.control.integrity.survey import read_integrity
from ops_core.errors import CannotLook, UsageError


@pytest.fixture
def world(tmp_path):
    """A control plane whose files are as they must be."""
    return World(tmp_path).begin()


def told(world):
    return [(one.area, one.where) for one in world.breaches()]


def test_nothing_is_found_where_nothing_was_changed(world):
    """After a history of every kind of act the look finds nothing, and says how far it verified."""
    seen = read_integrity(world.settings, world.clock)
    assert (seen.breaches, seen.pending) == ((), ())
    assert seen.audit_rows == len(world.plane.audit_rows())
    assert seen.head_hash == world.plane.audit_rows()[-1].hash
    assert seen.effect == "what counts is the store, which says: emergency stop released, gate DRY_RUN"


def test_looking_changes_nothing(world):
    """Neither the store nor a file is other than before, whatever was found."""
    (world.root / "state/execution_gate.json").write_text("{}")
    before = {path: path.read_bytes() for path in world.root.rglob("*") if path.is_file()}
    assert told(world) == [("gate_mirror", "state/execution_gate.json")]
    assert {path: path.read_bytes() for path in world.root.rglob("*") if path.is_file()} == before


def test_a_real_run_without_permission_is_told_until_accepted(world):
    """Refused live fires without window and cycles without window or allowlist; not those that lacked something else."""
    world.fire("F2", failing=("sender_enable",))
    assert told(world) == []
    world.fire("F3", failing=("gate_mode", "window_active"))
    world.cycle("C1", result="WINDOW_NOT_ACTIVE")
    world.cycle("C2", result="ALLOWLIST_VIOLATION")
    world.cycle("C3", result="STOPPED")
    world.fire("F4", outcome="FIRED", failing=())
    world.export()
    assert told(world) == [("real", "cycle C1"), ("real", "cycle C2"), ("real", "live fire F3")]
    assert all(one.by == "kim" and one.at for one in world.breaches())
    with pytest.raises(UsageError):
        accept_look(world.plane, world.settings, "")
    accept_look(world.plane, world.settings, "asked kim")
    assert told(world) == []
    assert read_integrity(world.settings, world.clock).accepted_at


def test_accepting_accepts_what_is_there_now_and_nothing_later(world):
    """What was changed is put right and recorded before it is accepted; contracts are not accepted with it."""
    (world.root / "state/emergency_stop.json").unlink()
    (world.settings.logs_dir / "ops.log").write_text("")
    world.allow("REBOOT")
    accept_look(world.plane, world.settings, "that was me")
    assert [area for area, _ in told(world)] == ["contracts"]
    actions = [row.action for row in world.plane.audit_rows()]
    assert actions.index("mirror.tampered") < actions.index("integrity.accepted")
    assert "log.tampered" in actions
    (world.root / "state/emergency_stop.json").unlink()
    assert [area for area, _ in told(world)] == ["contracts", "stop_mirror"]


def test_a_store_that_is_not_there_leaves_the_answer_open(world):
    """Without a store there is nothing to compare with: not seen, never green."""
    world.settings.control_store.unlink()
    with pytest.raises(CannotLook, match="does not exist"):
        read_integrity(world.settings, world.clock)


def test_a_receipt_changed_in_the_store_is_found(world):
    """The audit row of a receipt holds its digest."""
    with past_the_program(world.settings.control_store) as connection:
        connection.execute("UPDATE cycle_run SET receipt = replace(receipt, 'OK', 'NO') WHERE id = 'R1'")
    [found] = world.breaches()
    assert (found.area, found.what) == ("chain", "the receipt of R1 is not the one recorded")


def test_what_was_overtaken_by_an_export_is_nobodys_doing(world, monkeypatch):
    """Where the state is changed and exported between our snapshot and our look at the files, the second look says so."""
    real, raced = survey.plan, []

    def overtaken(tx, settings, *, snapshots):
        if raced:
            return real(tx, settings, snapshots=snapshots)
        raced.append(True)
        # As the first snapshot saw it: the mirrors that this change will write are not known to it.
        seen = real(tx, settings, snapshots=snapshots)
        strange = replace(seen.judgements[0], state=TAMPERED, what="edited")
        return replace(seen, judgements=(strange, *seen.judgements[1:]))

    monkeypatch.setattr(survey, "plan", overtaken)
    assert told(world) == []
    assert raced


def test_a_note_forgets_the_oldest_contents():
    """However often an export is interrupted, the note stays bounded and knows the newest."""
    noted = "-"
    for number in range(100):
        noted = noted_with(known_of(noted), f"{number:064x}")
    assert len(known_of(noted)) == KNOWN_MAX
    assert known_of(noted)[-1] == f"{99:064x}"
    assert noted_with(known_of("a b a"), "a") == "b a"


def test_many_changes_in_a_row_can_be_exported_at_once(world):
    """What is held back is exported by the next export, and accuses nobody meanwhile."""
    with mirrors.held_back():
        for number in range(3):
            world.plane.engage(f"{number}")
        assert len(world.pending()) == 3
        assert told(world) == []
    world.export()
    assert world.pending() == ()


def test_a_store_in_a_database_is_looked_after_alike(tmp_path, place, monkeypatch):
    """Mirrors, tickets, contracts, logs and key beside a store in either database: changed, found, put right."""
    for module in (opening, survey):
        monkeypatch.setattr(module, "location_of", lambda _settings: place)
    world = World(tmp_path / "host").begin()
    assert told(world) == []
    world.plane.engage("smoke")
    (world.root / "state/emergency_stop.json").unlink()
    (world.root / "state/tickets/requests.jsonl").write_text("")
    world.allow("REBOOT")
    assert [area for area, _ in told(world)] == ["contracts", "stop_mirror", "tickets"]
    assert len(world.export().tampered) == 2
    assert (world.root / "state/emergency_stop.json").exists()
