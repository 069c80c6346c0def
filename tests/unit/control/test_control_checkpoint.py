"""Checkpoints: a history that was changed, cut or made anew does not hold what somebody else kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from mirrored import World

from ops_core.control import checkpoint
from ops_core.control.audit import GENESIS_HASH, AuditRow, next_row
from ops_core.control.checkpoint import CheckpointBroken
from ops_core.errors import UsageError


@pytest.fixture
def world(tmp_path):
    """A control plane with some history."""
    return World(tmp_path).begin()


def kept(world):
    with world.plane.snapshot() as tx:
        return checkpoint.checkpoint_of(tx, world.settings)


def resealed(rows):
    """The same acts as a chain that follows from its beginning."""
    head, made = (0, GENESIS_HASH), []
    for row in rows:
        new = next_row(
            head, at=row.at, actor=row.actor, action=row.action, subject=row.subject, detail=json.loads(row.detail)
        )
        made.append(new)
        head = (new.seq, new.hash)
    return made


def test_a_checkpoint_names_the_head_and_is_signed(world):
    """It holds store, row, hash and time, and the host's key signed exactly that."""
    told = kept(world)
    row = world.plane.audit_rows()[-1]
    assert (told["seq"], told["hash"], told["at"]) == (row.seq, row.hash, row.at)
    key = checkpoint.load_key(checkpoint.key_path(world.settings))
    assert told["key_id"] == key.id
    checkpoint.verify_signature(told, key.public)
    for name in checkpoint.FIELDS:
        wrong = {**told, name: 1 if name == "seq" else "00" * 64}
        with pytest.raises(CheckpointBroken):
            checkpoint.verify_signature(wrong, key.public)


def test_history_goes_on_and_still_holds_it(world):
    """Later acts do not disturb a checkpoint, however old."""
    told = [kept(world)]
    for number in range(5):
        world.plane.engage(f"{number}")
        told.append(kept(world))
    check = checkpoint.verify_history(world.plane.audit_rows(), told)
    assert check.head_seq == told[-1]["seq"]


def test_what_was_rewritten_and_sealed_anew_is_found(world):
    """One changed word, and all hashes after it made anew: the chain holds, the checkpoint does not."""
    told, rows = kept(world), list(world.plane.audit_rows())
    rows[3] = replace(rows[3], actor="nobody")
    made = resealed(rows)
    checkpoint.verify_history(made)
    with pytest.raises(CheckpointBroken, match="was rewritten"):
        checkpoint.verify_history(made, [told])


def test_what_was_cut_is_found(world):
    """A shorter history proves itself, and not the checkpoint."""
    told, rows = kept(world), world.plane.audit_rows()
    checkpoint.verify_history(rows[:-1])
    with pytest.raises(CheckpointBroken, match="was cut"):
        checkpoint.verify_history(rows[:-1], [told])


def test_a_changed_row_is_found_without_any_checkpoint(world):
    """Whoever changes a row and nothing else is found by the chain itself."""
    rows = list(world.plane.audit_rows())
    with pytest.raises(CheckpointBroken, match="audit row 4 was changed"):
        checkpoint.verify_history([*rows[:3], replace(rows[3], actor="nobody"), *rows[4:]])
    with pytest.raises(CheckpointBroken, match="audit row 4 is missing"):
        checkpoint.verify_history([*rows[:3], *rows[4:]])


def test_a_checkpoint_of_another_store_proves_nothing(world, tmp_path):
    """Two stores never share a history."""
    other = World(tmp_path / "other").begin()
    with pytest.raises(CheckpointBroken, match="another store"):
        checkpoint.verify_history(world.plane.audit_rows(), [kept(other)])


@pytest.mark.parametrize("told", [None, [], {}, {"checkpoint": {}}, {"seq": "1"}, {"store_id": 1}])
def test_what_is_no_checkpoint_is_refused(told):
    """A file of something else is told as such."""
    with pytest.raises(UsageError, match="no checkpoint"):
        checkpoint.read_checkpoint(told, "a file")


def test_without_a_key_receipts_are_still_made(world):
    """A missing or open key costs the signature, not the receipt, and is a finding."""
    path = checkpoint.key_path(world.settings)
    path.chmod(0o644)
    assert kept(world)["signature"] == ""
    assert [one.area for one in world.breaches()] == ["chain"]
    path.chmod(0o600)
    assert world.breaches() == ()
    path.rename(path.with_name("gone"))
    assert kept(world)["key_id"] == ""
    world.plane.create()
    assert not path.exists()
    [found] = world.breaches()
    assert (found.area, "cannot be read" in found.what) == ("chain", True)
    with world.plane.transaction() as tx:
        checkpoint.renew_key(tx, world.settings, at=world.clock.now(), actor="kim", reason="lost")
    assert (world.breaches(), bool(kept(world)["signature"])) == ((), True)


def test_another_key_in_the_place_of_the_hosts_is_not_recorded_in_passing(world):
    """Whoever opens the store next does not make a stranger's key the host's: it is told until the own one is back."""
    path = checkpoint.key_path(world.settings)
    aside = path.with_name("aside")
    path.rename(aside)
    checkpoint.make_key(path)
    world.plane.create()
    [found] = world.breaches()
    assert (found.area, "not one that was recorded" in found.what) == ("chain", True)
    aside.replace(path)
    assert world.breaches() == ()


def test_its_line_is_found_again_in_a_message(world):
    """Whoever kept a message or a report has a checkpoint in it, signed or not."""
    told = kept(world)
    message = f"Daily cycle\ngate DRY_RUN\n{checkpoint.as_line(told)}\n"
    assert checkpoint.read_text(message, "message") == told
    assert checkpoint.read_text(json.dumps({"checkpoint": told}), "receipt") == told
    unsigned = {**told, "key_id": "", "signature": ""}
    assert checkpoint.read_text(checkpoint.as_line(unsigned), "message") == unsigned


def test_a_text_with_no_checkpoint_or_with_two_is_refused(world):
    """Which of two would count is nobody's guess; a line that was shortened is none."""
    line = checkpoint.as_line(kept(world))
    other = checkpoint.as_line({**kept(world), "seq": 1})
    for text in ("nothing", line[:-1], line + "ab", f"{line}\n{other}", line.replace("checkpoint", "checkpiont")):
        with pytest.raises(UsageError, match="checkpoint"):
            checkpoint.read_text(text, "message")


def test_another_key_in_its_place_is_found(world):
    """A key that the audit does not know signs nothing that counts."""
    path = checkpoint.key_path(world.settings)
    path.unlink()
    checkpoint.make_key(path)
    assert [one.what for one in world.breaches()] == ["the host's key is not one that was recorded"]


def test_the_key_is_private_and_made_once(world):
    """Only its owner reads it, and making it again returns the one that is there."""
    path = checkpoint.key_path(world.settings)
    assert path.stat().st_mode & 0o7777 == 0o600
    assert checkpoint.make_key(path).public == checkpoint.load_key(path).public
    assert isinstance(world.plane.audit_rows()[0], AuditRow)
