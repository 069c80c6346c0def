"""What is known when an incident is opened by hand: from an observation that is fresh, and from what is deployed."""

import dataclasses
import json

import pytest
from incident_world import World, observation_of

from ops_core.errors import Refused
from ops_core.evidence import DeploymentEvidence, EvidenceRecord
from ops_core.incident import opening
from ops_core.incident.handling import Responses
from ops_core.incident.phases import Phase
from ops_core.incident.severity import Severity
from ops_core.incident.triage import known_now, look_now
from ops_core.observation.record import to_plain
from ops_core.verdict import Judged


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def observed(world, *judged, suite="service", deployed="", profile=None):
    """Leave the record of an observation."""
    found = observation_of(world.settings, suite, judged, world.clock, {})
    if deployed:
        seen = DeploymentEvidence(
            release=deployed,
            release_exists=True,
            release_good=None,
            config=None,
            config_exists=False,
            config_good=None,
        )
        record = EvidenceRecord(
            id="deployment[web]",
            probe="deployment",
            target="web",
            seen=True,
            kind="DeploymentEvidence",
            evidence=seen,
            reason="",
        )
        found = dataclasses.replace(found, evidence=(*found.evidence, record))
    if profile:
        found = dataclasses.replace(found, profile=profile)
    path = world.settings.reports_dir / suite / "latest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runbook": to_plain(found)}), encoding="utf-8")


def known(world):
    return known_now(world.settings, world.clock.now())


BAD = ("guard.open", "web", Judged.BAD)


def test_a_fresh_observation_says_what_is_affected_and_since_when(world):
    """With the evidence that it rests on; the version as it was seen in force."""
    observed(world, BAD, deployed="1.4.2")
    found = known(world)
    assert found.affected == ("web",)
    assert found.version == "web 1.4.2"
    assert found.started_at is not None
    assert found.cited == {
        "affected": ("O1:guard[web]",),
        "started_at": ("O1",),
        "version": ("O1:deployment[web]",),
    }


def test_without_the_evidence_the_link_says_the_version(world, tmp_path):
    """The release that is in force now; where no link leads anywhere, nothing is known."""
    observed(world, BAD)
    assert known(world).version == ""
    (tmp_path / "1.4.1").mkdir()
    link = tmp_path / "release"
    link.symlink_to("1.4.1")
    world.change_target(release_link=link)
    assert known(world).version == "web 1.4.1"
    assert "version" not in known(world).cited
    link.unlink()
    assert known(world).version == ""


def test_what_says_nothing_about_now_is_not_used(world):
    """Too old, healthy, of another profile, or damaged: nothing is known, and it is asked for."""
    assert known(world).look is None
    observed(world, ("guard.open", "web", Judged.GOOD))
    assert known(world).look is None
    observed(world, BAD, profile="other")
    assert known(world).look is None
    observed(world, BAD)
    assert known(world).look is not None
    world.clock.ahead_s = 600
    assert known(world).look is None
    world.clock.ahead_s = 0
    (world.settings.reports_dir / "service" / "latest.json").write_text("{", encoding="utf-8")
    assert known(world).affected == ()


def test_a_look_that_is_kept_answers_what_it_can(world):
    """Good after one that was not: recovery is verified, with figures and time. The same one is not kept twice."""
    observed(world, ("ready.not_ok", "web", Judged.BAD))
    first = known(world)
    one = opening.open_incident(
        world.settings,
        world.plane,
        world.clock,
        title="t",
        severity=Severity.SEV2,
        scenario=None,
        source="hand",
        key="",
        affected=first.affected,
        version="1",
        actor="kim",
        look=first.look,
        cited=first.cited,
    ).id
    people = Responses(world.plane, world.clock, "kim")

    def kept():
        return people.look(one, lambda label: look_now(world.settings, world.clock.now(), label))

    with pytest.raises(Refused, match="kept already"):
        kept()
    world.clock.ahead_s = 60
    observed(world, ("ready.not_ok", "web", Judged.GOOD), ("metrics.x", "web", Judged.GOOD))
    response = kept()
    (verified,) = response.answers("verified")
    assert verified.by == "evidence"
    assert verified.cited == ("O2", "O2:ready[web]", "O2:metrics[web]")
    assert verified.text["en"].startswith("HEALTHY")
    assert [item.name for item in response.open_items(Phase.DIAGNOSE)] == ["trace"]
    world.clock.ahead_s = 120
    observed(world, ("ready.not_ok", "web", Judged.BAD))
    assert not kept().answers("verified")
    world.clock.ahead_s = 1000
    with pytest.raises(Refused, match="nobody has looked"):
        kept()


def test_the_newest_of_the_suites_counts(world):
    """Whichever suite looked last."""
    observed(world, BAD, suite="observe")
    world.clock.ahead_s = 60
    observed(world, ("ready.not_ok", "web", Judged.BAD))
    assert [bad.code for bad in known(world).look.bad] == ["ready.not_ok"]
