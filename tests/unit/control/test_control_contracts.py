"""Contracts: only what somebody accepted is in force, and nothing runs on the strength of anything else."""

from __future__ import annotations

import json
import os

import pytest
from mirrored import ALLOWLIST, World, past_the_program

from ops_core.control import contracts
from ops_core.errors import Refused, UsageError


@pytest.fixture
def world(tmp_path):
    """A control plane that was just made; its contracts were accepted with it."""
    world = World(tmp_path)
    world.plane.create()
    return world


def problem(world, request_type="OPS_CYCLE"):
    with world.plane.snapshot() as tx:
        return contracts.request_problem(tx, world.settings, request_type)


def test_the_allowlist_decides_what_may_be_asked_for(world):
    """What it names is allowed, what it does not name is not."""
    assert problem(world) == ""
    assert problem(world, "LIVE_FIRE") == ""
    assert problem(world, "REBOOT") == "the allowlist does not name REBOOT"
    assert problem(world, "") == "the allowlist does not name "


def _link(world):
    path = world.contracts / ALLOWLIST
    path.rename(world.root / "elsewhere.json")
    path.symlink_to(world.root / "elsewhere.json")


def _append(world, text):
    with (world.contracts / ALLOWLIST).open("a") as file:
        file.write(text)


def _below(world):
    (world.contracts / "sub").mkdir()
    (world.contracts / "sub" / "deep.json").write_text("{}")


def _folder(world):
    (world.contracts / ALLOWLIST).unlink()
    (world.contracts / ALLOWLIST).mkdir()


CHANGES = {
    "changed": (lambda world: world.allow("OPS_CYCLE", "LIVE_FIRE", "REBOOT"), "is changed"),
    "one blank": (lambda world: _append(world, " "), "is changed"),
    "removed": (lambda world: (world.contracts / ALLOWLIST).unlink(), "is removed"),
    "added": (lambda world: (world.contracts / "more.json").write_text("{}"), "more.json is added"),
    "added below": (_below, "sub/deep.json is added"),
    "hidden": (lambda world: (world.contracts / ".more.json").write_text("{}"), ".more.json is added"),
    "page changed": (lambda world: (world.contracts / "contract_ops_scheduler_v1.md").write_text("x"), "is changed"),
    "link": (_link, "is unreadable (it is a link)"),
    "folder": (_folder, "is removed"),
    "oversized": (lambda world: _append(world, " " * (2 << 20)), "bytes large"),
    "folder gone": (lambda world: world.contracts.rename(world.root / "gone"), "is removed"),
    "pipe": (lambda world: os.mkfifo(world.contracts / "pipe"), "is unreadable (it is a pipe"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_runs_on_contracts_that_nobody_accepted(world, name):
    """Changed, added, removed, replaced, too large: each says why, stops every type, and is a finding."""
    change, words = CHANGES[name]
    change(world)
    assert words in problem(world)
    assert problem(world, "LIVE_FIRE")
    found = [one for one in world.breaches() if one.area == "contracts"]
    assert any(words in one.what for one in found)


def test_accepting_is_a_recorded_act_with_a_reason(world):
    """From then on the new contracts are in force, and the audit says who accepted what and why."""
    world.allow("OPS_CYCLE", "REBOOT")
    with pytest.raises(UsageError):
        contracts.accept(world.plane, world.settings, " ")
    [was] = contracts.accept(world.plane, world.settings, "reviewed by two")
    assert (was.name, was.what) == (ALLOWLIST, "changed")
    assert problem(world, "REBOOT") == ""
    assert problem(world, "LIVE_FIRE") != ""
    row = world.plane.audit_rows()[-1]
    assert (row.action, row.actor, row.data["reason"]) == ("contracts.accepted", "kim", "reviewed by two")
    assert row.data["contracts"][ALLOWLIST] == contracts.allowlist_digest(world.settings)
    assert [one for one in world.breaches() if one.area == "contracts"] == []


def test_accepting_is_refused_while_something_real_may_happen(world):
    """Neither while the gate is REAL_ENABLED, nor what cannot be read."""
    world.plane.set_gate("REAL_ENABLED", "now", ttl_s=60)
    with pytest.raises(Refused, match="REAL_ENABLED"):
        contracts.accept(world.plane, world.settings, "quickly")
    world.clock.sleep(61)
    (world.contracts / "link.json").symlink_to("nowhere")
    with pytest.raises(Refused, match="cannot be accepted"):
        contracts.accept(world.plane, world.settings, "blindly")
    (world.contracts / "link.json").unlink()
    contracts.accept(world.plane, world.settings, "looked at")


INVALID = {
    "no JSON": "{",
    "a list": "[]",
    "another contract": '{"contract": "x", "request_types": ["OPS_CYCLE"]}',
    "no types": '{"contract": "execution_allowlist_v1"}',
    "a text": '{"contract": "execution_allowlist_v1", "request_types": "OPS_CYCLE"}',
    "numbers": '{"contract": "execution_allowlist_v1", "request_types": [1]}',
    "too many": json.dumps({"contract": "execution_allowlist_v1", "request_types": [str(n) for n in range(101)]}),
    "nested": "[" * 100_000,
    "not text": "\x00",
}


@pytest.mark.parametrize("name", INVALID)
def test_an_allowlist_that_says_nothing_allows_nothing(world, name):
    """Accepted or not, an allowlist that cannot be understood allows nothing, and says so."""
    (world.contracts / ALLOWLIST).write_text(INVALID[name])
    contracts.accept(world.plane, world.settings, "without looking")
    assert "the allowlist" in problem(world)


def test_a_missing_allowlist_allows_nothing(tmp_path):
    """A store may be made where no contracts are: nothing is allowed until there is an allowlist that is accepted."""
    world = World(tmp_path)
    for path in world.contracts.iterdir():
        path.unlink()
    world.contracts.rmdir()
    world.plane.create()
    assert "cannot be read" in problem(world) or "being changed" in problem(world)
    assert contracts.allowlist_digest(world.settings) == ""


def test_a_store_that_never_accepted_allows_nothing(world):
    """Where the list of what was accepted is gone or was changed in the store, nothing is allowed."""
    for statement in ("UPDATE contract SET digest = 'x'", "DELETE FROM contract"):
        with past_the_program(world.settings.control_store) as connection:
            connection.execute(statement)
        assert "not those that the audit recorded" in problem(world)
        assert [one.area for one in world.breaches()] == ["contracts"]
