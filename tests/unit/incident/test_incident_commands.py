"""`ops incident open … close`, typed as people type it: what is asked for, refused and said."""

import json
import os

import pytest

from tests.killing import typed as in_a_fork


@pytest.fixture
def root(tmp_path):
    (tmp_path / "ops.toml").write_text(
        '[profiles.default]\ndrill = true\n[profiles.default.targets.web]\nhealth_url = "http://127.0.0.1:9/"\n'
    )
    return tmp_path


@pytest.fixture
def ops(root):
    def typed(*words, code=0, verb="incident"):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environ = {**kept, "OPS_CONFIG": str(root / "ops.toml")}
        done = in_a_fork((verb, *words), root, environ)
        assert done.code == code, done.out + done.err
        assert "Traceback" not in done.err
        return json.loads(done.out) if "--json" in words else done.out + done.err

    return typed


OPEN = ("open", "--severity", "SEV-2", "--title", "orders fail")
KNOWN = ("--affected", "/api/orders", "--version", "1.4.2", "--since", "2026-01-04T09:05:00Z")


def test_a_person_goes_the_whole_way(ops, root):
    """Opened, told, answered phase by phase, closed as recovered; each step says what comes next."""
    asked = ops(*OPEN, code=2)
    for word in ("--affected", "--version", "--since", "unknown"):
        assert word in asked
    told = ops(*OPEN, "--scenario", "redis", *KNOWN, "--json")
    one = told["id"]
    assert (told["severity"], told["phase"], told["update"]["overdue"]) == ("SEV-2", "triage", False)
    assert "the phase triage comes first" in ops("phase", one, "--finish", "recover", code=2)
    assert "--answer rollout=" in ops("phase", one, "--finish", "triage")
    refused = ops("phase", one, "--finish", "stabilise", code=2)
    assert "open items: rollout, dependency" in refused
    answers = {
        "stabilise": ("rollout=none under way", "dependency=degraded mode entered"),
        "diagnose": ("health=ready answers 503", "metrics=5 % errors", "trace=r-1 ends at Redis"),
        "recover": ("fix=Redis restarted", "verified=ready answers 200", "cleared=alert resolved"),
        "post-incident": ("report=written", "slo=12 % of the budget spent"),
    }
    shown = ops("update", one, "--text", "Redis is away", "--severity", "SEV-1", "--impact", "/api", "--json")
    assert shown["severity"] == "SEV-1"
    assert "**Affected now:** /api [`E3`]" in shown["text"]
    assert "empty fields: impact.users" in ops("report", one, code=2)
    for phase, said in answers.items():
        ops("update", one, *(word for part in said for word in ("--answer", part)))
        shown = ops("phase", one, "--finish", phase, "--json")
    assert shown["phase"] is None
    assert shown["update"] is None
    assert ops("close", one, "--json")["state"] == "recovered"
    told = ops("timeline", one)
    for text in (
        "Opened as SEV-2: orders fail",
        "Update (SEV-1): Redis is away",
        "Phase finished: triage",
        "recovered",
    ):
        assert text in told
    fields = ("impact.users=forty", "impact.period=09:00 to 09:30", "cause.suspected=memory", "cause.confirmed=memory")
    more = ("mitigation.done=degraded mode", "mitigation.risk=none", "verification.at=09:30", "follow_up=an alert")
    assert "has ended" in ops("update", one, "--answer", fields[0], code=2)
    assert "forty" not in ops("issue", one)
    assert "that a release caused" in ops("changelog", one, code=2)
    assert "no repository is named" in ops("issue", one, "--create", code=64)
    assert "not both" in ops("issue", one, "--create", "--created", "http://x/1", code=64)
    assert ops("issue", one, "--created", "http://x/1", "--json")["state"] == "created"
    two = ops(*OPEN, "--scenario", "release", *KNOWN, "--json")["id"]
    said = (*fields, *more[:-1], "verification.figures=0 % errors", "rollback_record=back to 1.4.1")
    ops("update", two, *(word for part in said for word in ("--answer", part)))
    assert "롤백/재배포 기록" in ops("report", two, "--lang", "ko")
    (root / "CHANGELOG.md").write_text("## [Unreleased]\n", encoding="utf-8")
    ops("changelog", two, "--write", "CHANGELOG.md")
    assert "- forty: memory" in (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert (root / "reports" / "incidents" / two / "report.md").is_file()
    assert "people" in ops("list")
    assert "has ended" in ops("update", one, "--text", "more", code=2)


def test_what_cannot_be_is_told(ops):
    """Bad input ends with 64 and names what is allowed; a checklist that is not done needs a reason."""
    told = ops(*OPEN, "--affected", "unknown", "--version", "unknown", "--since", "unknown", "--json")
    one = told["id"]
    assert told["phases"][0]["items"][0]["open"]
    for words in (
        ("open", "--severity", "SEV-7", "--title", "x", *KNOWN),
        ("open", "--severity", "SEV-1", "--title", " ", *KNOWN),
        ("open", "--severity", "SEV-1", "--title", "x", *KNOWN[:4], "--since", "yesterday"),
        ("open", "--severity", "SEV-1", "--title", "x", *KNOWN, "--scenario", "fire"),
        ("update", one),
        ("update", one, "--severity", "SEV-1"),
        ("update", one, "--answer", "nothing"),
        ("update", one, "--answer", "weather=fine"),
        ("update", one, "--answer", "scope= "),
        ("phase", one, "--finish", "lunch"),
        ("show", "nobody"),
        ("close", "nobody"),
    ):
        assert "ops: " in ops(*words, code=64)
    assert "the checklist is not done" in ops("close", one, code=2)
    assert ops("close", one, "--reason", "false alarm", "--json")["state"] == "closed"
    assert "has ended" in ops("close", one, "--reason", "again", code=2)


@pytest.mark.parametrize("words", [("--target", "web"), ("reports/observe/latest.json",)], ids=["target", "report"])
def test_what_would_act_on_more_than_was_named_is_refused(ops, root, words):
    """`--apply` looks again and acts on whatever it finds, so it takes neither one target nor what was seen before."""
    assert "at every target" in ops(*words, "--apply", code=64, verb="remediate")
    assert not (root / "reports").exists()
