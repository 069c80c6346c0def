"""The suites `service` and `bench`: each check is red for what it is for and green otherwise, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import HostileServer
from observing import Project
from serving import DEGRADED, MODE, UNREADY, Service, page

from ops_core.verdict import Judged, Verdict, exit_code_of

Serve = Callable[..., HostileServer]
GOOD, BAD, UNKNOWN, SKIPPED = Judged.GOOD, Judged.BAD, Judged.UNKNOWN, Judged.SKIPPED
STRONG = "9f2Lq7ZtX0aVb4Rk8WmYc1HdEs6UgJp3"

ALIVE, READY, NOT_DEGRADED = "check_service_is_alive", "check_service_is_ready", "check_service_is_not_degraded"
ERRORS, LATENCY, TRAFFIC = "check_error_rate", "check_latency_p95", "check_requests_come"
ID, BODY, BATCH = "check_request_keeps_its_id", "check_large_body_is_refused", "check_large_batch_is_refused"
THERE, STRONG_ENOUGH, ROOM = "check_secrets_are_there", "check_secrets_are_strong", "check_disk_has_room"

# What a service is like, and what is then judged other than good of it.
CASES: dict[str, tuple[Service, dict[str, object], dict[str, Judged]]] = {
    "healthy": (Service(), {}, {}),
    "not-alive": (Service(live=(500, {})), {}, {ALIVE: BAD}),
    "moved": (Service(live=(301, {})), {}, {ALIVE: BAD}),
    "unready": (Service(ready=UNREADY), {}, {READY: BAD}),
    "degraded": (Service(ready=DEGRADED), {}, {NOT_DEGRADED: BAD}),
    "mode": (Service(ready=MODE), {}, {NOT_DEGRADED: BAD}),
    "undocumented": (Service(ready=(503, {"status": "degraded"})), {}, {READY: BAD}),
    "failing": (Service(metrics=[page(100), page(108, 2)]), {}, {ERRORS: BAD}),
    "failed-once": (Service(metrics=[page(100, 50)]), {}, {ERRORS: SKIPPED}),
    "at-the-limit": (Service(metrics=[page(100), page(199, 1)]), {}, {}),
    "slow": (Service(metrics=[page(100), page(120, quick=101)]), {}, {LATENCY: BAD}),
    "slow-once": (Service(metrics=[page(100, quick=0)]), {}, {LATENCY: SKIPPED}),
    "never-asked": (Service(metrics=[page(0)]), {}, {TRAFFIC: BAD}),
    "not-expected": (Service(metrics=[page(0)]), {"traffic_expected": False}, {TRAFFIC: SKIPPED}),
    "no-figures": (Service(metrics=["up 1\n"]), {}, {ERRORS: UNKNOWN, LATENCY: UNKNOWN, TRAFFIC: UNKNOWN}),
    "id-lost": (Service(echo=lambda _: None), {}, {ID: BAD}),
    "id-replaced": (Service(echo=lambda _: "other"), {}, {ID: BAD}),
    "body-taken": (Service(body=(202, {})), {}, {BODY: BAD}),
    "batch-taken": (Service(batch=(202, {})), {}, {BATCH: BAD}),
    "refused-otherwise": (Service(body=(413, {}), batch=(422, {})), {}, {BODY: BAD, BATCH: BAD}),
    "who-are-you": (Service(body=(401, {}), batch=(429, {})), {}, {BODY: UNKNOWN, BATCH: UNKNOWN}),
    "falls-over": (Service(body=(500, {}), batch=(503, {})), {}, {BODY: UNKNOWN, BATCH: UNKNOWN}),
    "no-secret": (Service(), {"required_secrets": ["GOOD_ONE", "NONE"]}, {THERE: BAD}),
    "weak-secret": (Service(), {"required_secrets": ["WEAK_ONE"]}, {STRONG_ENOUGH: BAD}),
    "full": (Service(), {"disk_free_min_percent": 100}, {ROOM: BAD}),
    "empty-is-enough": (Service(), {"disk_free_min_percent": 0}, {}),
}
NOT_LOGGED = {"id-unlogged": (Service(), {}, {ID: BAD})}
JUDGED = {ALIVE, READY, NOT_DEGRADED, ERRORS, LATENCY, TRAFFIC, ID, BODY, BATCH, THERE, STRONG_ENOUGH, ROOM}


class Flaky(Service):
    """Answers every other request of the benchmark with an error."""

    def _answer(self, path: str, content: bytes) -> tuple[int, object]:
        return (500, {}) if len(self.heads) % 2 else super()._answer(path, content)


def add(project: Project, serve: Serve, name: str, service: Service, **fields: object) -> None:
    """A target for everything that a service without a database is asked about."""
    log = Path(f"{name}.log")
    (project.root / log).touch()
    if name not in NOT_LOGGED:
        service.log = project.root / log
    server = serve(service)
    target: dict[str, object] = {
        "live_url": server.url("/health/live"),
        "ready_url": server.url("/health/ready"),
        "metrics_url": server.url("/metrics"),
        "error_rate_max": 0.01,
        "latency_p95_max_ms": 400,
        "ingest_url": server.url("/api/ingest"),
        "body_max_bytes": 5000,
        "batch_items_max": 10,
        "log_file": log,
        "required_secrets": ["GOOD_ONE"],
        "disk_path": ".",
        "disk_free_min_percent": 0.001,
        "traffic_expected": True,
    }
    project.target(name, **{**target, **fields})


@pytest.fixture
def service_project(project: Project) -> Project:
    project.suites, project.budgets = ("service",), {"total_s": 30}
    project.write("GOOD_ONE", STRONG)
    project.write("WEAK_ONE", "hunter2")
    project.tables = "".join(
        f'[profiles.default.secrets.{name}]\nfile = "{name}"\n' for name in ("GOOD_ONE", "WEAK_ONE", "NONE")
    )
    return project


def test_each_check_is_red_for_what_it_is_for_and_green_otherwise(service_project: Project, serve: Serve) -> None:
    """One run over a service for each case: exactly the named checks are not good, all others are."""
    cases = {**CASES, **NOT_LOGGED}
    for name, (service, fields, _) in cases.items():
        add(service_project, serve, name, service, **fields)
    ran = service_project.run("-m", "service")
    assert ran.exit_code == 1
    for name, (_, _, expected) in cases.items():
        judged = {j.check: j.judged for j in ran.observation.judgements if j.target == name and j.check in JUDGED}
        assert judged == {**dict.fromkeys(JUDGED, GOOD), **expected}, f"{name}\n{ran.output}"
    assert {f.code for f in ran.observation.findings if f.target == "degraded"} == {"ready.degraded"}
    assert ran.observation.facts["mode"] == ("degraded.on",)
    assert "degraded.on" not in ran.observation.facts.get("degraded", ())
    told = ran.record_path.read_text()
    assert STRONG not in told
    assert "hunter2" not in told


def test_a_degraded_mode_may_be_allowed_for_a_run(service_project: Project, serve: Serve) -> None:
    """--allow-ready-degraded: the documented one alone; what is unready stays red."""
    for name, (service, fields, _) in CASES.items():
        if name in ("healthy", "degraded", "unready", "undocumented"):
            add(service_project, serve, name, service, **fields)
    ran = service_project.run("-m", "service", "-k", "ready or degraded", "--allow-ready-degraded")
    assert ran.judged(NOT_DEGRADED) == dict.fromkeys(("healthy", "degraded", "unready", "undocumented"), GOOD)
    assert ran.judged(READY) == {"healthy": GOOD, "degraded": GOOD, "unready": BAD, "undocumented": BAD}


@pytest.mark.parametrize("suite", ["service", "bench"])
def test_a_suite_with_nothing_to_ask_about_is_not_green(project: Project, serve: Serve, suite: str) -> None:
    """No target has what the suite asks for: nothing was judged, and that is not HEALTHY."""
    project.suites = (suite,)
    project.target("one", health_url=serve().url())
    ran = project.run("-m", suite)
    assert ran.observation.verdict is Verdict.SKIPPED, ran.output
    assert exit_code_of(ran.observation.verdict) == 3


def test_the_benchmark_judges_limits_and_baseline(project: Project, serve: Serve) -> None:
    """Quick, too slow, slower than before, failing, with a damaged baseline, and without one."""
    project.suites = ("bench",)
    slow = {"bench_max_ms": 0.001, "bench_p95_max_ms": 0.001}
    cases: dict[str, tuple[Service, dict[str, object], object, tuple[Judged, Judged, Judged]]] = {
        "quick": (Service(), {}, {"median_ms": 500, "p95_ms": 900}, (GOOD, GOOD, GOOD)),
        "slow": (Service(), slow, None, (BAD, BAD, SKIPPED)),
        "failing": (Service(bench=(500, {})), {}, None, (UNKNOWN, UNKNOWN, UNKNOWN)),
        "failing-at-times": (Flaky(), {}, None, (UNKNOWN, UNKNOWN, UNKNOWN)),
        "damaged": (Service(), {}, [], (GOOD, GOOD, UNKNOWN)),
    }
    folder = project.root / "reports" / "bench"
    folder.mkdir(parents=True)
    for name, (service, fields, baseline, _) in cases.items():
        generous = {"bench_max_ms": 5000, "bench_p95_max_ms": 9000, "bench_requests": 5}
        project.target(name, bench_url=serve(service).url("/api/items"), **{**generous, **fields})
        if baseline is not None:
            (folder / f"default-{name}-baseline.json").write_text(json.dumps(baseline))
    ran = project.run("-m", "bench")
    for name, (*_, expected) in cases.items():
        checks = ("check_median", "check_p95", "check_as_quick_as_before")
        assert tuple(ran.judged(check)[name] for check in checks) == expected, f"{name}\n{ran.output}"


def test_much_slower_than_before_is_a_finding(project: Project, serve: Serve) -> None:
    """Also where the limits are kept; some milliseconds are not."""
    project.suites = ("bench",)
    project.check(
        """
        from ops_core import BenchEvidence
        @probe(budget_s=5, needs="before_ms")
        def bench(target):
            before = target.before_ms
            return BenchEvidence(url="u", profile="p", wanted=9, done=9, failed=0, median_ms=100.0, p95_ms=200.0,
                max_ms=1000, p95_max_ms=1000, baseline_median_ms=before, baseline_p95_ms=2 * before, baseline_at="2026")
        """,
        name="checks/conftest.py",
    )
    for before_ms, name in ((60.0, "slower"), (70.0, "as-before"), (200.0, "quicker")):
        project.target(name, vars={"before_ms": before_ms})
    shipped = Path(__file__).resolve().parents[2] / "checks" / "bench" / "check_bench.py"
    project.write("checks/bench/check_bench.py", shipped.read_text())
    project.suites = ()
    ran = project.run("checks/bench", "-m", "bench")
    assert ran.judged("check_as_quick_as_before") == {"slower": BAD, "as-before": GOOD, "quicker": GOOD}, ran.output
    assert "it was 60.0 ms" in ran.judgement("check_as_quick_as_before", "slower").seen
