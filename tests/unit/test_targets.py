"""What targets need of each other, and which secrets they use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.config import load_settings
from ops_core.errors import ConfigError
from ops_core.targets import Target, order_of

NAMES = ("a", "b", "c", "d", "e")


def settings(tmp_path: Path, text: str):
    (tmp_path / "ops.toml").write_text(text)
    return load_settings(tmp_path / "ops.toml", environ={})


@given(st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)), min_size=5, max_size=5))
def test_what_is_needed_comes_first(needs):
    """Each target comes behind all that it needs; what is left waits for something in a circle."""
    targets = [Target(name=name, depends_on=tuple(sorted(others))) for name, others in needs.items()]
    ordered, circle = order_of(targets)
    assert sorted((*ordered, *circle)) == sorted(needs)
    for place, name in enumerate(ordered):
        assert needs[name] <= set(ordered[:place])
    for name in circle:
        assert needs[name] & set(circle)


@pytest.mark.parametrize(
    ("text", "what", "where", "allowed"),
    [
        ("depends_on = ['db']", "core cannot depend on 'db'", "depends_on", "other"),
        ("depends_on = ['core']", "core cannot depend on 'core'", "depends_on", "other"),
    ],
)
def test_a_dependency_has_to_be_another_target(tmp_path, text, what, where, allowed):
    """A name that means nothing would attribute nothing."""
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, f"[profiles.default.targets.core]\n{text}\n[profiles.default.targets.other]\n")
    assert error.value.what == what
    assert where in error.value.where
    assert error.value.allowed == allowed


def test_a_circle_is_refused_and_named(tmp_path):
    """Nobody is the cause where everybody is."""
    text = "[profiles.default.targets.a]\ndepends_on = ['b']\n[profiles.default.targets.b]\ndepends_on = ['a']\n"
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, text)
    assert error.value.what == "these depend on each other in a circle: a, b"


def test_paths_of_a_target_start_at_the_configuration(tmp_path):
    """Every path of a target, whichever theme it belongs to."""
    text = (
        "[profiles.default.targets.a]\nlive_url = 'http://x/'\nlog_file = 'x.log'\ndisk_path = 'data'\n"
        "engine_socket = 'run/docker.sock'\n"
    )
    target = settings(tmp_path, text).targets[0]
    assert (target.log_file, target.disk_path) == (tmp_path / "x.log", tmp_path / "data")
    assert target.engine_socket == tmp_path / "run/docker.sock"


def test_secrets_of_a_target_are_named_once():
    """What redaction has to hide, whichever key names it."""
    target = Target(name="a", guard_secret="G", ingest_key="K", database_password="P", required_secrets=("K", "J"))
    assert target.secret_names == ("G", "K", "P", "J")
