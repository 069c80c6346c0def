"""Days of split operations, as they are typed: a producer's checkout, an operator's, a bare repository between them.

A day that goes well, the next one, a day without a push, one under the emergency stop, one without the server, and one on
which something else was pushed; each through the script that the operator's scheduler calls, with its exit code.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.handing import Host, Hosts
from tests.operating import Served, Site
from tests.support import ROOT

pytestmark = pytest.mark.slow
NOBODY = "http://127.0.0.1:9"
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


def operator(hosts: Hosts) -> Host:
    """An operator's host with the scripts in it."""
    host = hosts.operator(more='decision_file = "recon_summary.json"')
    shutil.copytree(ROOT / "deploy", host.root / "deploy")
    return host


def typed(host: Host, url: str, code: int) -> dict[str, Any]:
    """What the operator types, with a server at that address; what it tells, once it has ended with that code."""
    toml = (host.root / "ops.toml").read_text(encoding="utf-8")
    host.write(f'{toml}\n[profiles.default.split]\nbackend_url = "{url}"\n')
    done = subprocess.run(
        ["bash", "deploy/oci/daily_ops.sh", "--json"],
        cwd=host.root,
        env={**Site(host.root).environ, "OPS_PROGRAM": str(Path(sys.executable).with_name("ops"))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    host.write(toml)
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def the_day(host: Host, served: Served, code: int = 0) -> dict[str, Any]:
    """A day with the server there; and the latest live cycle and summary."""
    told = typed(host, served.url, code)
    told["live"] = served.get("/api/live/cycle/latest")
    told["summary"] = served.get("/api/ops/summary/latest")
    return told


def states(told: dict[str, Any]) -> list[str]:
    return [one["state"] for one in told["steps"]]


def contents(host: Host) -> dict[str, bytes]:
    """All that lies in the bundle in force, by its path."""
    here = host.bundles / "current"
    return {str(one.relative_to(here)): one.read_bytes() for one in sorted(here.rglob("*")) if one.is_file()}


def test_days_that_go_well_one_without_a_push_one_that_is_stopped_and_one_without_a_server(hosts: Hosts) -> None:
    """Results arrive and are decided on; without new ones the day goes on and warns; what is in force stays in any case."""
    oci = operator(hosts)
    with Site(oci.root).serving() as served:
        for decision in ("HOLD", "REBALANCE"):
            published = publish(hosts, decision)
            assert published["outcome"] == "PUBLISHED"
            told = the_day(oci, served)
            assert oci.whole() == published["bundle_id"]
            assert told["verdict"] in GOOD
            assert set(states(told)) <= {"OK", "WARN"}
            assert (told["live"]["result"], told["live"]["decision"]) == ("OK", decision)
            assert told["live"]["push"]["delivery_actual"] == "CONSOLE"
            assert "BUNDLE_STALE" not in [risk["code"] for risk in told["summary"]["top_risks"]]
    # What a bundle is worth has an end; that it comes within the test is configured.
    toml = (oci.root / "ops.toml").read_text(encoding="utf-8")
    oci.write(toml.replace("fresh_hours = 26", "fresh_hours = 0.0001"))
    with Site(oci.root).serving() as served:
        told = the_day(oci, served)
    assert told["verdict"] == "WARN"
    assert "BUNDLE_STALE" in [risk["code"] for risk in told["summary"]["top_risks"]]
    assert (told["live"]["result"], told["live"]["push"]["delivery_actual"]) == ("WARN", "NONE")
    assert oci.whole() == published["bundle_id"]
    before = contents(oci)
    oci.plane.engage("rehearsal")
    told = typed(oci, NOBODY, 2)
    assert (told["verdict"], states(told)) == ("BLOCKED", ["BLOCKED", *["not reached"] * 4])
    oci.plane.release("rehearsal over")
    told = typed(oci, NOBODY, 3)
    assert (told["verdict"], states(told)[1:]) == ("FAILED", ["FAILED", *["not reached"] * 3])
    assert states(told)[0] in {"OK", "WARN"}
    assert (oci.whole(), contents(oci)) == (published["bundle_id"], before)


def test_a_corrupt_bundle_fails_the_day_and_the_old_one_stays(hosts: Hosts) -> None:
    """A byte changed by whoever may push: the first step fails, nothing behind it is reached, what was in force stays."""
    oci = operator(hosts)
    good = publish(hosts, "HOLD")["bundle_id"]

    def corrupt(folder: Path) -> None:
        file = folder / "files" / "recon_summary.json"
        file.write_bytes(file.read_bytes().replace(b"HOLD", b"SELL"))

    with Site(oci.root).serving() as served:
        assert the_day(oci, served)["verdict"] in GOOD
        before = contents(oci)
        hosts.tampered(corrupt)
        told = the_day(oci, served, 3)
        assert states(told) == ["FAILED", *["not reached"] * 4]
        assert told["verdict"] == "FAILED"
        assert (oci.whole(), contents(oci)) == (good, before)
        # Once the producer publishes again, the next day is a day like every other.
        better = publish(hosts, "REBALANCE")["bundle_id"]
        assert the_day(oci, served)["verdict"] in GOOD
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
