"""Mirrors: they show what the store says, put right what somebody changed, and never take a crash for that."""

from __future__ import annotations

import json
import os
import threading

import pytest
from mirrored import World

from ops_core.control import mirrors
from ops_core.control.integrity import looking
from ops_core.control.integrity.comparing import first_difference
from ops_core.control.integrity.shown import pretty

GATE, STOP, SENDER = "execution_gate.json", "emergency_stop.json", "real_sender_enable.json"


@pytest.fixture
def world(tmp_path):
    """A control plane whose mirrors are up to date."""
    return World(tmp_path).begin()


def told(world, path):
    return json.loads((world.root / path).read_text(encoding="utf-8"))


def areas(world):
    return sorted({(one.area, one.put_right) for one in world.breaches()})


def test_mirrors_show_what_the_store_says(world):
    """Gate, stop, sender, tickets, receipts: every mirror that scripts read is there, with the fields that they read."""
    world.plane.set_gate("REAL_ENABLED", "a real run", ttl_s=60)
    gate, stop, sender = (told(world, f"state/{name}") for name in (GATE, STOP, SENDER))
    assert (gate["mode"], gate["reason"], gate["until"]) == ("REAL_ENABLED", "a real run", "2026-01-05T09:02:04.000Z")
    assert (stop["enabled"], stop["reason"], stop["by"]) == (False, "for the test", "kim")
    assert (sender["enabled"], sender["channel"]) == (False, "CONSOLE_ONLY")
    [row] = [row for row in world.plane.audit_rows() if row.action == "gate.set"]
    assert gate["checkpoint"] == {
        "store_id": world.plane.audit_rows()[0].data["store_id"],
        "seq": row.seq,
        "hash": row.hash,
    }
    lines = (world.root / "state/tickets/requests.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3]
    assert told(world, "reports/ops/daily/ops_report_latest.json")["run_id"] == "R2"
    assert told(world, "reports/ops/daily/snapshots/ops_run_R1.json")["run_id"] == "R1"
    assert told(world, "reports/ops/push/live_fire/live_fire_latest.json")["fire_id"] == "F1"
    assert told(world, "reports/tickets/preflight/preflight_000004.json")["missing"] == ["pandas"]


def test_people_read_their_own_letters(world):
    """A receipt is written in UTF-8, not in escapes; what no file can hold becomes an escape."""
    assert "점검" in (world.root / "reports/ops/daily/ops_report_latest.json").read_text(encoding="utf-8")
    assert json.loads(pretty({"x": "\ud800"})) == {"x": "\ud800"}


def test_a_change_is_exported_by_itself(world):
    """Nobody has to think of exporting after a change of the control state."""
    world.plane.engage("smoke")
    assert told(world, f"state/{STOP}")["reason"] == "smoke"


def test_a_latch_beside_the_store_shows(world):
    """What stops without the store is shown as a stop, and its end as an end."""
    (world.settings.control_dir / "EMERGENCY_STOP").write_text("by hand\n")
    world.export()
    assert told(world, f"state/{STOP}")["enabled"] is True
    world.plane.release("looked at")
    assert told(world, f"state/{STOP}")["enabled"] is False
    assert world.breaches() == ()


def test_exporting_twice_writes_once(world):
    """Where nothing has changed nothing is written, neither a file nor a row."""
    before = world.plane.audit_rows()
    assert world.export() == mirrors.Exported()
    assert world.plane.audit_rows() == before


def _edit(path):
    path.write_text(path.read_text().replace("DRY_RUN", "REAL_ENABLED"))


def _link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _hard(path):
    os.link(path, path.with_name("elsewhere"))


def _folder(path):
    path.unlink()
    (path / "in").mkdir(parents=True)


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _mode(path):
    path.chmod(0o666)


def _empty(path):
    path.write_bytes(b"")


def _huge(path):
    path.write_bytes(b" " * 3_000_000)


CHANGES = {
    "edited": (_edit, 'mode is "REAL_ENABLED" instead of "DRY_RUN"'),
    "deleted": (lambda path: path.unlink(), "deleted"),
    "link": (_link, "a symbolic link"),
    "hard link": (_hard, "a hard link"),
    "folder": (_folder, "a folder"),
    "pipe": (_pipe, "a pipe"),
    "mode": (_mode, "its mode is 0666"),
    "empty": (_empty, "edited"),
    "huge": (_huge, "edited"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_somebody_changed_is_told_put_right_and_told_until_accepted(world, name):
    """Each way to change a mirror is found, has no effect, is recorded before it is put right, and stays told."""
    change, words = CHANGES[name]
    state, path = world.plane.state(), world.root / "state" / GATE
    right = path.read_bytes()
    change(path)
    [found] = world.breaches()
    assert (found.area, found.where, found.put_right) == ("gate_mirror", f"state/{GATE}", False)
    assert words in found.what
    assert "by the owner" in found.explain() or name == "deleted"
    assert world.plane.state() == state
    [put_right] = world.export().tampered
    assert put_right.path == f"state/{GATE}"
    assert (path.read_bytes(), path.lstat().st_nlink, path.lstat().st_mode & 0o7777) == (right, 1, 0o644)
    assert [row.subject for row in world.plane.audit_rows() if row.action == "mirror.tampered"] == [f"state/{GATE}"]
    assert areas(world) == [("gate_mirror", True)]
    assert world.export() == mirrors.Exported()


def test_an_older_copy_that_once_was_valid_is_found(world):
    """A mirror as it was before is not what the store says now."""
    path = world.root / "state" / STOP
    released = path.read_bytes()
    world.plane.engage("fire")
    path.write_bytes(released)
    [found] = world.breaches()
    assert found.area == "stop_mirror"
    assert "an older copy" in found.what
    assert world.plane.state().stopped


def test_a_link_is_never_written_through(world, tmp_path):
    """What a link in a mirror's place, or in its folder's place, points to stays as it is."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    gate, folder = world.root / "state" / GATE, world.root / "state" / "tickets"
    gate.unlink()
    gate.symlink_to(outside / "precious")
    folder.rename(tmp_path / "moved")
    folder.symlink_to(outside)
    assert {one.area for one in world.breaches()} == {"gate_mirror", "tickets"}
    world.export()
    assert (outside / "precious").read_text() == "mine"
    assert sorted(one.name for one in outside.iterdir()) == ["precious"]
    assert not gate.is_symlink()
    assert not folder.is_symlink()
    assert (folder / "requests.jsonl").exists()


def test_a_file_that_shows_nothing_of_the_store_is_found(world):
    """A snapshot or journal of something that never was is an addition, and is moved out of the way."""
    forged = world.root / "reports/ops/daily/snapshots/ops_run_R9.json"
    forged.write_text("{}")
    [found] = world.breaches()
    assert (found.area, "added" in found.what) == ("mirrors", True)
    world.export()
    assert not forged.exists()


def test_older_snapshots_are_looked_at_too(world):
    """However many runs there are, each snapshot is compared."""
    for number in range(60):
        world.cycle(f"S{number:03d}")
    world.export()
    (world.root / "reports/ops/daily/snapshots/ops_run_S000.json").write_text("{}")
    assert [one.where for one in world.breaches()] == ["reports/ops/daily/snapshots/ops_run_S000.json"]
    assert mirrors.export(world.plane, world.settings).tampered == ()
    assert len(world.export().tampered) == 1


def test_what_could_not_be_written_stays_pending_and_is_told(world, monkeypatch):
    """A full disk fails no act: the state has changed, the mirror is late, and the next export writes it."""

    def full(root, name, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(looking, "put", full)
    world.plane.engage("smoke")
    assert world.plane.state().stopped
    assert f"state/{STOP}" in world.pending()
    assert world.breaches() == ()
    assert "No space left on device" in (world.root / "logs/ops.log").read_text()
    monkeypatch.undo()
    world.export()
    assert told(world, f"state/{STOP}")["reason"] == "smoke"
    assert (world.pending(), world.breaches()) == ((), ())


def test_exporting_never_raises(world):
    """A store that is gone is told, and nothing else happens."""
    world.settings.control_store.unlink()
    [problem] = world.export().problems
    assert "does not exist" in problem
    (world.root / "control" / ".mirrors.lock").unlink()
    world.settings.control_dir.rename(world.root / "gone")
    assert "could not be exported" in world.export().problems[0]


def test_two_exporters_do_not_write_older_over_newer(world):
    """While many change and export at once, the last mirror is the last state, and nobody is accused."""

    def work(number):
        for step in range(4):
            world.plane.engage(f"{number}.{step}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    world.export()
    assert told(world, f"state/{STOP}")["reason"] == world.plane.state().stop_reason
    assert (world.pending(), world.breaches()) == ((), ())


def test_files_of_an_earlier_store_accuse_nobody(world):
    """A store that was made anew replaces the mirrors that lie there, and keeps the snapshots as history."""
    world.settings.control_store.rename(world.root / "damaged.db")
    world.settings.control_dir.joinpath("host_key.pem").unlink()
    world.plane.create()
    world.export()
    assert told(world, f"state/{STOP}")["reason"] == "not yet released"
    assert (world.root / "reports/ops/daily/snapshots/ops_run_R1.json").exists()
    assert world.breaches() == ()


DIFFERENCES = [
    (b'{\n "a": 1\n}', b'{\n "a": 2\n}', "a is 2 instead of 1"),
    (b'{\n "a": 1\n}', b"{\n}", "a is missing"),
    (b'{\n "a": 1\n}', b'{\n "a": 1, "b": 1\n}', "b was added"),
    (b'{\n "a": 1\n}', b'{\n "a": true\n}', "a is true instead of 1"),
    (b'{\n "a": 1\n}', b"[]", "it is no JSON object"),
    (b'{\n "a": 1\n}', b'{ "a": 1}', "the same fields, written in another way"),
    (b"1\n2\n3\n", b"1\n3\n", "line 2 was removed"),
    (b"1\n2\n3\n", b"1\nx\n3\n", "line 2 was changed"),
    (b"1\n2\n3\n", b"1\n0\n2\n3\n", "line 2 was added before it"),
    (b"1\n2\n3\n", b"1\n2\n3\n4\n", "line 4 was added"),
    (b"1\n2\n3\n", b"1\n2\n", "cut after 2 of 3 lines"),
    (b"11\n22\n33\n", b"11\n22\n3", "cut in line 3"),
    (b"1\n2\n3\n", b"1\n3\n2\n", "lines in another order from line 2 on"),
    (b"1\n2\n3\n", b"", "cut after 0 of 3 lines"),
]


@pytest.mark.parametrize(("want", "got", "words"), DIFFERENCES)
def test_the_first_difference_is_named(want, got, words):
    """Edited, removed, added, cut and reordered are told apart, with the place."""
    assert words in first_difference(want, got, len(got)) or (not got and "cut" in first_difference(want, got, 0))
