"""The weekly live fire as people do it with `ops`: eight preconditions, one run, the lockdown, and what proves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from bot_api import BotApi
from operating import CHAT, OPS, SHUT, TOKEN, Site
from support import sampled

pytestmark = pytest.mark.slow
EIGHT = [
    "gate_mode",
    "self_test",
    "emergency_stop",
    "outbox_messages",
    "sender_enable",
    "window_active",
    "weekday",
    "hours",
]


@pytest.fixture
def bot():
    with BotApi() as server:
        yield server


@pytest.fixture
def site(tmp_path, bot):
    site = Site(root=tmp_path, telegram_url=bot.url).write()
    site.release()
    site.people()
    return site


def words_of(site):
    """Everything that was written anywhere but the files of secrets and keys."""
    found = b""
    for path in site.root.rglob("*"):
        if path.is_file() and not {"secrets", "keys"}.intersection(path.parts):
            found += path.read_bytes()
    return found


def test_weekly_live_fire_from_beginning_to_end(site, bot):
    """Delivered once; sender off, window consumed; receipt, mirror and postmortem tell the same; no secret anywhere."""
    blocked = site.ops("live-fire", "run", "--json", code=2).json()
    assert blocked["outcome"] == "BLOCKED"
    assert [one["name"] for one in blocked["preconditions"]] == EIGHT
    site.prepare_fire("weekly report")
    status = site.ops("live-fire", "status")
    assert status.out.splitlines()[-1] == "READY"
    assert [line.split()[:2] for line in status.out.splitlines()[:8]] == [[name, "ok"] for name in EIGHT]

    fired = site.ops("live-fire", "run", "--json").json()
    assert (fired["outcome"], bot.texts, bot.ledger[0].chat) == ("FIRED", ["weekly report"], CHAT)
    assert fired["lockdown"] == {"sender_enable": False, "window": "CONSUMED"}
    assert site.ops("sender", "status", "--json").json()["enabled"] is False
    assert site.ops("window", "status", "--json").json()["window"]["status"] == "CONSUMED"
    assert site.ops("live-fire", "latest", "--json").json() == fired
    mirror = site.root / "reports/ops/push/live_fire/live_fire_latest.json"
    assert fired["fire_id"] in mirror.read_text()

    told = site.ops("live-fire", "postmortem")
    assert fired["fire_id"] in told.out
    written = site.root / "reports/ops/push/postmortem/postmortem_latest.md"
    assert written.read_text() == told.out
    assert "포스트모템" in site.ops("live-fire", "postmortem", "--lang", "ko").out
    assert site.ops("live-fire", "run", code=2).out.splitlines()[-1].startswith("BLOCKED")
    assert len(bot.ledger) == 1
    site.ops("audit", "verify")
    assert not any(secret.encode() in words_of(site) for secret in (TOKEN, CHAT))


def test_the_checks_say_what_status_says(site):
    """The suite fails where a precondition is missing and passes where all hold; nothing is burnt by looking."""

    def judged(code):
        told = site.ops("observe", "--suite", "live_fire", "--json", code=code, timeout_s=120.0).json()
        return {one["check"]: one["judged"] for one in told["judgements"]}

    missing = judged(1)
    assert sorted(missing.values()) == ["bad"] * 4 + ["good"] * 4, missing
    assert missing["check_outbox_holds_a_message"] == "bad"
    site.prepare_fire()
    before = site.ops("store", "status", "--json", code=None).out
    assert set(judged(0).values()) == {"good"}
    assert site.ops("store", "status", "--json", code=None).out == before
    assert site.ops("live-fire", "status", "--json").json()["ready"]


def test_a_closed_market_is_a_missing_precondition(site):
    """Everything else holds, the hours do not: two lines say it, and what to do."""
    site.prepare_fire()
    site.configure(trading=SHUT.format("00:00", "00:01"))
    told = site.ops("live-fire", "status", code=2).out.splitlines()
    if told[-1] != "READY":
        assert told[-1] == "NOT READY  1 of 8 preconditions are missing"
        assert any("wait for trading hours" in line for line in told)


def test_a_person_who_types_sees_what_there_is(site):
    """Outbox, sender and secrets: aligned, with exit codes that scripts can use."""
    first = site.ops("outbox", "add", "--text", "one", "--json").json()["id"]
    site.ops("outbox", "add", "--text", "-", stdin="two\nlines\n")
    assert [line.split()[1] for line in site.ops("outbox", "list").out.splitlines()] == ["PENDING", "PENDING"]
    assert site.ops("outbox", "withdraw", first, "--reason", "no").out.split() == ["message", first, "WITHDRAWN"]
    assert "WITHDRAWN" in site.ops("outbox", "withdraw", first, "--reason", "no", code=2).err
    site.ops("outbox", "add", "--text", " ", code=64)
    assert site.ops("sender", "status").out.startswith("sender  off  (CONSOLE_ONLY, external send FORBIDDEN)")
    site.ops("sender", "enable", "--channel", "PIGEON", "--reason", "no", code=64)
    enabled = site.ops("sender", "enable", "--channel", "TELEGRAM_ONLY", "--reason", "yes")
    assert enabled.out.startswith("sender  ENABLED  (TELEGRAM_ONLY, external send FORBIDDEN)")
    site.ops("sender", "disable", "--reason", "no")
    assert site.ops("secrets").out.splitlines()[-1] == "SELF_TEST_PASS"
    (site.root / "secrets" / "BOT_CHAT").chmod(0o644)
    failed = site.ops("secrets", code=3)
    assert failed.out.splitlines()[-1] == "SELF_TEST_FAIL"
    assert "chmod 600" in failed.out
    assert TOKEN not in failed.out
    site.ops("live-fire", "latest", code=64)


def test_the_process_of_the_server_takes_a_request_and_gives_a_receipt(site, bot):
    """JSON in, JSON out, and nothing of the request in the process list; who may not fire is refused."""

    def asked(request):
        argv = [sys.executable, "-P", "-m", "ops_core.push"]
        done = subprocess.run(
            argv,
            input=request if isinstance(request, bytes) else json.dumps(request).encode(),
            cwd=site.root,
            env=site.environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert not done.stderr, done.stderr.decode()
        return done.returncode, json.loads(done.stdout)

    here = {"config": str(site.root / "ops.toml"), "profile": "site", "actor": "ann"}
    site.prepare_fire()
    code, told = asked({**here, "authorised": False})
    assert (code, told["outcome"]) == (2, "BLOCKED")
    assert "may not fire" in told["reason"]
    code, told = asked({**here, "authorised": True})
    assert (code, told["outcome"], told["actor"]) == (0, "FIRED", "ann")
    for request in (b"", b"[]", b"\xff", {**here, "authorised": 1}, {"shell": "true"}, b"x" * 70_000):
        code, told = asked(request)
        assert (code, "error" in told) == (64, True)
    assert len(bot.ledger) == 1


@pytest.mark.parametrize("round_", sampled(range(3), 0.3))
def test_of_many_who_fire_at_once_exactly_one_wins(site, bot, round_):
    """Eight processes, one window: one receipt says FIRED, the server hears of the message once."""
    site.prepare_fire(f"round {round_}")
    children = [
        subprocess.Popen(
            [*OPS, "live-fire", "run", "--json"],
            cwd=site.root,
            env=site.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(8)
    ]
    told = [child.communicate(timeout=180) for child in children]
    outcomes = sorted(json.loads(out).get("outcome", "none") for out, _ in told)
    assert outcomes.count("FIRED") == 1, told
    assert set(outcomes) <= {"FIRED", "BLOCKED", "none"}
    assert bot.texts == [f"round {round_}"]
    assert [child.returncode for child in children].count(os.EX_OK) == 1
