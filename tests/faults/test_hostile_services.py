"""Whatever a service and what it stands on do to who looks, the look ends in time; what was not seen is never good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hostile
from faults_expecting import assert_ended_in_time
from hostile import Connection, HostileServer
from observing import Project
from serving import Service, page

from ops_core.verdict import Judged, Verdict

Serve = Callable[..., HostileServer]
GOOD, BAD, UNKNOWN = Judged.GOOD, Judged.BAD, Judged.UNKNOWN
PROBES = ("live", "ready", "metrics", "request_id", "oversized_body", "oversized_batch", "database", "schema",
          "redis_server", "certificate")  # fmt: skip
ASKING = {
    "check_service_is_alive", "check_service_is_ready", "check_service_is_not_degraded", "check_request_keeps_its_id",
    "check_error_rate", "check_latency_p95", "check_requests_come", "check_large_body_is_refused",
    "check_large_batch_is_refused", "check_database_answers", "check_database_can_be_written", "check_schema_is_known",
    "check_schema_is_up_to_date", "check_redis_answers", "check_certificate_lasts",
}  # fmt: skip


def everything_at(root: Path, port: int) -> dict[str, object]:
    """A target whose every address is that port."""
    (root / "schema" / "versions").mkdir(parents=True, exist_ok=True)
    (root / "schema" / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (root / "service.log").touch()
    base = f"127.0.0.1:{port}"
    return {
        "live_url": f"http://{base}/health/live",
        "ready_url": f"http://{base}/health/ready",
        "metrics_url": f"http://{base}/metrics",
        "ingest_url": f"http://{base}/api/ingest",
        "body_max_bytes": 1 << 20,
        "batch_items_max": 100,
        "log_file": "service.log",
        "database_url": f"postgresql://x@{base}/x",
        "migrations": "schema/alembic.ini",
        "redis_url": f"redis://{base}/0",
        "certificate_url": f"https://{base}/",
        "bench_url": f"http://{base}/api/items",
    }


def test_what_accepts_and_never_answers_is_not_seen_and_delays_nobody(project: Project, serve: Serve) -> None:
    """Every question of the suite to a socket that never answers, and to one where connecting never ends."""
    project.suites = ("service",)
    project.budgets = {"total_s": 6, **dict.fromkeys(PROBES, 2)}
    project.target("wedged", **everything_at(project.root, serve(hostile.never_reads).port))
    project.target("fine", live_url=serve(Service()).url("/health/live"))
    with hostile.black_hole() as port:
        project.target("black-hole", **everything_at(project.root, port))
        ran = project.run("-m", "service")
    assert_ended_in_time(ran)
    for name in ("wedged", "black-hole"):
        judged = {j.check: j.judged for j in ran.observation.judgements if j.target == name and j.check in ASKING}
        assert judged == dict.fromkeys(ASKING, UNKNOWN), ran.output
    assert ran.judgement("check_service_is_alive", "fine").judged is GOOD
    assert "no answer within the budget of 2 s" in ran.judgement("check_database_answers", "wedged").seen
    assert ran.observation.verdict is Verdict.UNKNOWN


def test_a_service_that_never_answers_has_no_speed(project: Project, serve: Serve) -> None:
    """The benchmark ends with its budget, and judges nothing."""
    project.suites, project.budgets = ("bench",), {"total_s": 4, "bench": 1.5}
    project.target("wedged", bench_url=serve(hostile.never_answers).url())
    ran = project.run("-m", "bench")
    assert_ended_in_time(ran)
    judged = [one for one in ran.judged().values() if one is not Judged.SKIPPED]  # it has no versions to look at
    assert judged == [UNKNOWN] * 3


def endless_lines(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        c.send(b'http_requests_total{status="200"} 1\n' * 1000)


def large_page(c: Connection) -> None:
    """50 MB of metrics, well-formed."""
    c.read_request()
    part = b"".join(b'http_requests_total{path="/%d",status="200"} 1\n' % number for number in range(20_000))
    whole = (50 << 20) // len(part) + 1
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (whole * len(part)))
    for _ in range(whole):
        c.send(part)


def slow_page(c: Connection) -> None:
    c.read_request()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    c.drip(b"http_requests_total 1\n" * 100, every_s=0.2)


PAGES = {
    "large": (large_page, "larger than 4 MiB"),
    "endless": (endless_lines, "larger than 4 MiB"),
    "slow": (slow_page, "no answer within|saw status 200"),
    "html": (Service(metrics=["<html>Sign in</html>"]), "Prometheus' text format"),
    "nan": (Service(metrics=['http_requests_total{status="200"} NaN\n']), "no count"),
    "falling": (Service(metrics=[page(10, quick=20)]), "no histogram"),
    "other": (Service(metrics=["up 1\n"]), "requests are not counted"),
    "garbage": (hostile.garbage, "not valid HTTP"),
}


def test_no_page_of_metrics_is_believed_that_cannot_be(project: Project, serve: Serve) -> None:
    """50 MB, without end, byte by byte, of another kind, or with figures that cannot be: not seen, within the budget."""
    project.suites, project.budgets = ("service",), {"total_s": 8, "metrics": 5}
    for name, (behaviour, _) in PAGES.items():
        project.target(name, metrics_url=serve(behaviour).url("/metrics"))
    project.target("fine", metrics_url=serve(Service()).url("/metrics"))
    ran = project.run("-m", "service", "-k", "check_error_rate or check_latency_p95")
    assert_ended_in_time(ran)
    assert ran.judged("check_error_rate") == {**dict.fromkeys(PAGES, UNKNOWN), "fine": GOOD}, ran.output
    for name, (_, seen) in PAGES.items():
        told = ran.judgement("check_error_rate", name).seen
        assert any(part in told for part in seen.split("|")), f"{name}: {told}"


def test_a_log_that_is_no_log_is_not_read(project: Project, serve: Serve) -> None:
    """A device without end: the answer is seen, the log is not, and nobody waits for it."""
    project.suites, project.budgets = ("service",), {"total_s": 5, "request_id": 4}
    project.target("one", live_url=serve(Service()).url("/health/live"), log_file="/dev/zero")
    ran = project.run("-m", "service", "-k", "keeps_its_id")
    assert_ended_in_time(ran)
    assert ran.judgement("check_request_keeps_its_id", "one").judged is UNKNOWN
