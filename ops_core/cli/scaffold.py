"""The files that `ops init` writes: a repository of checks that says something true in its first minute."""

from __future__ import annotations

OPS_TOML = """\
# What is under operation. `ops doctor` says whether this file is in order.
default_profile = "default"

# Shipped suites to run beside your own checks; each is a marker: pytest checks/ -m observe
suites = ["observe", "daily", "live_fire", "integrity"]

[profiles.default]
control_dir = "control"  # the store: emergency stop, gate, windows, audit, incidents; keep it, and keep it private
state_dir = "state"      # mirrors of it for people and scripts
reports_dir = "reports"  # records, receipts, incident reports, postmortems
logs_dir = "logs"

# When a cycle is due. `ops schedule install --cron` shows how a scheduler is told.
[profiles.default.schedule]
at = "09:05"
zone = "Asia/Seoul"
days = ["Mon", "Tue", "Wed", "Thu", "Fri"]

# When messages may leave at all.
[profiles.default.trading]
zone = "Asia/Seoul"
days = ["Mon", "Tue", "Wed", "Thu", "Fri"]
opens = "09:00"
closes = "18:00"

# Where they go: to the console, to a Telegram chat, or to a channel of Apprise (docs/alerts.md). Only the names of
# secrets stand here; `ops secrets` says whether each has a value.
#
# [profiles.default.push]
# telegram_token = "BOT_TOKEN"
# telegram_chat = "BOT_CHAT"
#
# [profiles.default.secrets]
# BOT_TOKEN = {{ file = "secrets/BOT_TOKEN" }}
# BOT_CHAT = {{ file = "secrets/BOT_CHAT" }}

[profiles.default.budgets]
total_s = 60

# The shipped checks ask a target about what it sets: health_url, guard_url, stream_url, process, release_link …
{target}
# A target may also carry variables of your own; a probe says which it needs (see checks/observe/check_disk.py).
[profiles.default.targets.this-host.vars]
data_path = "."
room_min_percent = 5
"""

TARGET = """\
[profiles.default.targets.{name}]
health_url = "{url}"
health_latency_max_ms = 1000

"""

TARGET_EXAMPLE = """\
# [profiles.default.targets.web]
# health_url = "https://web.example.com/health"

"""

CHECK_DISK = '''\
"""An example of your own: a probe looks, a check judges, a finding names what is wrong."""

import shutil

import pytest

from ops_core import Target, finding, probe


@probe(budget_s=5, needs="data_path")
def disk(target: Target) -> dict[str, float]:
    """How much of the file system that holds `data_path` is free."""
    usage = shutil.disk_usage(target.data_path)
    return {"free_percent": round(100 * usage.free / usage.total, 1)}


@pytest.mark.observe
@finding("disk.low")
def check_disk_has_room(disk: dict[str, float], target: Target) -> None:
    """At least room_min_percent of the disk is free."""
    free, least = disk["free_percent"], target.room_min_percent
    assert free >= least, f"{free} % of the disk is free, at least {least} % are wanted"
'''

CHECK_HEALTH = '''\
"""On a probe that is shipped: a health endpoint may answer 200, and say in its body that nothing is well."""

import pytest

from ops_core import HttpEvidence, finding

WELL = ("ok", "up", "healthy", "pass")


@pytest.mark.observe
@finding("health.says_otherwise")
def check_health_means_it(health: HttpEvidence) -> None:
    """Whoever answers 200 says nothing else in its body."""
    if health.status == 200 and health.body_excerpt.startswith("{") and not health.truncated:
        status = health.json().get("status", WELL[0])
        assert status in WELL, f"it answers 200, and says {status!r}"
'''

FAULT_HEALTH = '''\
"""A fault of your own: it shows that check_health_means_it can fail. Rehearse it: ops drill health-says-failing

The matrix holds it with all others, each on a stack of its own: ops drill --matrix
"""

import json
import urllib.request

from ops_core.drill import EmbeddedStack, Fault, released


def says_failing(stack: EmbeddedStack, service: str) -> bool:
    """Health answers 200, and says in its body that it fails."""
    try:
        with urllib.request.urlopen(stack.url(service), timeout=5) as answer:
            return json.load(answer).get("status") == "failing"
    except OSError:
        return False


FAULT = Fault(
    name="health-says-failing",
    description={
        "en": "a release answers its health endpoint with 200, whatever it says in the body",
        "ko": "본문의 내용과 관계없이 헬스 엔드포인트에 200으로 응답하는 릴리스",
    },
    findings=("health.says_otherwise",),
    row="health-says-otherwise-new-release",
    remediation="rollback_release",
    do=released({'answer(200, {"status": "ok"': 'answer(200, {"status": "failing"'}),
    holds=says_failing,
)
'''

DECISIONS = """\
# What your own findings mean. Rows here come before the shipped ones; `ops doctor` proves the whole table.
[[row]]
id = "disk-low"
when = ["disk.low"]
severity = "high"
category = "availability"
cause = { en = "the disk is filling up", ko = "디스크 공간이 부족합니다" }
action = { en = "find what grows and make room", ko = "용량을 차지하는 파일을 찾아 공간을 확보하십시오" }

[[row]]
id = "health-says-otherwise-new-release"
when = ["health.says_otherwise"]
given = ["release.unproven"]
severity = "high"
category = "availability"
remediation = "rollback_release"
cause = { en = "a new release says that it is not well", ko = "새 릴리스가 정상이 아니라고 응답합니다" }
action = { en = "go back to the last good release", ko = "마지막 정상 릴리스로 되돌리십시오" }

[[row]]
id = "health-says-otherwise"
when = ["health.says_otherwise"]
severity = "high"
category = "availability"
remediation = "restart_service"
cause = { en = "the service says that it is not well", ko = "서비스가 정상이 아니라고 응답합니다" }
action = { en = "restart it, and read what it says", ko = "재시작하고 응답 내용을 확인하십시오" }
"""

GITIGNORE = """\
control/
logs/
state/
reports/
secrets/
*.pem
__pycache__/
"""
