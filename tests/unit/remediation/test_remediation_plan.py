"""Plans: plain data whose digest names everything in it, and that is refused where it is not what we would run."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.errors import RecordError
from ops_core.remediation.plan import (
    CommandSays,
    LinkPointsTo,
    Plan,
    PlanInvalid,
    ProcessRunning,
    ProcessStopped,
    Step,
    shown,
)

words = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=20)
texts = st.text(min_size=0, max_size=20).filter(lambda text: "\0" not in text)
pids = st.none() | st.integers(1, 4_194_304)
argvs = st.lists(texts, max_size=4).flatmap(lambda rest: words.map(lambda first: (first, *rest)))
outcomes = st.one_of(
    st.builds(LinkPointsTo, link=texts, destination=texts),
    st.builds(ProcessRunning, conf=texts, name=texts, not_pid=pids),
    st.builds(ProcessStopped, conf=texts, name=texts, pid=pids),
    st.builds(CommandSays, argv=argvs, yes=st.booleans()),
)
printable = st.text(st.sampled_from("abc 가나"), min_size=1, max_size=20)
steps = st.builds(
    Step,
    name=printable,
    argv=argvs,
    timeout_s=st.floats(0.001, 600),
    outcome=outcomes,
    repeatable=st.booleans(),
)
plans = st.builds(
    Plan,
    remediation=st.just("restart_service"),
    target=st.just("core-api"),
    findings=st.lists(st.sampled_from(["guard.open", "health.slow"]), max_size=2).map(tuple),
    steps=st.lists(steps, min_size=1, max_size=3).map(tuple),
    undo=st.lists(steps, min_size=1, max_size=3).map(tuple),
    summary=st.fixed_dictionaries({"en": printable}, optional={"ko": printable}),
    no_undo=st.just({}),
)
LINK = LinkPointsTo(link="/r/current", destination="v1")
STEP = Step(name="swap", argv=("mv", "a", "b"), timeout_s=5.0, outcome=LINK)


def plan(**changes):
    fields = {
        "remediation": "rollback_release",
        "target": "core-api",
        "findings": ("health.not_ok",),
        "steps": (STEP,),
        "undo": (STEP,),
        "summary": {"en": "roll back"},
    }
    return Plan(**{**fields, **changes})


@given(plans)
def test_a_plan_survives_being_stored(made):
    """What `to_json` wrote is JSON, and `from_json` makes an equal plan with the same digest of it."""
    stored = json.loads(json.dumps(made.to_json()))
    again = Plan.from_json(stored)
    assert again == made
    assert dict(again.summary) == dict(made.summary)
    assert again.digest == made.digest == stored["digest"]


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "dashboard"},
        {"remediation": "restart_service"},
        {"findings": ("guard.open",)},
        {"findings": ()},
        {"summary": {"en": "roll back", "ko": "롤백"}},
        {"undo": (), "no_undo": {"en": "none"}},
        {"undo": (STEP, STEP)},
        {"steps": (STEP, STEP)},
        {"steps": (dataclasses.replace(STEP, argv=("mv", "a b")),)},
        {"steps": (dataclasses.replace(STEP, timeout_s=6.0),)},
        {"steps": (dataclasses.replace(STEP, name="other"),)},
        {"steps": (dataclasses.replace(STEP, repeatable=True),)},
        {"steps": (dataclasses.replace(STEP, outcome=LinkPointsTo(link="/r/current", destination="v2")),)},
        {"steps": (dataclasses.replace(STEP, outcome=ProcessStopped(conf="/c", name="core", pid=7)),)},
    ],
)
def test_the_digest_names_everything_in_the_plan(changes):
    """Whatever is changed, the digest is another one: an approval of this plan approves no other."""
    assert plan(**changes).digest != plan().digest


def test_the_digest_is_stable():
    """The digest is a contract: approvals given to an older version of the program still name the plan."""
    assert plan().digest == "d8cc62eceb7c44fa2d87dcd84c295d15598151d3ae433e8afb5d10c3ea7fb999"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["steps"][0]["argv"].append("x"), "the plan is not the one that its digest names"),
        (lambda raw: raw.update(schema=2), "the plan has schema 2"),
        (lambda raw: raw.pop("undo"), "the key 'undo' is missing"),
        (lambda raw: raw.update(extra=1), "the key 'extra' is unknown"),
        (lambda raw: raw["steps"][0].update(cwd="x"), "the key 'cwd' is unknown"),
        (lambda raw: raw["steps"][0].update(argv="mv a b"), "expected a list, found 'mv a b'"),
        (lambda raw: raw["steps"][0].update(argv=[1]), "expected text, found 1"),
        (lambda raw: raw["steps"][0].update(repeatable=1), "a value is of another type"),
        (lambda raw: raw["steps"][0].update(timeout_s="5"), "steps, step 1: timeout_s has to be more than 0"),
        (lambda raw: raw["steps"][0]["outcome"].update(kind="magic"), "not an outcome"),
        (lambda raw: raw["steps"][0]["outcome"].update(link=None), "expected text, found None"),
        (lambda raw: raw.update(steps=[]), "steps has to be a tuple of 1 to 20 steps"),
        (lambda raw: raw.update(steps={}), "expected a list, found {}"),
        (lambda raw: raw.update(summary=["x"]), "expected an object, found ['x']"),
    ],
)
def test_a_stored_plan_that_is_not_ours_is_refused(change, message):
    """A record that was edited, cut or made by something else is never half understood."""
    raw = plan().to_json()
    change(raw)
    with pytest.raises(RecordError, match="^" + message.replace("[", r"\[").replace("{", r"\{")):
        Plan.from_json(raw)
    with pytest.raises(RecordError, match=r"^expected an object"):
        Plan.from_json([raw])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "core api"}, "the target 'core api' is not a name"),
        ({"remediation": None}, "the remediation None is not a name"),
        ({"findings": ["guard.open"]}, "findings is not a tuple of finding codes"),
        ({"findings": ("Guard",)}, "findings is not a tuple of finding codes"),
        ({"steps": ()}, "steps has to be a tuple of 1 to 20 steps"),
        ({"steps": [STEP]}, "steps has to be a tuple of 1 to 20 steps"),
        ({"steps": ("mv a b",)}, "steps, step 1: 'mv a b' is not a step"),
        ({"steps": (dataclasses.replace(STEP, argv="mv a b"),)}, "its argv has to be a tuple of 1 to 64 texts"),
        ({"steps": (dataclasses.replace(STEP, argv=()),)}, "its argv has to be a tuple of 1 to 64 texts"),
        ({"steps": (dataclasses.replace(STEP, argv=("",)),)}, "its argv names no program"),
        ({"steps": (dataclasses.replace(STEP, argv=("mv", "a\0b")),)}, "is not a text that can be passed on"),
        ({"steps": (dataclasses.replace(STEP, timeout_s=0),)}, "timeout_s has to be more than 0, at most 600 seconds"),
        ({"steps": (dataclasses.replace(STEP, timeout_s=float("nan")),)}, "timeout_s has to be more than 0"),
        ({"steps": (dataclasses.replace(STEP, timeout_s=True),)}, "timeout_s has to be more than 0"),
        ({"steps": (dataclasses.replace(STEP, name="a\nb"),)}, "its name has to be 1 to 120 printable characters"),
        ({"steps": (dataclasses.replace(STEP, outcome="done"),)}, "'done' is not an outcome"),
        ({"steps": (dataclasses.replace(STEP, repeatable=1),)}, "repeatable has to be True or False"),
        ({"steps": (dataclasses.replace(STEP, outcome=CommandSays(argv=(), yes=True)),)}, "its argv has to be"),
        ({"undo": ()}, "no_undo: the text in English is missing"),
        ({"no_undo": {"en": "none"}}, "a plan with a way back does not say why there is none"),
        ({"summary": {}}, "summary: the text in English is missing"),
        ({"summary": {"fr": "x", "en": "x"}}, "summary: 'fr' is not a language"),
        ({"summary": {"en": "a\nb"}}, "summary: the text in 'en' has to be 1 to 1000 printable characters"),
        ({"summary": "roll back"}, "summary: has to be a text per language"),
    ],
)
def test_what_is_not_a_plan_is_told_to_its_planner(changes, message):
    """A planner is somebody's own code: what it gets wrong is said, with the plan that it concerns."""
    with pytest.raises(PlanInvalid) as caught:
        plan(**changes)
    assert message in caught.value.what
    assert caught.value.where.startswith("plan ")


def test_an_argument_list_is_shown_as_one_would_type_it():
    """Words with blanks are quoted, so that what is shown can be copied."""
    assert shown(("mv", "a b", "c")) == "mv 'a b' c"
