"""The self test of secrets: it finds what is missing or open, and tells nothing of any value."""

from __future__ import annotations

import json

import pytest
from push_world import CHAT, TOKEN

from ops_core.push import self_test


def problems(world):
    return {row.name: row.problem for row in self_test(world.settings, {}).rows if not row.ok}


def test_a_profile_with_all_its_values_passes(world):
    """Every named secret has a row, with its source."""
    tested = self_test(world.settings, {})
    assert tested.result == "SELF_TEST_PASS"
    assert [row.name for row in tested.rows] == ["BOT_CHAT", "BOT_TOKEN", "OTHER"]
    assert tested.seen == "3 secrets have their values"
    assert tested.rows[0].source == f"file {world.root / 'secrets' / 'BOT_CHAT'}"


def test_a_missing_value_is_named(world):
    """Missing, empty, or unreadable: one answer."""
    (world.root / "secrets" / "OTHER").unlink()
    world.secret("BOT_TOKEN", " \n")
    assert problems(world) == {"OTHER": "it has no value", "BOT_TOKEN": "it has no value"}
    assert self_test(world.settings, {}).result == "SELF_TEST_FAIL"


@pytest.mark.parametrize(
    "value", ["changeme", "CHANGE-ME", "<your-token>", "…", "...", "xxxxxxxx", "${SECRET}", "0000", "TODO", '"secret"']
)
def test_a_placeholder_is_no_value(world, value):
    """What somebody copied from an example and never filled in."""
    world.secret("OTHER", value)
    assert problems(world) == {"OTHER": "its value is a placeholder"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666])
def test_a_file_that_others_may_read_is_found(world, mode):
    """The mode is told, and what to type."""
    path = world.root / "secrets" / "OTHER"
    path.chmod(mode)
    assert problems(world) == {"OTHER": f"its file is open to others (mode {mode:04o}): chmod 600 {path}"}


def test_guards_and_the_database_are_asked_for_too(world):
    """Whatever the profile names anywhere, from the environment where no file is named."""
    text = (world.root / "ops.toml").read_text()
    text = text.replace("[profiles.default]\n", '[profiles.default]\ncontrol_password = "PGPASS"\n')
    text = text.replace(
        "[profiles.default.targets.api.vars]",
        '[profiles.default.targets.web]\nguard_url = "http://127.0.0.1:9/"\nguard_secret = "GUARD"\n[profiles.default.targets.api.vars]',
    )
    (world.root / "ops.toml").write_text(text)
    from ops_core.config import load_settings

    rows = {
        row.name: row for row in self_test(load_settings(world.root / "ops.toml", environ={}), {"GUARD": "g-1"}).rows
    }
    assert rows["GUARD"].ok
    assert rows["GUARD"].source == "environment variable GUARD"
    assert not rows["PGPASS"].ok


@pytest.mark.parametrize("spoil", [lambda w: None, lambda w: w.secret("OTHER", "todo")])
def test_no_value_and_no_length_is_told(world, spoil):
    """Neither where all is well nor where it is not."""
    spoil(world)
    told = json.dumps(self_test(world.settings, {}).as_dict())
    assert not any(value in told for value in (TOKEN, CHAT, "another one", "todo"))
    assert not any(str(len(value)) in told.replace(str(world.root), "") for value in (TOKEN, CHAT))
