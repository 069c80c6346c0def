"""Cycles and the daily checklist as people and schedulers do them with `ops`: each outcome, its remedy, and then none."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from bot_api import BotApi
from operating import OPS, Site

from ops_core.cycle.texts import REMEDIES

pytestmark = pytest.mark.slow
NAMES = ["emergency stop", "gate", "window", "approvals", "cycle", "result"]


def scheduled(site, begins):
    """Put the slot of the day at that time."""
    path = site.root / "ops.toml"
    at = f'[profiles.site.schedule]\nzone = "UTC"\nat = "{begins:%H:%M}"'
    path.write_text(re.sub(r"\[profiles\.site\.schedule\](\nzone.*\nat.*)?", at, path.read_text()))


@pytest.fixture
def bot():
    with BotApi() as server:
        yield server


@pytest.fixture
def site(tmp_path, bot):
    """A released site at a time when no slot is due."""
    site = Site(root=tmp_path / "site", telegram_url=bot.url).write()
    scheduled(site, datetime.now(UTC) + timedelta(hours=6))
    site.release()
    return site


def change(site, cycle="", *, live_fire=False):
    """Other lines in the table `cycle`."""
    site.configure(cycle=cycle, live_fire=live_fire)
    scheduled(site, datetime.now(UTC) + timedelta(hours=6))


def steps_of(told):
    """The six lines of a checklist: name and state."""
    found = re.findall(r"^  [1-6]  (.{14})  (\S+(?: \S+)?)", told.out, re.MULTILINE)
    return [(name.strip(), state) for name, state in found]


def test_daily_checklist_on_a_good_day(site):
    """Six aligned steps, the verdict last, the receipt in every place where people look."""
    told = site.ops("daily")
    assert [name for name, _ in steps_of(told)] == NAMES
    assert [state for _, state in steps_of(told)] == ["good", "good", "not needed", "not needed", "good", "good"]
    assert told.out.splitlines()[-1] == "verdict    HEALTHY"
    receipt = site.ops("cycle", "latest", "--json").json()
    assert receipt["run_id"] in told.out
    report = json.loads((site.root / "reports/ops/daily/ops_report_latest.json").read_text())
    assert report["run_id"] == receipt["run_id"]
    assert list((site.root / "reports/ops/daily/snapshots").glob("ops_run_*.json"))
    document = site.ops("daily", "--json").json()
    assert (document["verdict"], document["cycle"]["result"]) == ("HEALTHY", "OK")
    assert [step["name"] for step in document["steps"]] == NAMES


def test_stopped(site):
    """Step 1 ends the day: nothing else is reached, exit code 2; released as the remedy says, it is good again."""
    site.ops("estop", "engage", "--reason", "smoke")
    told = site.ops("daily", code=2)
    assert [state for _, state in steps_of(told)] == ["BAD", *["not reached"] * 5]
    assert told.out.splitlines()[-1] == "verdict    UNHEALTHY"
    assert "ops estop release --reason" in told.out
    assert site.ops("cycle", code=2).out.count("smoke") >= 2
    site.ops("estop", "release", "--reason", "it was toast")
    assert "OK" in site.ops("cycle").out
    site.ops("daily")


def test_preflight_fail(site):
    """What is missing is named with what to type, in the ticket too; put in place, the cycle runs."""
    file = site.root / "input" / "prices.csv"
    change(site, 'needs_files = ["input/prices.csv"]\nneeds_modules = ["no_such_module"]')
    told = site.ops("cycle", code=3)
    assert "PREFLIGHT_FAIL" in told.out
    assert str(file) in told.out
    (ticket,) = (site.root / "reports/tickets/preflight").glob("*.json")
    for word in ("prices.csv", "no_such_module", "pip install no_such_module"):
        assert word in ticket.read_text()
    file.parent.mkdir()
    file.write_text("1,2\n")
    change(site, 'needs_files = ["input/prices.csv"]\nneeds_modules = ["json", "xml.dom"]')
    site.ops("cycle")


def test_allowlist_violation(site):
    """A request type that the allowlist does not name; added there and accepted, it is allowed."""
    told = site.ops("cycle", "--request", "OPS_CYCLE", "--request", "REBALANCE", code=2)
    assert "ALLOWLIST_VIOLATION" in told.out
    assert "ops contracts accept" in told.out
    path = site.root / "docs/contracts/execution_allowlist_v1.json"
    allowed = json.loads(path.read_text())
    path.write_text(json.dumps({**allowed, "request_types": [*allowed["request_types"], "REBALANCE"]}))
    assert "nobody accepted" in site.ops("cycle", code=2).out
    site.ops("contracts", "accept", "--reason", "agreed")
    site.ops("cycle", "--request", "OPS_CYCLE", "--request", "REBALANCE")


def test_window_not_active(site):
    """REAL_ENABLED without a window; requested and approved by two others it runs; or the gate is shut again."""
    site.people()
    site.ops("outbox", "add", "--text", "weekly report")
    site.ops("gate", "set", "REAL_ENABLED", "--reason", "weekly")
    told = site.ops("daily", code=2)
    assert [state for _, state in steps_of(told)] == ["good", "good", "BAD", *["not reached"] * 3]
    assert "ops window request" in told.out
    site.ops("window", "request", "--reason", "weekly", "--for", "60m", "--key", str(site.key("ann")))
    assert "0 of 2 keys" in site.ops("cycle", code=2).out
    digest = site.ops("window", "status", "--json").json()["window"]["permit_digest"]
    for person in ("ben", "cho"):
        site.ops("approve", "--key", str(site.key(person)), "--digest", digest)
    told = site.ops("daily")
    assert [state for _, state in steps_of(told)] == ["good"] * 6
    site.ops("window", "revoke", "--reason", "enough")
    site.ops("gate", "set", "DRY_RUN", "--reason", "enough")
    site.ops("daily")


def test_weekly_cycle_fires_once_and_locks_down(site, bot):
    """With live_fire set, the cycle sends what was approved, once; afterwards the window is used and the sender off."""
    change(site, live_fire=True)
    site.people()
    assert "none: the gate is DRY_RUN" in site.ops("cycle").out
    for message in site.ops("outbox", "list", "--json").json()["messages"]:
        site.ops("outbox", "withdraw", message["id"], "--reason", "not this one")
    site.prepare_fire("weekly report")
    document = site.ops("daily", "--json").json()
    fire = document["cycle"]["live_fire_step"]
    assert (document["cycle"]["result"], fire["attempted"], fire["result"]) == ("OK", True, "FIRED")
    assert document["verdict"] == "HEALTHY"
    assert bot.texts == ["weekly report"]
    assert site.ops("live-fire", "latest", "--json").json()["fire_id"] == fire["fire_id"]
    assert site.ops("sender", "status", "--json").json()["enabled"] is False
    # The same again: the window is used, so nothing real may happen.
    assert "WINDOW_NOT_ACTIVE" in site.ops("cycle", code=2).out
    assert bot.texts == ["weekly report"]


def test_slot_is_run_once_by_whoever_comes(site):
    """A scheduler, a second one, and a person: one cycle; outside of its time the slot is refused, and the next named."""
    refused = site.ops("cycle", "--slot", "now", code=2)
    assert "the next slot is" in refused.err
    scheduled(site, datetime.now(UTC) - timedelta(minutes=1))
    first = site.ops("cycle", "--slot", "now", "--json").json()
    again = site.ops("cycle", "--slot", "now")
    assert f"{first['run_id']}  (already run)" in again.out
    assert "(already run)" in site.ops("daily").out
    assert site.ops("cycle", "--slot", first["slot"], "--json").json()["run_id"] == first["run_id"]
    assert site.ops("cycle", "--json").json()["run_id"] != first["run_id"]


def test_interrupted_cycle_is_closed_by_the_next(site):
    """Killed in the middle: the next one closes it as INTERRUPTED and runs; ended by SIGTERM it says so itself."""
    code = "import sys, signal; import ops_core.cycle.work as w; "
    code += "w.look = lambda *_: (print('working', flush=True), signal.pause())[0]; "
    code += "from ops_core.cli import main; sys.exit(main(['cycle', '--json']))"
    for number, result in ((signal.SIGKILL, "OPEN"), (signal.SIGTERM, "INTERRUPTED")):
        process = subprocess.Popen(
            [OPS[0], "-c", code], cwd=site.root, env=site.environ, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "working\n"
        os.kill(process.pid, number)
        process.communicate(timeout=30)
        latest = site.ops("cycle", "latest", "--json").json()
        assert latest["result"] == result
        site.ops("daily")
    snapshots = (site.root / "reports/ops/daily/snapshots").glob("ops_run_*.json")
    results = sorted(json.loads(path.read_text())["result"] for path in snapshots)
    assert results == ["INTERRUPTED", "INTERRUPTED", "OK", "OK"]


def test_what_the_remedies_say_to_type_exists():
    """Every `ops VERB WORD` of a remedy is a command."""
    typed = {
        tuple(one.split())
        for lines in REMEDIES.values()
        for one in re.findall(r"ops ([a-z-]+(?: [a-z]+)?)", "\n".join(lines))
    }
    assert len(typed) > 5
    for words in sorted(typed):
        done = subprocess.run([*OPS, *words, "--help"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stderr)
