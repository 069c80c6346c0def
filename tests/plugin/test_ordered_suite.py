"""Checks that are steps: their order holds whatever is done to the collection, and what is not reached is not judged."""

from __future__ import annotations

import json

import pytest

from ops_core.verdict import Judged, Verdict

STEPS = """
@probe(budget_s=5)
def seen() -> dict:
    "What the steps judge."
    return json.load(open({path!r}))

def note(number):
    with open({log!r}, "a") as file:
        file.write(f"{{number}}\\n")

@pytest.mark.step(3)
@finding("step.three")
def check_a_three(seen):
    "Three."
    note(3)
    assert seen["three"]

@pytest.mark.step(1)
@finding("step.one")
def check_b_one(seen):
    "One."
    note(1)
    assert seen["one"], "one is bad"

@finding("step.none")
def check_c_free(seen):
    "No step at all."

@pytest.mark.step(2)
@finding("step.two")
def check_d_two(seen):
    "Two."
    note(2)
    if seen["two"] is None:
        raise CannotLook("two is not to be seen")
    assert seen["two"]
"""
SHUFFLE = """
import random
import pytest
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    random.Random({seed}).shuffle(items)
"""
ASKED = ("checks/", "-m", "ordered")


@pytest.fixture
def ordered(project):
    """A suite of three steps, defined in another order, beside a check that is none."""

    def write(**seen):
        (project.root / "seen.json").write_text(json.dumps({"one": True, "two": True, "three": True, **seen}))
        text = STEPS.format(path=str(project.root / "seen.json"), log=str(project.root / "log"))
        project.check(text, "checks/ordered/check_steps.py")
        return project

    return write


def order(project):
    return (project.root / "log").read_text().split()


@pytest.mark.parametrize("seed", range(4))
def test_steps_run_in_order_whatever_shuffles(ordered, seed):
    """The order of definition and a plugin that shuffles do not matter."""
    project = ordered()
    project.write("conftest.py", SHUFFLE.format(seed=seed))
    ran = project.run(*ASKED)
    assert ran.observation.verdict is Verdict.HEALTHY
    assert order(project) == ["1", "2", "3"]


@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist", "loadscope")])
def test_bad_step_ends_the_order(ordered, options):
    """Behind a bad step nothing is judged: skipped with the reason, never failed; what is no step is judged."""
    project = ordered(one=False, three=False)
    ran = project.run(*ASKED, *options)
    assert ran.exit_code == 1
    assert ran.observation.verdict is Verdict.UNHEALTHY
    assert ran.judged() == {
        "check_b_one": Judged.BAD,
        "check_d_two": Judged.SKIPPED,
        "check_a_three": Judged.SKIPPED,
        "check_c_free": Judged.GOOD,
    }
    assert ran.judgement("check_d_two").seen == "not reached: step 1: one is bad"
    assert order(project) == ["1"]


def test_step_that_was_not_seen_ends_the_order_too(ordered):
    """UNKNOWN is not good: what comes behind is not reached, and the verdict is UNKNOWN."""
    ran = ordered(two=None).run(*ASKED)
    assert ran.observation.verdict is Verdict.UNKNOWN
    assert ran.judged()["check_a_three"] is Judged.SKIPPED
    assert "step 2: two is not to be seen" in ran.judgement("check_a_three").seen


def test_probe_that_cannot_look_leaves_one_unknown(ordered):
    """Where the first step has no evidence, the others are not reached rather than unknown."""
    project = ordered()
    (project.root / "seen.json").unlink()
    ran = project.run(*ASKED, "-k", "not free")
    assert list(ran.judged().values()).count(Judged.UNKNOWN) == 1
    assert ran.observation.verdict is Verdict.UNKNOWN


def test_selected_steps_keep_their_order(ordered):
    """-k leaves steps out; the others run in order."""
    project = ordered()
    ran = project.run(*ASKED, "-k", "three or one")
    assert ran.exit_code == 0
    assert order(project) == ["1", "3"]


def test_step_without_a_number_is_a_mistake(project):
    """A mark that cannot order anything is told as what it is, and nothing is looked at."""
    project.check(
        """
        @pytest.mark.step("first")
        @finding("step.one")
        def check_one():
            "One."
        """,
        "checks/ordered/check_steps.py",
    )
    ran = project.run(*ASKED)
    assert ran.exit_code == 4
    assert "a step needs one number" in ran.output


def test_steps_are_counted_for_each_target(project):
    """A bad step ends the order of its own target only."""
    project.target("a", vars={"fine": False}).target("b", vars={"fine": True})
    project.check(
        """
        @probe(budget_s=5, needs="fine")
        def look(target: Target):
            return {"fine": target.fine}

        @pytest.mark.step(2)
        @finding("step.two")
        def check_two(look, target):
            "Two."

        @pytest.mark.step(1)
        @finding("step.one")
        def check_one(look, target):
            "One."
            assert look["fine"]
        """,
        "checks/ordered/check_steps.py",
    )
    ran = project.run(*ASKED)
    assert ran.judged("check_one") == {"a": Judged.BAD, "b": Judged.GOOD}
    assert ran.judged("check_two") == {"a": Judged.SKIPPED, "b": Judged.GOOD}
