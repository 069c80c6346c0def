"""A busy machine accuses nobody: what the targets did not take is not charged to them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import hostile
import pytest
from faults_expecting import assert_ended_in_time
from hostile import HostileServer
from observing import Project

from ops_core.verdict import Judged

Serve = Callable[..., HostileServer]


@contextlib.contextmanager
def busy_machine(processes: int = 2) -> Iterator[None]:
    """Processes that burn all the time they get; at an ordinary priority."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


@pytest.mark.slow
def test_on_a_busy_machine_no_healthy_target_is_unknown_or_slow(project: Project, serve: Serve) -> None:
    """Two hundred targets, short budgets, a strict limit on the latency, and every core taken."""
    server = serve(hostile.healthy)
    project.suites, project.budgets = ("observe",), {"total_s": 60, "health": 2}
    for number in range(200):
        project.target(f"t{number}", health_url=server.url(f"/{number}"))
    with busy_machine():
        ran = project.run("-m", "observe", "-k", "health")
    assert_ended_in_time(ran)
    for check in ("check_health_answers_200", "check_health_answers_in_time"):
        assert set(ran.judged(check).values()) == {Judged.GOOD}, ran.output
    assert ran.exit_code == 0


@pytest.mark.slow
def test_probes_that_compute_make_no_neighbour_slow(project: Project, serve: Serve) -> None:
    """Three hundred probes that each take the loop for ten milliseconds, beside healthy targets."""
    server = serve(hostile.healthy)
    project.suites, project.budgets = ("observe",), {"total_s": 60, "health": 2}
    for number in range(300):  # three seconds of computing in all, and none of them is the target's
        project.target(f"t{number}", health_url=server.url(f"/{number}"), health_latency_max_ms=1500)
    project.check(
        """
        @probe(budget_s=5, needs="health_url")
        async def computes(target, http):
            until = time.monotonic() + 0.01
            while time.monotonic() < until:
                pass
            return (await http.get(target.health_url)).status

        @finding("x.y")
        def check_computed(computes): assert computes == 200
        """
    )
    ran = project.run("-m", "observe", "-k", "health or computed")
    for check in ("check_health_answers_200", "check_health_answers_in_time", "check_computed"):
        assert set(ran.judged(check).values()) == {Judged.GOOD}, ran.output


def test_a_slow_target_is_told_slow_and_a_fast_one_is_not(project: Project, serve: Serve) -> None:
    """The latency that is judged is the target's own."""

    def slow(c: hostile.Connection) -> None:
        c.read_request()
        c.pause(3.0)
        c.send(hostile.OK)

    project.suites = ("observe",)
    project.target("slow", health_url=serve(slow).url(), health_latency_max_ms=1500)
    project.target("fast", health_url=serve(hostile.healthy).url(), health_latency_max_ms=1500)
    ran = project.run("-m", "observe", "-k", "in_time")
    assert ran.judged("check_health_answers_in_time") == {"slow": Judged.BAD, "fast": Judged.GOOD}


def test_waiting_for_a_place_is_not_charged_to_the_target(project: Project, serve: Serve) -> None:
    """Twenty targets that each take half their budget, two at a time."""

    def slow(c: hostile.Connection) -> None:
        c.read_request()
        c.pause(0.2)
        c.send(hostile.OK)

    server = serve(slow)
    project.suites, project.budgets = ("observe",), {"total_s": 20, "health": 0.5, "in_flight_max": 2}
    for number in range(20):
        project.target(f"t{number}", health_url=server.url(f"/{number}"))
    ran = project.run("-m", "observe", "-k", "answers_200")
    assert set(ran.judged("check_health_answers_200").values()) == {Judged.GOOD}, ran.output
