"""What fails because of something else: it is waited for, steadied where that stays away, and judged on its own later."""

import dataclasses

import pytest
from incident_world import World, look, nodeid, observation_of, render_all

from ops_core.clock import SystemClock
from ops_core.incident.asked import Asked, asked_again, codes_of
from ops_core.verdict import Judged

ROWS = """
[[row]]
id = "process-not-running"
when = ["process.not_running"]
severity = "critical"
category = "availability"
remediation = "restart_service"
for_dependents = "enter_degraded_mode"
cause.en = "it does not run"
action.en = "start it"
"""
DECISION = {
    "target": "db",
    "findings": ["process.not_running"],
    "attributed": ["health.slow"],
    "dependents": [{"target": "web", "findings": ["health.not_ok"], "evidence": []}],
}


@pytest.fixture
def world(tmp_path):
    """A service, and the database that it depends on."""
    world = World(tmp_path, names=("db", "web"))
    world.permit()
    db, web = world.settings.targets
    targets = (db, dataclasses.replace(web, depends_on=("db",)))
    world.settings = dataclasses.replace(world.settings, targets=targets)
    return world


def test_the_cause_is_treated_first_and_what_is_left_is_looked_at_anew(world):
    """The database is restarted and nothing else; when it is well and the service is not, the service is its own cause."""
    world.crash("db")
    world.crash("web")
    outcome = world.run()
    assert outcome.outcome == "recovered"
    assert (world.effects("db"), world.effects("web")) == (["start"], ["start"])
    decided = [
        event.data["decisions"] for event in world.incidents.events(outcome.incident_id) if event.kind == "decided"
    ]
    assert [[one["target"] for one in round_] for round_ in decided] == [["db"], ["web"]]
    assert [entry.params for entry in outcome.view.timeline if entry.kind == "attributed"] == [
        {"target": "db", "codes": "web process.not_running"}
    ]
    for text in render_all(outcome.view)[:4]:
        assert "web process" in text.replace("\\", "")
    assert "because of it: web process.not_running" in outcome.view.cause["en"]


def test_what_comes_back_with_its_cause_is_touched_by_nobody(world):
    """Verification asks about the service as well, and the incident is over when it answers."""
    db, web = ("process.not_running", "db"), ("process.not_running", "web")
    world.script = [
        [(*db, Judged.BAD), (*web, Judged.BAD)],
        [(*db, Judged.GOOD), (*web, Judged.GOOD)],
        [(*db, Judged.GOOD), (*web, Judged.GOOD)],
    ]
    world.crash("db")
    outcome = world.run()
    assert outcome.outcome == "recovered"
    assert world.effects("web") == []


def test_what_cannot_come_from_below_is_decided_beside_it(world):
    """An open guard of the service is not the database's fault, and is closed whatever the database does."""
    world.deploy("web")
    world.crash("db")
    outcome = world.run()
    assert outcome.outcome == "recovered"
    assert world.in_force("web") == "1.env"
    assert "start" in world.effects("db")


def test_where_the_cause_stays_away_its_dependents_are_steadied(world):
    """The database cannot be started: the service goes into its degraded mode, and a person is called."""
    (world.root / "remediations").mkdir()
    (world.root / "remediations" / "decisions.toml").write_text(ROWS)
    world.change_target(start_argv=("false",))
    world.crash("db")
    world.crash("web")
    outcome = world.run()
    assert outcome.outcome == "escalated"
    assert world.in_force("web") == "1.env.ops-degraded"
    attempts = [
        (event.data["target"], event.data["remediation"])
        for event in world.incidents.events(outcome.incident_id)
        if event.kind == "planned"
    ]
    assert attempts[:2] == [("db", "restart_service"), ("web", "enter_degraded_mode")]


def test_a_dependent_of_a_healthy_target_is_decided_on_its_own(world):
    """Nothing is seen below it, so nothing is attributed."""
    world.crash("web")
    assert world.run().outcome == "recovered"
    assert (world.effects("db"), world.effects("web")) == ([], ["start"])


def test_what_a_remediation_is_asked_about():
    """Its own target's codes, without what it leaves on purpose; the dependents' beside them, or theirs alone."""
    seen = look(
        bad=[
            ("process.not_running", "db"),
            ("health.slow", "db"),
            ("guard.open", "db"),
            ("health.not_ok", "web"),
            ("guard.open", "web"),
        ]
    )
    asked = asked_again(seen, DECISION, "db", ())
    assert asked.own == (nodeid("process.not_running", "db"), nodeid("health.slow", "db"))
    assert asked.others == (nodeid("health.not_ok", "web"),)
    assert asked_again(seen, DECISION, "db", ("health.slow",)).own == (nodeid("process.not_running", "db"),)
    assert asked_again(seen, DECISION, "web", ()) == Asked(own=(nodeid("health.not_ok", "web"),))
    assert asked_again(seen, DECISION, "web", ("health.not_ok",)) == Asked(
        own=(), target="web", known=frozenset({"health.not_ok", "guard.open"})
    )
    assert codes_of(DECISION, "db") == ("process.not_running", "health.slow")
    assert codes_of(DECISION, "web") == ("health.not_ok",)


@pytest.mark.parametrize("how", [Judged.BAD, Judged.UNKNOWN])
def test_what_answers_nothing_that_was_found_has_to_make_nothing_worse(world, how):
    """All that was found stays on purpose: what was good about the target has to be good still, others do not matter."""
    asked = asked_again(
        look(bad=[("health.not_ok", "web"), ("guard.open", "web")]), DECISION, "web", ("health.not_ok",)
    )
    before = [("health.not_ok", "web", how), ("guard.open", "web", how), ("process.not_running", "db", how)]

    def seen(*judged):
        return observation_of(world.settings, "observe", judged, SystemClock(), {})

    assert asked.nodeids == ()
    assert asked.helped(seen(*before, ("process.not_running", "web", Judged.GOOD)))
    assert not asked.helped(seen(*before, ("process.not_running", "web", how)))


@pytest.mark.parametrize(("after", "good"), [(Judged.GOOD, True), (Judged.BAD, False)])
def test_a_mode_that_is_entered_is_looked_at(world, after, good):
    """What was found stays on purpose, but what runs has to run on: else the mode is taken back."""
    (world.root / "remediations").mkdir()
    (world.root / "remediations" / "decisions.toml").write_text(ROWS)
    world.change_target(start_argv=("false",))
    down, left = ("process.not_running", "db", Judged.BAD), ("ready.degraded", "web", Judged.BAD)
    running = ("health.not_ok", "web", Judged.GOOD)
    away = [down, left, running]
    # Found; the database is restarted in vain, its dependent put into the mode, and then it is so for as long as anybody looks.
    world.script = [away, *[[down, left, ("health.not_ok", "web", after)]] * 100]
    world.crash("db")
    outcome = world.run()
    events = world.incidents.events(outcome.incident_id)
    number = next(e.data["attempt"] for e in events if e.kind == "planned" and e.data["target"] == "web")
    assert [e.data["good"] for e in events if e.kind == "verified" and e.data["attempt"] == number] == [good]
    assert ("undone" in [e.kind for e in events if e.data.get("attempt") == number]) is not good


@pytest.mark.parametrize("how", [Judged.BAD, Judged.UNKNOWN])
def test_a_cure_is_one_although_a_dependent_is_still_bad(world, how):
    """What has to be good is the target itself; not seen is not good."""
    own, other = ("process.not_running", "db"), ("process.not_running", "web")
    asked = Asked(own=(nodeid(*own),), others=(nodeid(*other),))

    def seen(*judged):
        return observation_of(world.settings, "observe", judged, SystemClock(), {})

    assert asked.helped(seen((*own, Judged.GOOD), (*other, Judged.GOOD)))
    assert asked.helped(seen((*own, Judged.GOOD), (*other, how)))
    assert not asked.helped(seen((*own, how), (*other, Judged.GOOD)))
    assert not asked.helped(seen((*other, Judged.BAD)))
