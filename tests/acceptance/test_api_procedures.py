"""The runbooks' procedures as a person carries them out: the lines typed with the real curl, against `ops serve`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.bot_api import BotApi
from tests.operating import CHAT, OPEN, SHUT, TOKEN, Served, Site
from tests.support import eventually, need_program

pytestmark = pytest.mark.slow
PRECONDITIONS = [
    "gate_mode", "self_test", "emergency_stop", "outbox_messages", "sender_enable", "window_active", "weekday", "hours",
]  # fmt: skip
BASE = "http://127.0.0.1:8000"
ENGAGE = f"""curl -X POST {BASE}/api/emergency_stop \
  -H "Content-Type: application/json" \
  -d '{{"enabled": true, "reason": "긴급 상황"}}'"""
RELEASE = f"""curl -X POST {BASE}/api/emergency_stop \
  -H "Content-Type: application/json" \
  -d '{{"enabled": false, "reason": "상황 해제"}}'"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A repository that was released once, in its safe defaults."""
    found = Site(tmp_path).write()
    found.release()
    return found


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    """The same, served."""
    with site.serving() as found:
        yield found


def typed(served: Served, line: str) -> str:
    """What a line of shell prints, its port replaced by the server's."""
    need_program("curl")
    line = line.replace(BASE, served.url).replace("curl ", "curl -sS --max-time 60 ")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_emergency_stop_is_engaged_and_released_by_the_lines_as_they_stand(served: Served) -> None:
    """Each is answered with what is in force then, and a cycle's receipt tells it too."""
    engaged = json.loads(typed(served, ENGAGE))
    assert (engaged["enabled"], engaged["acknowledged"], engaged["reason"]) == (True, True, "긴급 상황")
    assert served.get("/api/emergency_stop")["enabled"] is True
    assert served.get("/api/status")["status"] == "STOPPED"
    stopped = served.post("/api/ops/cycle/run")
    assert stopped["result"] == "STOPPED"
    assert served.get("/api/ops/scheduler/latest")["observed_modes"]["emergency_stop"] is True
    assert json.loads(typed(served, RELEASE))["enabled"] is False
    assert served.get("/api/emergency_stop")["enabled"] is False
    assert served.post("/api/ops/cycle/run")["result"] in {"OK", "WARN"}
    assert served.get("/api/ops/scheduler/latest")["observed_modes"]["emergency_stop"] is False


def test_in_its_safe_defaults_nothing_leaves(served: Served) -> None:
    """Gate DRY_RUN, delivery to the console only, sender off, sending forbidden."""
    status = served.get("/api/status")
    assert {name: status[name] for name in ("execution_gate", "delivery_policy", "real_sender_enable", "external_send")} == {
        "execution_gate": "DRY_RUN", "delivery_policy": "CONSOLE_ONLY", "real_sender_enable": False,
        "external_send": "FORBIDDEN",
    }  # fmt: skip
    receipt = served.post("/api/ops/push/live_fire/run")
    assert receipt["outcome"] == "BLOCKED"
    assert [one["name"] for one in receipt["preconditions"]] == PRECONDITIONS


def test_daily_checklist_in_its_order(served: Served) -> None:
    """Stop, gate, window, approvals, cycle, result: each path answers what the next step depends on."""
    assert served.get("/api/emergency_stop")["enabled"] is False
    assert served.get("/api/execution_gate")["mode"] == "DRY_RUN"
    assert served.get("/api/real_enable_window/latest")["status"] == "NONE"
    assert served.get("/api/approvals/real_enable/latest")["status"] == "NONE"
    receipt = served.post("/api/ops/cycle/run")
    assert receipt["result"] in {"OK", "WARN"}
    assert receipt["live_fire_step"]["reason"]
    daily = served.get("/api/ops/daily")
    assert daily["run_id"] == receipt["run_id"]
    mirror = served.site.root / "reports" / "ops" / "daily"
    assert json.loads((mirror / "ops_report_latest.json").read_text())["run_id"] == receipt["run_id"]
    assert [path.name for path in (mirror / "snapshots").iterdir()] == [f"ops_run_{receipt['run_id']}.json"]


def test_order_of_looking_when_something_is_wrong(served: Served) -> None:
    """Status, self test, stop, receipt, postmortem: each says what it saw."""
    (served.site.root / "secrets" / "BOT_TOKEN").unlink()
    assert served.get("/api/status")["status"] == "OK"
    test = served.get("/api/secrets/self_test")
    assert test["result"] == "SELF_TEST_FAIL"
    assert [row["name"] for row in test["rows"] if not row["ok"]] == ["BOT_TOKEN"]
    assert served.get("/api/emergency_stop")["enabled"] is False
    served.post("/api/ops/cycle/run")
    assert served.get("/api/ops/scheduler/latest")["live_fire_step"]["reason"]
    served.post("/api/ops/push/live_fire/run")
    again = served.post("/api/ops/push/postmortem/regenerate")
    assert served.get("/api/ops/push/postmortem/regenerate") == again
    assert served.get("/api/ops/push/postmortem/latest") == again


def approve_with_curl(served: Served, person: str) -> Any:
    """Read what is to be approved, sign it with openssl, give the key."""
    latest = served.get("/api/approvals/real_enable/latest")
    text = served.site.root / f"{person}.txt"
    text.write_bytes(latest["signed_text"].encode("ascii"))
    signed = subprocess.run(
        [need_program("openssl"), "pkeyutl", "-sign", "-rawin", "-inkey", served.site.key(person), "-in", text],
        capture_output=True,
        timeout=30,
        check=True,
    )
    return served.post(
        "/api/approvals/real_enable/approve",
        {"digest": latest["permit_digest"], "signature": signed.stdout.hex()},
        person=person,
    )


def test_weekly_live_fire_with_curl(tmp_path: Path) -> None:
    """Window, two keys, sender, fire: delivered once, then the sender is off, the window consumed, and all is told."""
    with BotApi() as bot:
        site = Site(tmp_path, telegram_url=bot.url).write()
        site.release()
        site.people()
        site.ops("outbox", "add", "--text", "weekly report ✓")
        with site.serving() as served:
            served.post("/api/execution_gate", {"mode": "REAL_ENABLED", "reason": "Live Fire"}, person="ann")
            asked = {"duration_minutes": 60, "reason": "Live Fire"}
            window = served.post("/api/real_enable_window/request", asked, person="ann")
            assert (window["status"], window["ttl_s"] > 3500) == ("REQUESTED", True)
            assert approve_with_curl(served, "ben")["status"] == "PENDING"
            assert approve_with_curl(served, "cho")["status"] == "APPROVED"
            assert served.get("/api/real_enable_window/latest")["status"] == "ACTIVE"
            enabled = {"enabled": True, "reason": "Live Fire", "channel": "TELEGRAM_ONLY"}
            assert served.post("/api/real_sender_enable", enabled, person="ann")["enabled"] is True
            receipt = served.post("/api/ops/push/live_fire/run", person="ann")
            assert (receipt["outcome"], receipt["lockdown"]) == (
                "FIRED", {"sender_enable": False, "window": "CONSUMED"},
            )  # fmt: skip
            assert bot.texts == ["weekly report ✓"]
            assert served.get("/api/real_sender_enable")["enabled"] is False
            latest = served.get("/api/real_enable_window/latest")
            assert (latest["status"], latest["consumed"]) == ("CONSUMED", True)
            assert served.get("/api/ops/push/live_fire/latest")["run_id"] == receipt["run_id"]
            again = served.post("/api/ops/push/live_fire/run", person="ann")
            assert again["outcome"] == "BLOCKED"
            assert {one["name"] for one in again["preconditions"] if not one["ok"]} == {
                "outbox_messages", "sender_enable", "window_active",
            }  # fmt: skip
        assert bot.texts == ["weekly report ✓"]
        mirror = site.root / "reports" / "ops" / "push" / "live_fire" / "live_fire_latest.json"
        assert json.loads(mirror.read_text())["schema"] == receipt["schema"]
        written = [path for path in site.root.rglob("*") if path.is_file() and "secrets" not in path.parts]
        assert not [
            path for path in written if TOKEN.encode() in path.read_bytes() or CHAT.encode() in path.read_bytes()
        ]


def test_weekly_live_fire_with_ops_alone(tmp_path: Path) -> None:
    """The same without a server, and outside of trading hours it is refused with both keys given."""
    with BotApi() as bot:
        # Far from now, whatever the time: the calendar is real, and so is the clock.
        hour = (datetime.now(ZoneInfo("Asia/Seoul")).hour + 12) % 24
        shut = SHUT.format(f"{min(hour, 22):02d}:00", f"{min(hour, 22) + 1:02d}:00")
        site = Site(tmp_path, telegram_url=bot.url, trading=shut).write()
        site.release()
        site.people()
        site.prepare_fire("weekly report")
        refused = site.ops("live-fire", "run", "--json", code=2).json()
        assert [one["name"] for one in refused["preconditions"] if not one["ok"]] == ["hours"]
        assert bot.texts == []
        site.configure(trading=OPEN)
        assert site.ops("live-fire", "run", "--json").json()["outcome"] == "FIRED"
        assert bot.texts == ["weekly report"]
        assert site.ops("sender", "status", "--json").json()["enabled"] is False
        assert site.ops("window", "status", "--json").json()["window"]["status"] == "CONSUMED"
        site.ops("live-fire", "postmortem")


def test_stop_ends_a_live_fire_that_a_server_started(tmp_path: Path) -> None:
    """The stop is acknowledged when the fire's process is gone; the message that was on its way stays UNKNOWN."""
    with BotApi(answers=["hang"]) as bot:
        site = Site(tmp_path, telegram_url=bot.url, timeout_s=50.0).write()
        site.release()
        site.people()
        site.prepare_fire()
        with site.serving() as served:
            words = ["-sS", "-X", "POST", "-H", f"Authorization: Bearer {site.tokens['ann']}"]
            firing = subprocess.Popen(
                [need_program("curl"), *words, f"{served.url}/api/ops/push/live_fire/run"],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            try:
                eventually(bot.reached.is_set, "the message never arrived")
                told = json.loads(typed(served, ENGAGE))
                assert told["acknowledged"] is True
                assert {one["kind"] for one in told["ended"]} <= {"live_fire"}  # it may have noticed by itself
                firing.communicate(timeout=30)
            finally:
                firing.kill()
                firing.wait()
            assert served.get("/api/emergency_stop")["running"] == []
        assert site.ops("live-fire", "status", code=2).out  # looking at it notes what became of an interrupted run
        assert [one["state"] for one in site.ops("outbox", "list", "--json").json()["messages"]] == ["UNKNOWN"]
        assert site.ops("window", "status", "--json").json()["window"]["status"] == "CONSUMED"
        assert len(bot.texts) == 1


def test_daily_script_prints_and_ends_as_the_command_does(site: Site) -> None:
    """`ops daily` on a site in its defaults: six steps, the verdict last, exit 0."""
    told = site.ops("daily")
    assert told.out.strip().splitlines()[-1].split() == ["verdict", "HEALTHY"]


def test_a_port_that_is_taken_is_told(served: Served) -> None:
    """With what to type, and without a traceback."""
    port = served.url.rpartition(":")[2]
    told = served.site.ops("serve", "--port", port, code=3)
    assert "cannot listen" in told.err
    assert "Traceback" not in told.err
