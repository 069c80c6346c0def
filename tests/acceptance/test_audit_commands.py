"""`ops audit` and `ops contracts` as people type them, and the suite `integrity` as pytest runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mirrored import World, past_the_program

from ops_core.cli import main
from ops_core.control.audit import AuditRow, next_row


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A control plane with some history."""
    return World(tmp_path / "host").begin()


class Typed:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def ops(world: World, capsys: pytest.CaptureFixture[str]):
    """Type a command against the world."""

    def typed(*words: str, config: bool = True) -> Typed:
        capsys.readouterr()
        more = ("--config", str(world.root / "ops.toml")) if config else ()
        code = main([*words, *more])
        said = capsys.readouterr()
        return Typed(code, said.out, said.err)

    return typed


def test_history_is_verified_away_from_the_host(world, ops, tmp_path):
    """An export and a checkpoint are files; with the public key they are verified without store or configuration."""
    out, early = tmp_path / "history.jsonl", tmp_path / "early.json"
    assert ops("audit", "checkpoint", "--out", str(early)).code == 0
    world.plane.engage("later")
    assert ops("audit", "export", "--out", str(out)).code == 0
    key = ops("audit", "key", "--json").json["public_key"]
    done = ops(
        "audit", "verify", "--export", str(out), "--checkpoint", str(early), "--public-key", key, "--json", config=False
    )
    assert done.code == 0
    assert (done.json["rows"], done.json["checkpoints"], done.json["signatures"]) == (
        len(world.plane.audit_rows()),
        1,
        2,
    )
    other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    wrong = ops("audit", "verify", "--export", str(out), "--public-key", other, config=False)
    assert (wrong.code, "was not signed with that key" in wrong.err) == (1, True)
    again = ops("audit", "export", "--out", str(out))
    assert (again.code, "cannot be written" in again.err) == (64, True)


def test_a_receipt_is_a_checkpoint_that_somebody_kept(world, ops, tmp_path):
    """Whatever holds a checkpoint under that word will do; one of a history that was cut is told as such."""
    kept = tmp_path / "receipt.json"
    kept.write_text(json.dumps({"run_id": "R1", "checkpoint": ops("audit", "checkpoint", "--json").json}))
    assert "1 kept" in ops("audit", "verify", "--checkpoint", str(kept)).out
    out = tmp_path / "history.jsonl"
    ops("audit", "export", "--out", str(out))
    out.write_text("".join(out.read_text().splitlines(keepends=True)[:-3]))
    done = ops("audit", "verify", "--export", str(out), "--checkpoint", str(kept), config=False)
    assert (done.code, "the history was cut" in done.err) == (1, True)


def test_without_a_checkpoint_that_is_said(ops):
    """Verifying against nothing says what it does not show."""
    done = ops("audit", "verify")
    assert (done.code, "none given: a history that was made anew as a whole would look the same" in done.out) == (
        0,
        True,
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no rows"),
        ("x\n", "no line of an export"),
        ('{"seq": 1}\n', "no line of an export"),
        ("[]\n", "no line of"),
    ],
)
def test_what_is_no_export_is_told(ops, tmp_path, content, words):
    """A file of something else is a mistake of whoever typed, with its line."""
    path = tmp_path / "export"
    path.write_text(content)
    done = ops("audit", "verify", "--export", str(path), config=False)
    assert (done.code, words in done.err) == (64, True)
    assert ops("audit", "verify", "--checkpoint", str(tmp_path / "none")).code == 64


def forged(lines: list[str], *, more: int = 0, **changes: str) -> list[str]:
    """An export with rows appended that follow the rule of the chain: whoever knows the code can make those."""
    rows, end = lines[:-1], lines[-1]
    head = AuditRow(**json.loads(rows[-1]))
    for _ in range(more):
        head = next_row((head.seq, head.hash), at=head.at, actor="ann", action="made.up", subject="", detail={})
        if changes:
            head = replace(head, **changes)
            head = replace(head, hash=head.expected_hash())
        rows = [*rows, json.dumps(asdict(head))]
    return [*rows, end]


@pytest.mark.parametrize("more", [("--public-key",), ()])
@pytest.mark.parametrize("how", ["added", "without its checkpoint"])
def test_rows_that_no_checkpoint_covers_are_not_verified(ops, tmp_path, how, more):
    """The signature stands for what was there when it was made: neither for rows added later nor for nothing at all."""
    out = tmp_path / "history.jsonl"
    assert ops("audit", "export", "--out", str(out)).code == 0
    lines = out.read_text().splitlines()
    lines = forged(lines, more=2) if how == "added" else lines[:-1]
    out.write_text("".join(f"{line}\n" for line in lines))
    words = (*more, ops("audit", "key", "--json").json["public_key"]) if more else ()
    done = ops("audit", "verify", "--export", str(out), *words, config=False)
    assert (done.code, "its own checkpoint" in done.err) == (1, True)


def test_a_key_that_signed_nothing_proves_nothing(ops):
    """Whoever names a key is not told that all is verified where there was nothing to verify with it."""
    key = ops("audit", "key", "--json").json["public_key"]
    done = ops("audit", "verify", "--public-key", key)
    assert (done.code, "could have signed" in done.err) == (64, True)


def test_a_signature_of_an_unknown_key_is_none(ops, tmp_path):
    """A key that the history does not name; and one of the points under which anybody can sign."""
    kept = tmp_path / "kept.json"
    told = ops("audit", "checkpoint", "--json").json
    kept.write_text(json.dumps({**told, "key_id": "0" * 16}))
    done = ops("audit", "verify", "--checkpoint", str(kept))
    assert (done.code, "does not name" in done.err) == (1, True)
    weak = ops("audit", "verify", "--checkpoint", str(kept), "--public-key", "0" * 64)
    assert (weak.code, "anybody could sign" in weak.err) == (64, True)


def test_a_detail_that_is_no_json_is_no_line_of_an_export(ops, tmp_path):
    """Though its hash fits."""
    out = tmp_path / "history.jsonl"
    ops("audit", "export", "--out", str(out))
    lines = forged(out.read_text().splitlines(), more=1, action="host_key.made", detail="{")
    out.write_text("".join(f"{line}\n" for line in lines))
    done = ops("audit", "verify", "--export", str(out), config=False)
    assert (done.code, "no line of an export" in done.err) == (64, True)


def test_a_store_that_was_written_past_the_program_fails(world, ops):
    """A changed row in the store is an operational failure, and says which row."""
    with past_the_program(world.settings.control_store) as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 3")
    done = ops("audit", "verify")
    assert done.code == 3
    assert "audit row 3" in done.err


def test_rows_are_shown(world, ops):
    """The newest rows, aligned, or as JSON with their details."""
    assert ops("audit", "show", "--last", "2").out.count("\n") == 2
    rows = ops("audit", "show", "--last", "3", "--json").json
    assert [row["seq"] for row in rows] == [row.seq for row in world.plane.audit_rows()[-3:]]
    assert isinstance(rows[0]["detail"], dict)


def test_mirrors_are_put_right_by_hand_and_the_look_accepted(world, ops):
    """What was changed is named when it is put right; accepting needs a reason."""
    path = world.root / "state" / "execution_gate.json"
    path.write_text(path.read_text().replace("DRY_RUN", "REAL_ENABLED"))
    done = ops("audit", "mirrors")
    assert (done.code, 'mode is "REAL_ENABLED" instead of "DRY_RUN"' in done.out) == (0, True)
    assert "as they must be" in ops("audit", "mirrors").out
    assert ops("audit", "accept").code == 64
    assert ops("audit", "accept", "--reason", "that was me").code == 0
    assert world.breaches() == ()


def test_contracts_are_shown_and_accepted(world, ops):
    """What differs is told with exit code 1; accepting is refused while the gate is REAL_ENABLED, and recorded."""
    assert (ops("contracts", "show").code, "OPS_CYCLE, LIVE_FIRE" in ops("contracts", "show").out) == (0, True)
    world.allow("OPS_CYCLE", "REBOOT")
    shown = ops("contracts", "show", "--json")
    assert shown.code == 1
    assert {one["name"]: one["state"] for one in shown.json["contracts"]}["execution_allowlist_v1.json"] == "changed"
    assert ops("gate", "set", "REAL_ENABLED", "--reason", "now").code == 0
    assert ops("contracts", "accept", "--reason", "quick").code == 2
    assert ops("gate", "set", "DRY_RUN", "--reason", "later").code == 0
    assert "execution_allowlist_v1.json  (changed)" in ops("contracts", "accept", "--reason", "reviewed").out
    assert ops("contracts", "show").code == 0
    assert [row.data["reason"] for row in world.plane.audit_rows() if row.action == "contracts.accepted"][
        -1
    ] == "reviewed"


def test_only_what_was_looked_at_is_accepted(world, ops):
    """A contract that somebody replaces between the look and the accepting is not accepted with it."""
    world.allow("OPS_CYCLE", "REBOOT")
    seen = ops("contracts", "show", "--json").json["digest"]
    assert f"--digest {seen}" in ops("contracts", "show").out
    world.allow("OPS_CYCLE", "REBOOT", "FORMAT")
    late = ops("contracts", "accept", "--reason", "reviewed", "--digest", seen)
    assert (late.code, "not those that were looked at" in late.err) == (2, True)
    world.allow("OPS_CYCLE", "REBOOT")
    assert ops("contracts", "accept", "--reason", "reviewed", "--digest", seen).code == 0


def test_names_of_files_do_not_steer_the_terminal(world, ops):
    """Whoever may write contracts or mirrors chooses names: escapes are shown, and what is no text is no crash."""
    for name in (b"a\x1b]0;owned\x07.json", b"b\xff.json"):
        (world.contracts / os.fsdecode(name)).write_bytes(b"{}")
    (world.settings.state_dir / "tickets" / "c\x1b[2J.jsonl").write_text("x")
    told = [ops("contracts", "show"), ops("contracts", "accept", "--reason", "r"), ops("audit", "mirrors")]
    assert [one.code for one in told] == [1, 2, 0]
    assert "\x1b" not in "".join(one.out + one.err for one in told)
    assert "a\\x1b]0;owned" in told[0].out or "a\\u001b]0;owned" in told[0].out
    assert ops("contracts", "show", "--json").code == 1
    assert not [one for one in world.breaches() if not (one.where + one.what).isprintable()]


def test_a_new_host_key_is_a_recorded_act(world, ops):
    """It needs a reason, and older checkpoints keep their signatures."""
    old = ops("audit", "checkpoint", "--json").json
    public = ops("audit", "key", "--json").json["public_key"]
    assert ops("audit", "key", "--new").code == 64
    new = ops("audit", "key", "--new", "--reason", "the disk was copied", "--json").json["public_key"]
    assert new != public
    assert world.breaches() == ()
    kept = world.root / "old.json"
    kept.write_text(json.dumps(old))
    assert "signature   1 good" in ops("audit", "verify", "--checkpoint", str(kept)).out


@pytest.mark.slow
def test_the_suite_tells_the_six_forbidden_changes(world):
    """Each of them is a finding of its own with what, where, when and who; what counts is untouched; then it is decided."""
    settings, root = world.settings, world.root
    (root / "ops.toml").write_text('suites = ["integrity"]\n' + (root / "ops.toml").read_text())
    (root / "checks").mkdir()
    assert run_suite(root) == (0, set())
    gate = root / "state" / "execution_gate.json"
    gate.write_text(gate.read_text().replace("DRY_RUN", "REAL_ENABLED"))
    (root / "state" / "emergency_stop.json").unlink()
    with (root / "state" / "tickets" / "requests.jsonl").open("a") as file:
        file.write("{}\n")
    (settings.logs_dir / "ops.log").unlink()
    world.allow("REBOOT")
    world.fire("F2", failing=("window_active",))
    code, found = run_suite(root)
    names = ("contracts", "gate_mirror", "logs", "real_without_permission", "stop_mirror", "tickets")
    assert (code, found) == (1, {f"integrity.{name}" for name in names})
    assert (world.plane.gate(), world.plane.state().stopped) == ("DRY_RUN", False)


def run_suite(root: Path) -> tuple[int, set[str]]:
    """The exit code, and the findings in the output."""
    argv = [sys.executable, "-m", "pytest", "checks/", "-m", "integrity", "-p", "no:cacheprovider"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "PYTEST_"))}
    done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    return done.returncode, {word for word in said.split() if word.startswith("integrity.") and word.count(".") == 1}
