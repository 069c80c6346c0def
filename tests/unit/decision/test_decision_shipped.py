"""The decision table that is shipped: what it answers, over every combination of findings and facts."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from functools import cache
from itertools import chain, combinations

import pytest

from ops_core.config import LANGUAGES
from ops_core.content import content_dir
from ops_core.decision.match import Decision, decide
from ops_core.decision.scan import findings_in
from ops_core.decision.table import Severity, load_table
from ops_core.decision.validate import SHIPPED_FACTS, validate
from ops_core.evidence import DeploymentEvidence, SchemaEvidence
from ops_core.finding import Finding
from ops_core.remediation.catalogue import load_folders

AT = datetime(2026, 1, 4, 9, 5, tzinfo=UTC)
TABLE = load_table([content_dir() / "remediations" / "decisions.toml"])
CODES = (
    "config.missing",
    "emergency_stop.engaged",
    "gate.real_enabled",
    "guard.open",
    "guard.rejects_secret",
    "health.not_ok",
    "health.slow",
    "process.frozen",
    "process.not_running",
    "release.missing",
    "stream.silent",
)
# Of suites whose findings never meet those above in one observation.
ELSEWHERE = (
    "daily.approvals",
    "daily.cycle",
    "daily.gate",
    "daily.result",
    "daily.stopped",
    "daily.window",
    "incident.update_overdue",
)
LIVE_FIRE = (
    "live_fire.emergency_stop",
    "live_fire.gate_mode",
    "live_fire.hours",
    "live_fire.outbox_messages",
    "live_fire.self_test",
    "live_fire.sender_enable",
    "live_fire.weekday",
    "live_fire.window_active",
)
INTEGRITY = (
    "integrity.chain",
    "integrity.contracts",
    "integrity.gate_mirror",
    "integrity.logs",
    "integrity.other_mirrors",
    "integrity.real_without_permission",
    "integrity.stop_mirror",
    "integrity.tickets",
)
ON_TARGETS = tuple(code for code in CODES if not code.startswith(("emergency_stop", "gate")))
FACTS = CONFIG, RELEASE = ("config.unproven", "release.unproven")


def subsets(items, least=0):
    """All combinations of at least so many items."""
    return chain.from_iterable(combinations(items, n) for n in range(least, len(items) + 1))


@cache
def decided(codes: tuple[str, ...], facts: tuple[str, ...] = ()) -> Decision:
    """What the shipped table says about one target."""
    found = [Finding(code=code, target="api", check="check_it", evidence=(code,)) for code in codes]
    (decision,) = decide(TABLE, found, {"api": facts}, [], AT)
    return decision


def test_shipped_table_is_accepted():
    """Every finding of the shipped checks is decided, every row reached, every remediation and fact known."""
    names = load_folders((content_dir() / "remediations",)).names()
    raised = findings_in([content_dir() / "checks"])
    validate(TABLE, raised, names)
    assert {*CODES, *ELSEWHERE, *LIVE_FIRE, *INTEGRITY} <= set(raised)


@pytest.mark.parametrize("code", ELSEWHERE)
def test_operations_are_put_right_by_people(code):
    """What the operations find about themselves is answered with words, urgently, and with no machine's remedy."""
    decision = decided((code,))
    assert decision.remediation is None
    assert decision.severity in {Severity.CRITICAL, Severity.HIGH}
    assert "`ops " in decision.action()
    assert "`ops " in decision.action("ko")


@pytest.mark.parametrize("code", INTEGRITY)
def test_what_was_changed_by_hand_is_for_people(code):
    """Who changed it and why is found out by people: every finding of integrity has a command that helps, no remedy."""
    decision = decided((code,))
    assert (decision.remediation, decision.category) == (None, "security")
    assert all("`ops " in decision.action(language) for language in LANGUAGES)


def test_every_row_speaks_every_language():
    """People read the table in their own language, in composed characters."""
    for row in TABLE.rows:
        for texts in (row.cause, row.action):
            assert sorted(texts) == sorted(LANGUAGES), row.id
            assert all(unicodedata.is_normalized("NFC", text) for text in texts.values())
            assert not any(text.endswith(".") for text in texts.values()), row.id


EXPECTED = {
    ("guard.open", ()): (Severity.CRITICAL, "security", "rollback_config"),
    ("guard.open", (RELEASE,)): (Severity.CRITICAL, "security", "rollback_release"),
    ("guard.open", (CONFIG,)): (Severity.CRITICAL, "security", "rollback_config"),
    ("guard.open", FACTS): (Severity.CRITICAL, "security", "rollback_config"),
    ("guard.rejects_secret", ()): (Severity.CRITICAL, "security", "rollback_config"),
    ("guard.rejects_secret", (RELEASE,)): (Severity.CRITICAL, "security", "rollback_release"),
    ("guard.rejects_secret", (CONFIG,)): (Severity.CRITICAL, "security", "rollback_config"),
    ("guard.rejects_secret", FACTS): (Severity.CRITICAL, "security", "rollback_config"),
    ("release.missing", ()): (Severity.CRITICAL, "deployment", "rollback_release"),
    ("release.missing", FACTS): (Severity.CRITICAL, "deployment", "rollback_release"),
    ("config.missing", ()): (Severity.CRITICAL, "deployment", "rollback_config"),
    ("config.missing", FACTS): (Severity.CRITICAL, "deployment", "rollback_config"),
    ("process.frozen", ()): (Severity.CRITICAL, "availability", "restart_service"),
    ("process.frozen", FACTS): (Severity.CRITICAL, "availability", "restart_service"),
    ("process.not_running", ()): (Severity.CRITICAL, "availability", "restart_service"),
    ("process.not_running", (RELEASE,)): (Severity.CRITICAL, "deployment", "rollback_release"),
    ("process.not_running", (CONFIG,)): (Severity.CRITICAL, "deployment", "rollback_config"),
    ("process.not_running", FACTS): (Severity.CRITICAL, "deployment", "rollback_release"),
    ("health.not_ok", ()): (Severity.CRITICAL, "availability", "restart_service"),
    ("health.not_ok", (RELEASE,)): (Severity.CRITICAL, "deployment", "rollback_release"),
    ("health.not_ok", (CONFIG,)): (Severity.CRITICAL, "deployment", "rollback_config"),
    ("health.not_ok", FACTS): (Severity.CRITICAL, "deployment", "rollback_release"),
    ("stream.silent", ()): (Severity.HIGH, "availability", "restart_service"),
    ("stream.silent", (RELEASE,)): (Severity.HIGH, "deployment", "rollback_release"),
    ("stream.silent", (CONFIG,)): (Severity.HIGH, "availability", "restart_service"),
    ("health.slow", ()): (Severity.MEDIUM, "performance", "restart_service"),
    ("health.slow", (RELEASE,)): (Severity.MEDIUM, "performance", "rollback_release"),
    ("emergency_stop.engaged", ()): (Severity.HIGH, "control", None),
    ("gate.real_enabled", ()): (Severity.MEDIUM, "control", None),
}


@pytest.mark.parametrize(("asked", "answer"), EXPECTED.items(), ids=lambda v: "+".join([v[0], *v[1]]) if v[1] else v[0])
def test_single_finding_is_answered(asked, answer):
    """The runbook's own order: what is immediate, what has five minutes, what is undone first."""
    decision = decided((asked[0],), asked[1])
    assert (decision.severity, decision.category, decision.remediation) == answer


SEVERAL = {
    ("process.not_running", "health.not_ok", "guard.rejects_secret", "stream.silent"): "process-not-running",
    ("health.not_ok", "guard.rejects_secret", "stream.silent", "health.slow"): "health-not-ok",
    ("process.frozen", "health.not_ok", "guard.rejects_secret", "stream.silent"): "process-frozen",
    ("stream.silent", "health.slow"): "stream-silent",
    ("guard.rejects_secret", "stream.silent"): "guard-rejects-secret",
}


@pytest.mark.parametrize(("codes", "row_id"), SEVERAL.items(), ids=SEVERAL.values())
@pytest.mark.parametrize("facts", [(), (RELEASE,), (CONFIG,)], ids=["nothing new", "new release", "new config"])
def test_root_of_several_findings_is_treated(codes, row_id, facts):
    """A service that is down also refuses the secret and streams nothing: the cause is treated, not its effects."""
    decision = decided(codes, facts)
    assert decision.row_id is not None
    assert decision.row_id.removesuffix("-new-release").removesuffix("-new-config") == row_id
    assert set(decision.attributed) == set(codes) - {decision.findings[0]}


@pytest.mark.parametrize("missing", ["release", "config"])
def test_what_is_missing_is_put_back_before_anything_is_restarted(missing):
    """A restart cannot help where the version that it would start does not exist."""
    decision = decided((f"{missing}.missing", "process.not_running", "health.not_ok"))
    assert decision.remediation == f"rollback_{missing}"


@pytest.mark.parametrize("facts", list(subsets(FACTS)), ids="+".join)
def test_every_combination_is_decided_and_more_never_calms(facts):
    """Over all sets of findings: a row is found, security goes first, and one more finding never lowers severity."""
    for codes in subsets(CODES, least=1):
        decision = decided(codes, facts)
        assert decision.row_id is not None
        if "guard.open" in codes:
            assert decision.row_id.startswith("guard-open")
            assert (decision.severity, decision.category) == (Severity.CRITICAL, "security")
        for more in set(CODES).difference(codes):
            wider = tuple(code for code in CODES if code in codes or code == more)
            assert decided(wider, facts).severity.rank <= decision.severity.rank
        for fact in set(FACTS).difference(facts):
            wider_facts = tuple(f for f in FACTS if f in facts or f == fact)
            assert decided(codes, wider_facts).severity.rank <= decision.severity.rank


def test_only_what_changed_is_rolled_back_unless_the_guard_or_the_deployment_says_so():
    """Without a fact that something is unproven, no finding about health, stream or process rolls anything back."""
    for code in set(ON_TARGETS) - {"guard.open", "guard.rejects_secret", "release.missing", "config.missing"}:
        assert decided((code,)).remediation == "restart_service"


def test_nothing_that_people_set_is_undone_by_a_machine():
    """Emergency stop and gate are answered with words only."""
    for codes in subsets(("emergency_stop.engaged", "gate.real_enabled"), least=1):
        assert decided(codes).remediation is None
    assert "`ops estop release --reason …`" in decided(("emergency_stop.engaged",)).action()
    assert "`ops gate set DRY_RUN --reason …`" in decided(("gate.real_enabled",)).action("ko")


@pytest.mark.parametrize("code", LIVE_FIRE)
def test_what_a_live_fire_lacks_is_given_by_people(code):
    """What is missing before messages may leave is answered with words, and never urgently."""
    assert decided((code,)).remediation is None
    assert decided((code,)).severity in {Severity.MEDIUM, Severity.LOW}


def test_facts_of_the_table_are_those_that_the_evidence_reports():
    """The names are written at two places; here they are held together. Of a rollout, containers or others, elsewhere."""
    changed = DeploymentEvidence(
        release="v2",
        release_exists=True,
        release_good="v1",
        config="2.ops-degraded.ops-lowered",
        config_exists=True,
        config_good="1",
    )
    schema = SchemaEvidence(migrations="m", current=("2",), heads=("2",), reversible=True, good="1")
    assert {*changed.facts, *schema.facts} <= SHIPPED_FACTS
    assert len({*changed.facts, *schema.facts}) == 6
