"""A summary of an operator's host with a real producer behind it: what of the hand-off is a risk, and when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ops_core.control.opening import complete
from ops_core.live.run import run
from ops_core.summary.facts import takes_bundles
from ops_core.summary.summary import regenerate
from tests.handing import Host, Hosts

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
# What these hosts have beside the hand-off: nobody ever looked at their one target.
BESIDE = {"OBSERVATION_MISSING", "SLO_UNKNOWN"}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """A producer that has published twice."""
    found = Hosts(tmp_path_factory.mktemp("hosts"), NOW)
    found.published(decision="BUY")
    return found


def summary(host: Host) -> tuple[str, dict[str, dict[str, object]]]:
    """The status now, and the risks of the hand-off by their codes."""
    complete(host.plane, host.settings)
    made = regenerate(host.settings, host.plane, host.clock)
    return made["overall_status"], {one["code"]: one for one in made["top_risks"] if one["code"] not in BESIDE}


def test_day_of_an_operator(hosts: Hosts) -> None:
    """Nothing in force, then a day that was done, then one on which nobody published: FAIL, WARN of others, WARN."""
    host = hosts.operator("oci1")
    status, risks = summary(host)
    assert (status, set(risks)) == ("FAIL", {"NO_BUNDLE", "LIVE_CYCLE_NONE"})
    host.pull()
    run(host.settings, host.plane, show=lambda _text: "")
    assert summary(host) == ("WARN", {})
    host.wait(27)
    status, risks = summary(host)
    assert (status, set(risks)) == ("WARN", {"BUNDLE_STALE", "CYCLE_MISSED"})
    assert risks["BUNDLE_STALE"]["evidence"] == [f"bundle/{host.whole()}"]
    assert "27.0 h ago" in str(risks["BUNDLE_STALE"]["what"])
    assert "slot 2026-12-01T09:05+09:00[Asia/Seoul]" in list(risks["CYCLE_MISSED"]["evidence"])  # type: ignore[call-overload] # a list


def test_changed_refused_and_rolled_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What somebody pushed is refused, what is gone back to by hand is said, and what was changed here is worst."""
    hosts = Hosts(tmp_path_factory.mktemp("others"), NOW)
    hosts.published(decision="BUY")
    host = hosts.operator("oci1")
    host.pull()
    first = host.whole()
    hosts.published(decision="SELL")
    host.pull()
    run(host.settings, host.plane, show=lambda _text: "")
    assert summary(host) == ("WARN", {})
    host.rollback()
    status, risks = summary(host)
    assert (status, set(risks)) == ("WARN", {"BUNDLE_ROLLED_BACK"})
    assert risks["BUNDLE_ROLLED_BACK"]["evidence"] == [f"bundle/{first}"]
    held = host.pull()
    status, risks = summary(host)
    assert (status, risks["BUNDLE_REFUSED"]["severity"]) == ("WARN", "medium")
    assert risks["BUNDLE_REFUSED"]["evidence"] == [f"handoff/{held['run_id']}"]
    hosts.tampered(lambda folder: (folder / "manifest.json").write_text("{}", encoding="utf-8"))
    host.pull()
    status, risks = summary(host)
    assert (status, risks["BUNDLE_REFUSED"]["severity"]) == ("FAIL", "high")
    (there,) = (host.bundles / "current").resolve().glob("files/*.json")
    there.chmod(0o600)
    there.write_text("{}", encoding="utf-8")
    status, risks = summary(host)
    assert (status, risks["BUNDLE_TAMPERED"]["severity"]) == ("FAIL", "critical")


def test_remote_that_is_away_is_told(hosts: Hosts) -> None:
    """The pull failed: WARN, and what is in force stays what it is."""
    host = hosts.operator("oci2")
    host.pull()
    run(host.settings, host.plane, show=lambda _text: "")
    from tests.handing import git

    git(host.checkout, "remote", "set-url", "origin", str(hosts.root / "nowhere.git"))
    assert host.pull()["outcome"] == "FAILED"
    status, risks = summary(host)
    assert (status, set(risks)) == ("WARN", {"PULL_FAILED"})


def test_producer_takes_no_bundles(hosts: Hosts) -> None:
    """A host takes bundles if it names producers and is not one itself."""
    assert not takes_bundles(hosts.pc.settings)
    host = hosts.operator("oci3", more='decision_file = "x.json"')
    assert takes_bundles(host.settings)
    text = (host.root / "ops.toml").read_text(encoding="utf-8")
    host.write(text.replace('control_dir = "control"', 'control_dir = "control"\nrole = "producer"'))
    assert not takes_bundles(host.settings)
