"""The rows about containers: what is undone, what is restarted, and what a restart cannot help."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, combinations

import pytest

from ops_core.content import content_dir
from ops_core.decision.match import Decision, decide
from ops_core.decision.table import Severity, load_table
from ops_core.finding import Finding

AT = datetime(2026, 1, 4, 9, 5, tzinfo=UTC)
TABLE = load_table([content_dir() / "remediations" / "decisions.toml"])
CODES = tuple(f"container.{state}" for state in ("exited", "restarting", "unhealthy", "silent", "errors_logged"))
NEW = ("image.unproven",)
EXPECTED = {
    ("container.exited", ()): (Severity.CRITICAL, "restart_service"),
    ("container.exited", NEW): (Severity.CRITICAL, "rollback_image"),
    ("container.restarting", ()): (Severity.CRITICAL, None),
    ("container.restarting", NEW): (Severity.CRITICAL, "rollback_image"),
    ("container.unhealthy", ()): (Severity.CRITICAL, "restart_service"),
    ("container.unhealthy", NEW): (Severity.CRITICAL, "rollback_image"),
    ("container.silent", ()): (Severity.HIGH, "restart_service"),
    ("container.silent", NEW): (Severity.HIGH, "rollback_image"),
    ("container.errors_logged", ()): (Severity.LOW, None),
    ("container.errors_logged", NEW): (Severity.LOW, None),
}


def decided(codes: tuple[str, ...], facts: tuple[str, ...] = ()) -> Decision:
    """What the shipped table says about one container."""
    found = [Finding(code=code, target="api", check="check_it", evidence=(code,)) for code in codes]
    (decision,) = decide(TABLE, found, {"api": facts}, [], AT)
    return decision


@pytest.mark.parametrize(("asked", "answer"), EXPECTED.items(), ids=lambda v: "+".join([v[0], *v[1]]) if v[1] else v[0])
def test_a_finding_about_a_container_is_answered(
    asked: tuple[str, tuple[str, ...]], answer: tuple[Severity, str | None]
) -> None:
    """A new image is undone; without one it is restarted, unless the engine does that already; errors are for people."""
    decision = decided((asked[0],), asked[1])
    assert (decision.severity, decision.remediation) == answer


@pytest.mark.parametrize("facts", [(), NEW], ids=["same image", "new image"])
def test_more_findings_never_calm(facts: tuple[str, ...]) -> None:
    """Over all sets of findings: one is decided, and what comes in addition does not lower its severity."""
    for codes in chain.from_iterable(combinations(CODES, n) for n in range(1, len(CODES) + 1)):
        decision = decided(codes, facts)
        assert decision.severity.rank == min(decided((code,), facts).severity.rank for code in codes)
