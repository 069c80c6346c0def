"""Logs: they may only grow; a deleted, cut or rewritten one is found, a rotated one of ours is not."""

from __future__ import annotations

import json

import pytest
from mirrored import World

from ops_core.control import logs


@pytest.fixture
def world(tmp_path):
    """A control plane whose logs were just marked, one of another program among them."""
    world = World(tmp_path).begin()
    (world.settings.logs_dir / "cron.log").write_text("one\ntwo\n")
    marked(world)
    return world


def marked(world):
    world.wait()
    with world.plane.transaction() as tx:
        return logs.mark(tx, world.settings, world.clock.now())


def log(world, name="ops.log"):
    return world.settings.logs_dir / name


def found(world):
    return [(one.where, one.what, one.put_right) for one in world.breaches() if one.area == "logs"]


def test_the_log_tells_what_the_audit_recorded(world):
    """Each row once, in its order, as one line of JSON."""
    world.plane.engage("smoke")
    told = [json.loads(line) for line in log(world).read_text().splitlines()]
    assert [one["seq"] for one in told] == [row.seq for row in world.plane.audit_rows()]
    assert (told[-1]["event"], told[-1]["actor"]) == ("stop.engaged", "kim")


def test_logs_that_grow_are_nobodys_doing(world):
    """Lines are added between looks, by us and by others."""
    with log(world, "cron.log").open("a") as file:
        file.write("three\n")
    world.plane.engage("smoke")
    assert found(world) == []
    assert marked(world) == ()


CHANGES = {
    "deleted": (lambda path: path.unlink(), "deleted"),
    "emptied": (lambda path: path.write_text(""), "cut: 0 bytes"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "cut: "),
    "edited": (lambda path: path.write_bytes(b"X" + path.read_bytes()[1:]), "changed within its first"),
    "replaced": (lambda path: path.write_text("x" * 10_000), "changed within its first"),
    "link": (lambda path: path.rename(path.with_name("x")) and path.symlink_to("x"), "replaced by something else"),
    "folder": (lambda path: path.unlink() or path.mkdir(), "replaced by something else"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("file", ["ops.log", "cron.log"])
def test_a_log_that_lost_something_is_found(world, name, file):
    """It is told now, recorded at the next mark, and told until somebody accepts it."""
    change, words = CHANGES[name]
    if name == "link":
        log(world, file).rename(log(world, "x"))
        log(world, file).symlink_to("x")
    else:
        change(log(world, file))
    [(where, what, put_right)] = found(world)
    assert (where, put_right) == (f"logs/{file}", False)
    assert words in what
    assert [one.path for one in marked(world)] == [file]
    assert marked(world) == ()
    assert [(where, put_right) for where, _, put_right in found(world)] == [(f"logs/{file}", True)]


def test_an_export_does_not_hide_that_the_log_was_deleted(world):
    """The log is not begun anew before its loss is recorded."""
    log(world).unlink()
    world.plane.engage("smoke")
    assert [what for _, what, _ in found(world)] == ["deleted"]
    world.wait()
    world.plane.engage("smoke again")
    assert [(what, put_right) for _, what, put_right in found(world)] == [("deleted", True)]
    assert log(world).exists()


def test_our_own_log_is_rotated_in_a_recorded_act(world, monkeypatch):
    """Rotating accuses nobody, whether it is finished or was interrupted; only so many old logs are kept."""
    monkeypatch.setattr(logs, "ROTATE_BYTES", 1000)
    monkeypatch.setattr(logs, "ROTATED_MAX", 2)
    for number in range(5):
        logs.write(world.settings, world.clock.now(), "noise", number=number, text="x" * 1500)
        assert marked(world) == ()
        assert found(world) == []  # recorded, not yet renamed: as after a crash between the two
        assert marked(world) == ()
        assert found(world) == []
    assert marked(world) == ()
    names = sorted(path.name for path in world.settings.logs_dir.iterdir() if path.name.startswith("ops."))
    assert len([one for one in names if one != "ops.log"]) == 2
    actions = [row.action for row in world.plane.audit_rows()]
    assert (actions.count("log.rotated"), actions.count("log.removed")) == (5, 3)
    (world.settings.logs_dir / names[0]).unlink()
    assert [what for _, what, _ in found(world)] == ["deleted"]


def test_a_log_that_cannot_be_written_fails_nothing(world):
    """The log is a copy: without it the act is done and recorded all the same."""
    log(world).unlink()
    log(world).mkdir()
    assert logs.write(world.settings, world.clock.now(), "x") is False
    world.plane.engage("smoke")
    assert world.plane.state().stopped
