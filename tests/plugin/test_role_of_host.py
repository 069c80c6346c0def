"""Suites are looked at from the operator's host: on a producer's a run is refused before anything is looked at."""

from __future__ import annotations

import pytest

from ops_core.verdict import Verdict

CHECK = """
@probe(budget_s=5)
def seen() -> int:
    "What is judged."
    open("looked", "w").close()
    return 1

@finding("thing.bad")
def check_thing(seen):
    "It is there."
    assert seen == 1
"""
NOT_LOADED = """
import sys

def pytest_unconfigure():
    if any(name.startswith("ops_core.handoff") for name in sys.modules):
        raise RuntimeError("the table of roles was loaded where no role is set")
"""


def test_producer_looks_at_nothing(project):
    """A usage error that says where the role is set and what to type, no probe run, no record left."""
    project.profile = {"role": "producer"}
    project.check(CHECK)
    ran = project.run()
    assert ran.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "looking at live systems is not done on the producer's host" in ran.output
    assert f'{project.root}/ops.toml, [profiles.default]: role = "producer"' in ran.output
    assert "ops roles" in ran.output
    assert not (project.root / "looked").exists()
    assert ran.newest_record is None


def test_operator_looks_and_producer_judges_its_record_again(project):
    """What an operator recorded may be judged anywhere: a replay touches nothing."""
    project.profile = {"role": "operator"}
    project.check(CHECK)
    ran = project.run()
    assert ran.observation.verdict is Verdict.HEALTHY
    project.profile = {"role": "producer"}
    again = project.run("checks/", "-m", "observe", "--replay", str(ran.record_path))
    assert again.exit_code == pytest.ExitCode.OK


def test_without_a_role_the_table_is_not_loaded(project):
    """Whoever has no role pays nothing for it."""
    project.check(CHECK)
    project.write("conftest.py", NOT_LOADED)
    assert project.run().exit_code == pytest.ExitCode.OK
    project.profile = {"role": "operator"}
    assert project.run().exit_code != pytest.ExitCode.OK
