"""Days of split operations, with the commands alone: a producer's checkout, an operator's, a bare repository between them.

A day that goes well, the next one, a day without a push, and one on which something else was pushed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.handing import Host, Hosts
from tests.operating import Site

pytestmark = pytest.mark.slow
GOOD = ("COMPLETED", "WARN")  # of both the exit code is 0
STEPS = """
[[profiles.default.handoff.steps]]
name = "backtest"
argv = [{python}, "-c", "open('work', 'w').write('done')"]

[[profiles.default.handoff.steps]]
name = "reports"
argv = [{python}, "report.py"]
"""
# What the producer's own program is like: it needs the step before it, and says something else every day.
REPORT = """\
import json, pathlib
assert pathlib.Path('work').read_text() == 'done'
day = json.loads(pathlib.Path('day.json').read_text())
pathlib.Path('results/recon_summary.json').write_text(json.dumps({'schema': 'recon_summary_v1', 'decision': day}))
"""


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """A producer with two real steps."""
    made = Hosts.at_present(tmp_path / "hosts")
    pc = made.producer("pc", steps=STEPS.format(python=json.dumps(sys.executable)))
    (pc.root / "report.py").write_text(REPORT, encoding="utf-8")
    return made


def publish(hosts: Hosts, decision: str) -> dict[str, Any]:
    """What the producer types."""
    (hosts.pc.root / "day.json").write_text(json.dumps(decision), encoding="utf-8")
    return Site(hosts.pc.root).ops("handoff", "publish", "--json").json()


def the_day(host: Host, *, code: int = 0, **changed: Any) -> dict[str, Any]:
    """What the operator types, with a server as it is configured that day; and the latest live cycle and summary."""
    toml = (host.root / "ops.toml").read_text(encoding="utf-8")
    for name, value in changed.items():
        toml = toml.replace(f"{name} = 26", f"{name} = {value}")
    host.write(toml)
    site = Site(host.root)
    with site.serving() as served:
        host.write(f'{toml}\n[profiles.default.split]\nbackend_url = "{served.url}"\n')
        told = site.ops("daily", "--split", "--json", code=code).json()
        told["live"] = served.get("/api/live/cycle/latest")
        told["summary"] = served.get("/api/ops/summary/latest")
    host.write(toml)
    return told


def states(told: dict[str, Any]) -> list[str]:
    return [one["state"] for one in told["steps"]]


def contents(host: Host) -> dict[str, bytes]:
    """All that lies in the bundle in force, by its path."""
    here = host.bundles / "current"
    return {str(one.relative_to(here)): one.read_bytes() for one in sorted(here.rglob("*")) if one.is_file()}


def test_days_that_go_well_and_one_without_a_push(hosts: Hosts) -> None:
    """Each day's results arrive and are decided on; without new ones the old are told to be stale, and the day goes on."""
    oci = hosts.operator(more='decision_file = "recon_summary.json"')
    for decision in ("HOLD", "REBALANCE"):
        published = publish(hosts, decision)
        assert published["outcome"] == "PUBLISHED"
        told = the_day(oci)
        assert oci.whole() == published["bundle_id"]
        assert told["verdict"] in GOOD
        assert set(states(told)) <= {"OK", "WARN"}
        assert (told["live"]["result"], told["live"]["decision"]) == ("OK", decision)
        assert told["live"]["push"]["delivery_actual"] == "CONSOLE"
        assert "BUNDLE_STALE" not in [risk["code"] for risk in told["summary"]["top_risks"]]
    # What a bundle is worth has an end; that it comes within the test is configured.
    told = the_day(oci, fresh_hours="0.0001")
    assert told["verdict"] == "WARN"
    assert "BUNDLE_STALE" in [risk["code"] for risk in told["summary"]["top_risks"]]
    assert (told["live"]["result"], told["live"]["push"]["delivery_actual"]) == ("WARN", "NONE")
    assert oci.in_force().bundle_id == published["bundle_id"]


def test_a_corrupt_bundle_fails_the_day_and_the_old_one_stays(hosts: Hosts) -> None:
    """A byte changed by whoever may push: the first step fails, nothing behind it is reached, what was in force stays."""
    oci = hosts.operator(more='decision_file = "recon_summary.json"')
    good = publish(hosts, "HOLD")["bundle_id"]
    assert the_day(oci)["verdict"] in GOOD
    before = contents(oci)

    def corrupt(folder: Path) -> None:
        file = folder / "files" / "recon_summary.json"
        file.write_bytes(file.read_bytes().replace(b"HOLD", b"SELL"))

    hosts.tampered(corrupt)
    told = the_day(oci, code=3)
    assert states(told) == ["FAILED", *["not reached"] * 4]
    assert told["verdict"] == "FAILED"
    assert (oci.whole(), contents(oci)) == (good, before)
    # Once the producer publishes again, the next day is a day like every other.
    better = publish(hosts, "REBALANCE")["bundle_id"]
    assert the_day(oci)["verdict"] in GOOD
    assert oci.whole() == better


def test_a_failed_step_hands_nothing_over(hosts: Hosts) -> None:
    """The last results stay what they are on both sides, and the command says which step it was."""
    oci = hosts.operator()
    publish(hosts, "HOLD")
    tip = hosts.tip()
    (hosts.pc.root / "report.py").write_text("raise SystemExit('no prices today')", encoding="utf-8")
    told = Site(hosts.pc.root).ops("handoff", "publish", code=3)
    assert "reports" in told.out + told.err
    assert hosts.tip() == tip
    assert oci.pull()["outcome"] == "INSTALLED"
