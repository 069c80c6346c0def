"""The lines of the runbook about split operations, typed as they stand: real curl, real scripts, a real server.

They are literals here: what a person has in front of them is what has to work.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.handing import Host, Hosts
from tests.operating import Served, Site
from tests.support import need_program

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
BASE = "http://127.0.0.1:8000"

DAILY = """\
bash deploy/oci/daily_ops.sh
echo "exit=$?"
"""
SCHEDULER = "curl -s http://127.0.0.1:8000/api/ops/scheduler/latest | head"
SUMMARY_HEAD = "curl -s http://127.0.0.1:8000/api/ops/summary/latest | head"
HEALTH = "curl -s http://127.0.0.1:8000/api/ops/health"
CHECK_LIVE = """\
bash deploy/oci/check_live_cycle.sh
echo "exit=$?"
"""
LIVE_RUN = 'curl -X POST "http://127.0.0.1:8000/api/live/cycle/run?confirm=true"'
LIVE_LATEST = """\
curl -s http://127.0.0.1:8000/api/live/cycle/latest | python3 -c 'import json,sys; d=json.load(sys.stdin); r=d.get("rows",[{}])[0]; print("result=",r.get("result"),"decision=",r.get("decision"),"snapshot_ref=",r.get("snapshot_ref"))'
"""
LIVE_DELIVERY = """\
curl -s http://127.0.0.1:8000/api/live/cycle/latest | python3 -c 'import json,sys; d=json.load(sys.stdin); r=d.get("rows",[{}])[0]; print("delivery=",(r.get("push") or {}).get("delivery_actual"))'
"""
CHECK_SUMMARY = """\
bash deploy/oci/check_ops_summary.sh
echo "exit=$?"
"""
SUMMARY_RUN = 'curl -X POST "http://127.0.0.1:8000/api/ops/summary/regenerate?confirm=true"'
SUMMARY_LATEST = """\
curl -s http://127.0.0.1:8000/api/ops/summary/latest | python3 -c 'import json,sys; d=json.load(sys.stdin); row=(d.get("rows") or [d])[0]; print("overall_status=",row.get("overall_status")); print("top_risks=",[r.get("code") for r in row.get("top_risks",[])])'
"""
# The recommended pattern of the same section, with the path of the resolver.
RESOLVE = 'REF="{ref}"; curl -s -G --data-urlencode "ref=${{REF}}" http://127.0.0.1:8000/api/snapshots/resolve'


@dataclass(frozen=True, kw_only=True)
class Operators:
    """The operator's host with its server, and the hosts around it."""

    hosts: Hosts
    host: Host
    served: Served

    def typed(self, lines: str) -> str:
        """What the lines print on the operator's host, their port replaced by the server's."""
        need_program("curl")
        environ = {**self.served.site.environ, "OPS_PROGRAM": str(Path(sys.executable).with_name("ops"))}
        environ["PATH"] = os.environ["PATH"]
        done = subprocess.run(
            ["bash", "-c", lines.replace(BASE, self.served.url)],
            cwd=self.host.root,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def audited(self) -> int:
        """How many acts are recorded."""
        return len(self.host.plane.audit_rows())


@pytest.fixture(scope="module")
def oci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """Hosts with one bundle published, the operator's served."""
    hosts = Hosts.at_present(tmp_path_factory.mktemp("split") / "hosts")
    hosts.published(decision="HOLD")
    host = hosts.operator(more='decision_file = "recon_summary.json"')
    shutil.copytree(ROOT / "deploy", host.root / "deploy")
    with Site(host.root).serving() as served:
        toml = (host.root / "ops.toml").read_text(encoding="utf-8")
        host.write(f'{toml}\n[profiles.default.split]\nbackend_url = "{served.url}"\n')
        yield Operators(hosts=hosts, host=host, served=served)


def test_the_lines_of_a_day_as_they_stand(oci: Operators) -> None:
    """From a host on which nothing ran yet, through a day and the same day again, to an emergency stop."""
    before_anything(oci)
    first = the_day(oci)
    the_day_again(oci, first)
    by_hand(oci)
    stopped(oci)


def before_anything(oci: Operators) -> None:
    """The lines that look say that there is nothing; the checks say so in one line, and fail."""
    assert oci.typed(LIVE_LATEST) == "result= None decision= None snapshot_ref= None\n"
    assert oci.typed(LIVE_DELIVERY) == "delivery= None\n"
    assert oci.typed(SUMMARY_LATEST) == "overall_status= None\ntop_risks= []\n"
    assert json.loads(oci.typed(SCHEDULER))["status"] == "no_data"
    assert json.loads(oci.typed(HEALTH))["status"] == "OK"
    for line, name in ((CHECK_LIVE, "live cycle"), (CHECK_SUMMARY, "summary")):
        said, code = oci.typed(line).splitlines()
        assert (said.startswith(f"{name} FAILED  there is no {name} yet"), code) == (True, "exit=3"), said


def the_day(oci: Operators) -> str:
    """One script, five steps, the verdict last."""
    lines = oci.typed(DAILY).splitlines()
    assert [line.split()[:3] for line in lines[:5]] == [
        ["1", "pull", "OK"], ["2", "backend", "OK"], ["3", "summary", "WARN"], ["4", "live", "cycle"], ["5", "snapshot", "OK"],
    ]  # fmt: skip
    assert "decision HOLD  delivery CONSOLE" in lines[3]
    assert lines[-2:] == ["verdict   WARN", "exit=0"]
    bundle = oci.host.whole()
    assert bundle in lines[0]
    told = re.fullmatch(r"result= OK decision= HOLD snapshot_ref= (live_cycle/\S+)\n", oci.typed(LIVE_LATEST))
    assert told is not None
    assert oci.typed(LIVE_DELIVERY) == "delivery= CONSOLE\n"
    overall, risks = oci.typed(SUMMARY_LATEST).splitlines()
    assert overall == "overall_status= WARN"
    assert risks.startswith("top_risks= [")
    assert "'LIVE_CYCLE_NONE'" in risks
    assert '"overall_status":"WARN"' in oci.typed(SUMMARY_HEAD).replace(": ", ":")
    resolved = json.loads(oci.typed(RESOLVE.format(ref=told[1])))
    assert (resolved["kind"], resolved["content"]["decision"]) == ("live_cycle", "HOLD")
    file = json.loads(oci.typed(RESOLVE.format(ref=f"bundle/{bundle}/recon_summary.json")))
    assert (file["encoding"], file["content"]["decision"]) == ("json", "HOLD")
    for line, name in ((CHECK_LIVE, "live cycle OK  result=OK"), (CHECK_SUMMARY, "summary WARN  overall_status=WARN")):
        said, code = oci.typed(line).splitlines()
        assert (said.startswith(name), code) == (True, "exit=0"), said
    return told[1]


def the_day_again(oci: Operators, first: str) -> None:
    """The bundle is up to date, and nothing is shown twice."""
    lines = oci.typed(DAILY).splitlines()
    assert "UP_TO_DATE" in lines[0]
    assert "decision HOLD  delivery NONE" in lines[3]
    assert lines[-1] == "exit=0"
    assert oci.typed(LIVE_DELIVERY) == "delivery= NONE\n"
    latest = oci.served.get("/api/live/cycle/latest")
    assert latest["push"]["reason"] == f"already delivered by run {first.partition('/')[2]}"


def by_hand(oci: Operators) -> None:
    """The lines that act, as they stand; without the confirmation they say what to type, and nothing is done."""
    for line in (LIVE_RUN, SUMMARY_RUN):
        before = oci.audited()
        for unconfirmed in ("", "?confirm=false", "?confirm=TRUE", "?confirm"):
            told = json.loads(oci.typed(line.replace("?confirm=true", unconfirmed)))
            assert told["ok"] is False
            assert "confirm=true" in told["allowed"] + told["next"] or "confirm=…" in told["allowed"]
        assert oci.audited() == before
    assert json.loads(oci.typed(LIVE_RUN))["result"] == "OK"
    assert json.loads(oci.typed(SUMMARY_RUN))["overall_status"] == "WARN"


def stopped(oci: Operators) -> None:
    """Under the emergency stop each line says BLOCKED, and the scripts end with 2."""
    oci.host.plane.engage("rehearsal")
    assert json.loads(oci.typed(LIVE_RUN))["result"] == "BLOCKED"
    assert oci.typed(LIVE_LATEST).startswith("result= BLOCKED decision= NONE snapshot_ref= live_cycle/")
    assert oci.typed(LIVE_DELIVERY) == "delivery= NONE\n"
    assert json.loads(oci.typed(SUMMARY_RUN))["overall_status"] == "BLOCKED"
    assert oci.typed(SUMMARY_LATEST).startswith("overall_status= BLOCKED\ntop_risks= ['EMERGENCY_STOP'")
    for line in (CHECK_LIVE, CHECK_SUMMARY):
        assert oci.typed(line).splitlines()[-1] == "exit=2"
    lines = oci.typed(DAILY).splitlines()
    assert [line.split()[-1] for line in lines[1:5]] == ["reached"] * 4
    assert lines[-2:] == ["verdict   BLOCKED", "exit=2"]
    oci.host.plane.release("rehearsal over")


def test_without_its_server_the_day_fails_at_the_second_step(tmp_path: Path) -> None:
    """The bundle is taken all the same; what needs the server is not reached, and the checks fail in one line."""
    hosts = Hosts.at_present(tmp_path / "hosts")
    bundle = hosts.published()["bundle_id"]
    host = hosts.operator()
    toml = (host.root / "ops.toml").read_text(encoding="utf-8")
    host.write(f'{toml}\n[profiles.default.split]\nbackend_url = "http://127.0.0.1:9"\n')
    site = Site(host.root)
    told = site.ops("daily", "--split", "--json", code=3).json()
    assert [one["state"] for one in told["steps"]] == ["OK", "FAILED", *["not reached"] * 3]
    assert (told["verdict"], host.whole()) == ("FAILED", bundle)
    assert told["recorded"] is True
    said = site.ops("daily", "--check", "live-cycle", code=3).out
    assert said.startswith("live cycle FAILED  GET /api/live/cycle/latest: ")
    assert len(said.splitlines()) == 1
