"""Every fault of the service stack: it is real, its remedy heals it, and the runbook goes the whole way on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from postgresql import program
from support import need_program, sampled

from ops_core.clock import SystemClock, parse_instant
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.control.opening import plane_of
from ops_core.decision.table import load_table
from ops_core.drill.catalogue.circumstances import ROLLBACK_SCHEMA
from ops_core.drill.catalogue.service import LOWER_LIMITS
from ops_core.drill.fault import RESTART, ROLLBACK_CONFIG, ROLLBACK_RELEASE
from ops_core.drill.faults import FAULTS, SERVICE
from ops_core.drill.rehearse import environment_of, rehearse_on, see_it_healthy
from ops_core.drill.service_layout import INGEST
from ops_core.drill.service_stack import ServiceStack
from ops_core.drill.work_dir import GOOD_CONFIG, GOOD_RELEASE, swap_link
from ops_core.incident.documents import write_report
from ops_core.incident.handling import Responses, Saying
from ops_core.incident.opening import attach, open_incident
from ops_core.incident.severity import Scenario, Severity
from ops_core.observation.record import read_observation
from ops_core.report.markdown import check_citations

CLOCK = SystemClock()
TABLES = [content_dir() / "remediations" / "decisions.toml"]
# One for what a service stands on, and one for what is deployed to it.
ALWAYS = ("redis-stopped", "weak-secret")


# All of them are held by `make drills`, each on a stack of its own; here some, one after the other on the same stack.
SHARE = 0.03


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """One stack to break and to heal."""
    program("initdb")
    need_program("redis-server")
    with ServiceStack(tmp_path_factory.mktemp("service") / "w") as running:
        yield running


def write(stack, items=1):
    """What a client gets for a batch."""
    return stack.ask("/api/ingest", {"items": [{}] * items}, {"X-API-Key": stack.secret("API_KEY")})[0]


def read(stack):
    return stack.ask("/api/items")[0]


def by_hand(stack, fault):
    """What a person does for that remediation."""
    if fault.remediation == RESTART:
        stack.launch(fault.service)
        stack.wait(lambda: stack.ready() == (200, "ready"), "it does not get ready")
    elif fault.remediation == ROLLBACK_SCHEMA:
        stack.migrate("downgrade", "-1")
    elif fault.remediation == LOWER_LIMITS:
        stack.deploy_config(INGEST, "3.env", {"INGEST_MAX_BATCH_ITEMS": "50"})
        stack.restart(INGEST)
    else:
        if fault.remediation == ROLLBACK_RELEASE:
            swap_link(stack.layout.release_link(INGEST), GOOD_RELEASE)
        else:
            assert fault.remediation == ROLLBACK_CONFIG
            swap_link(stack.layout.config_link(INGEST), GOOD_CONFIG)
        stack.restart(INGEST)


SYMPTOMS = {
    "database-stopped": lambda s: (s.ready(), write(s), read(s)) == ((503, "degraded"), 503, 503),
    "redis-stopped": lambda s: (s.ready(), write(s), read(s)) == ((503, "degraded"), 202, 200),
    "ingest-killed": lambda s: (s.status(), read(s), write(s)) == (0, 0, 0),
    "unready-new-release": lambda s: (s.status(), read(s), write(s)) == (500, 200, 202),
    "bad-migration": lambda s: (s.ready(), write(s), read(s), s.schema()) == ((503, "unready"), 500, 500, "0003"),
    "wrong-database-port": lambda s: (s.ready(), read(s), s.schema()) == ((503, "degraded"), 503, "0002"),
    "overload": lambda s: (s.status(INGEST, "/health/live"), write(s, 101)) == (200, 413),
    "oversized-accepted": lambda s: (s.ready(), write(s, 101)) == ((200, "ready"), 202),
    "weak-secret": lambda s: (s.ready(), write(s)) == ((200, "ready"), 202),
}


EVERY_FAULT = pytest.mark.parametrize("fault", sampled([FAULTS[n] for n in SYMPTOMS], 0.6), ids=lambda f: f.name)
# Where nobody asks for a sample, those that are done by hand above.
REHEARSED = sampled(SERVICE, SHARE, always=lambda one: one.name in ALWAYS)
if len(REHEARSED) == len(SERVICE):
    REHEARSED = [FAULTS[name] for name in SYMPTOMS]


# The report that the runbook asks for, and what only people know of it.
SCENARIOS = {
    "database-stopped": (Scenario.DATABASE, "follow_up"),
    "redis-stopped": (Scenario.REDIS, "follow_up"),
    "overload": (Scenario.OVERLOAD, "capacity"),
}
RELEASED = (Scenario.RELEASE, "rollback_record")


@EVERY_FAULT
def test_a_fault_is_real_its_remedy_heals_it_and_it_can_be_withdrawn(stack, fault):
    """Each fault does what it is named for, goes by the remediation in the catalogue, done by hand, and leaves nothing."""
    fault.inject(stack)
    try:
        assert fault.in_force(stack)
        assert SYMPTOMS[fault.name](stack)
        by_hand(stack, fault)
        assert not fault.in_force(stack)
    finally:
        fault.withdraw(stack)
    assert (stack.ready(), write(stack), write(stack, 101), read(stack)) == ((200, "ready"), 202, 413, 200)
    assert stack.layout.versions_good(INGEST)
    assert stack.schema() == "0002"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["database-lost", "rollout-not-halted"])
def test_what_one_process_broke_another_puts_back(stack, name):
    """Whoever withdraws needs nothing but the work directory: who injected may be dead by then."""
    FAULTS[name].inject(stack)
    other = ServiceStack.attach(stack.work_dir)
    FAULTS[name].withdraw(other)
    FAULTS[name].withdraw(other)
    assert (stack.ready(), write(stack), read(stack)) == ((200, "ready"), 202, 200)
    assert not stack.rolling_out


@pytest.fixture(scope="module")
def rehearsed(stack):
    """The stack with its control plane, seen healthy: what a rehearsal begins with."""
    with environment_of(stack):
        settings = load_settings(stack.config, stack.PROFILE)
        plane = plane_of(settings, CLOCK, "drill")
        plane.create()
        plane.release("a rehearsal")
        plane.set_gate("MOCK_ONLY", "a rehearsal")
        see_it_healthy(stack, settings, lambda _line: None)
        yield settings, plane
        plane.verify_chain()


@pytest.mark.parametrize(
    "fault",
    [pytest.param(f, id=f.name, marks=() if f.name in ALWAYS else pytest.mark.slow) for f in REHEARSED],
)
def test_the_runbook_deals_with_a_fault(stack, rehearsed, fault):
    """Found by the suite `service`, decided, remedied, verified by the same checks, reported with citations that hold."""
    settings, plane = rehearsed
    told: list[str] = []
    done = rehearse_on(stack, fault, settings=settings, plane=plane, clock=CLOCK, say=told.append, verify_s=20)
    assert done.problems == (), "\n".join(told)
    view = done.view
    assert view.state == fault.ends
    assert done.restored
    looks = [read_observation(_record(stack, one.record)) for one in view.observations]
    assert {(one.code, one.target) for one in looks[0].findings} >= set(fault.expected)
    if fault.ends == "recovered" or fault.left:
        assert {one.code for one in looks[-1].findings} == set(fault.left)
    assert set(fault.facts) <= set(done.facts)
    if fault.row is not None and not fault.by_hand:
        assert fault.row in done.rows
        assert load_table(TABLES).first_match(fault.findings, fault.facts).id == fault.row
    folder = stack.reports_dir / "incidents" / view.id
    for name in ("incident.md", "postmortem.md"):
        check_citations((folder / name).read_text(encoding="utf-8"), view)
    if fault.name not in SYMPTOMS:
        return
    report = scenario_report(settings, plane, fault, view)
    sections = [line.removeprefix("## ") for line in report.splitlines() if line.startswith("## ")]
    assert sections[:4] == ["Impact", "Root cause", "Mitigation", "Recovery check"]
    assert view.id in report


def scenario_report(settings, plane, fault, view) -> str:
    """What people write of it: the loop's incident is attached, and they say only what no evidence can tell."""
    scenario, last = SCENARIOS.get(fault.name, RELEASED)
    opened = open_incident(
        settings,
        plane,
        CLOCK,
        title=fault.description["en"],
        severity=Severity.SEV2,
        scenario=scenario,
        source="hand",
        key="",
        affected=["/api/ingest"],
        version="v1",
        actor="drill",
        started_at=parse_instant(view.opened_at),
    )
    attach(plane, CLOCK, opened.id, view.id, actor="drill")
    told = {
        "impact.users": "nobody real",
        "cause.confirmed": fault.name,
        "mitigation.risk": "none",
        last: "a rehearsal",
    }
    if fault.left:
        # The last look is not good as long as something is left for a person, so it verifies nothing.
        looked = {"impact.period": "one minute", "verification.figures": "ready again", "verification.at": "just now"}
        told.update(looked)
    responses = Responses(plane, CLOCK, "drill")
    responses.update(opened.id, Saying(answers=told))
    return write_report(settings, responses.get(opened.id), "en", lambda _line: None)[1]


def _record(stack, shown: str) -> Path:
    path = Path(shown)
    return path if path.is_absolute() else stack.reports_dir / path.relative_to("reports")
