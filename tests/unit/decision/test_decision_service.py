"""The rows about a service that takes data: what is undone first, what is steadied, and what is left to people."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, combinations

import pytest

from ops_core.config import LANGUAGES
from ops_core.content import content_dir
from ops_core.decision.match import Decision, decide
from ops_core.decision.table import Severity, load_table
from ops_core.finding import Finding

AT = datetime(2026, 1, 4, 9, 5, tzinfo=UTC)
TABLE = load_table([content_dir() / "remediations" / "decisions.toml"])
NEEDS = {"ingest": ("database", "redis")}
CONFIG, RELEASE, ROLLOUT = "config.unproven", "release.unproven", "rollout.running"
SCHEMA = ("schema.reversible", "schema.unproven")
FACTS = (CONFIG, RELEASE, ROLLOUT, *SCHEMA, "degraded.on", "limits.lowered")
ANSWERS = ("live.not_ok", "ready.not_ok", "errors.rate_high", "latency.p95_high")
SECURITY = ("payload.body_accepted", "payload.batch_accepted", "secret.missing", "secret.weak", "certificate.expiring")
CODES = (
    *ANSWERS,
    *SECURITY,
    "ready.degraded",
    "traffic.none",
    "request_id.lost",
    "database.unreachable",
    "database.read_only",
    "redis.unreachable",
    "schema.behind",
    "schema.unknown_revision",
    "disk.full",
    "bench.slow",
    "bench.p95_slow",
    "bench.regressed",
)


def decisions(found, facts=None) -> dict[str | None, Decision]:
    """Decisions by target about codes by target."""
    findings = [
        Finding(code=code, target=target, check="check_it", evidence=(code,))
        for target, codes in found.items()
        for code in codes
    ]
    return {one.target: one for one in decide(TABLE, findings, facts or {}, [], AT, NEEDS)}


def decided(code, *facts) -> Decision:
    """What is decided about one finding of the service."""
    return decisions({"ingest": [code]}, {"ingest": facts})["ingest"]


@pytest.mark.parametrize("code", CODES)
def test_every_finding_is_decided_whatever_else_is_known(code):
    """Over all combinations of facts there is a row, in both languages, as urgent as without them."""
    plain = decided(code)
    for facts in chain.from_iterable(combinations(FACTS, n) for n in range(len(FACTS) + 1)):
        decision = decided(code, *facts)
        assert decision.row_id is not None
        assert decision.severity is plain.severity
        assert all(decision.cause(lang) and decision.action(lang) for lang in LANGUAGES)


@pytest.mark.parametrize("code", ANSWERS)
@pytest.mark.parametrize(
    ("facts", "remediation"),
    [
        ((CONFIG,), "rollback_config"),
        ((RELEASE,), "rollback_release"),
        ((CONFIG, RELEASE), "rollback_config"),
        ((ROLLOUT,), "halt_rollout"),
        ((ROLLOUT, CONFIG, RELEASE), "halt_rollout"),
        (SCHEMA, "rollback_schema"),
        ((*SCHEMA, RELEASE), "rollback_release"),
        ((*SCHEMA, CONFIG, RELEASE), "rollback_config"),
        ((*SCHEMA, ROLLOUT, RELEASE), "halt_rollout"),
    ],
    ids=lambda v: "+".join(v) if isinstance(v, tuple) else v,
)
def test_what_changed_last_is_undone_the_environment_first(code, facts, remediation):
    """A rollout is halted, then configuration, then release, and the schema only where nothing else was changed."""
    assert decided(code, *facts).remediation == remediation


@pytest.mark.parametrize("code", CODES)
def test_a_schema_is_taken_back_only_where_it_changed_and_says_that_it_can(code):
    """Neither promise nor change alone leads there; an unknown revision has no file, and so makes no promise at all."""
    for facts in ((), ("schema.unproven",), ("schema.reversible",)):
        assert decided(code, *facts).remediation != "rollback_schema"


def test_without_any_change_a_service_is_restarted_or_protected():
    """Not alive, not ready: a restart. Errors and latency with nothing changed: too much is asked of it, once."""
    assert [decided(code).remediation for code in ANSWERS] == ["restart_service"] * 2 + ["lower_limits"] * 2
    for code in ("errors.rate_high", "latency.p95_high"):
        assert decided(code, "limits.lowered").remediation is None


def test_what_it_stands_on_is_restarted_and_its_dependents_named_and_steadied():
    """One decision for the database; the service gets none of its own, but its payload does."""
    found = decisions(
        {
            "database": ["database.unreachable"],
            "ingest": ["ready.degraded", "errors.rate_high", "payload.body_accepted"],
        },
        {"ingest": [RELEASE]},
    )
    assert (found["database"].remediation, found["database"].for_dependents) == (
        "restart_service",
        "enter_degraded_mode",
    )
    assert [one.findings for one in found["database"].dependents] == [("errors.rate_high", "ready.degraded")]
    assert (found["ingest"].findings, found["ingest"].remediation) == (("payload.body_accepted",), "rollback_release")
    redis = decisions({"redis": ["redis.unreachable"], "ingest": ["ready.degraded"]})
    assert list(redis) == ["redis"]
    assert redis["redis"].for_dependents == "enter_degraded_mode"


def test_a_degraded_mode_is_left_when_nothing_below_is_seen_to_be_bad():
    """While Redis is away the service stays degraded; when it is back the mode is left."""
    facts = {"ingest": ["degraded.on"]}
    assert list(decisions({"redis": ["redis.unreachable"], "ingest": ["ready.degraded"]}, facts)) == ["redis"]
    assert decisions({"ingest": ["ready.degraded"]}, facts)["ingest"].remediation == "leave_degraded_mode"


@pytest.mark.parametrize("code", SECURITY)
def test_security_is_urgent_and_never_restarted_away(code):
    """The configuration that brought it is undone; without a change a person acts."""
    decision = decided(code)
    assert (decision.category, decision.remediation) == ("security", None)
    assert decision.severity in {Severity.CRITICAL, Severity.HIGH}
    if code != "certificate.expiring":
        assert decided(code, CONFIG).remediation == "rollback_config"


@pytest.mark.parametrize(
    "code", ["disk.full", "traffic.none", "request_id.lost", "schema.behind", "database.read_only"]
)
def test_what_a_machine_cannot_put_right_is_for_people(code):
    """Whatever was changed."""
    assert decided(code).remediation is None
    assert decided(code, RELEASE, CONFIG).remediation is None
