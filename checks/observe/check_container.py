"""Does every container run and serve, and what does its log say?"""

import pytest

from ops_core import CannotLook, ContainerEvidence, HeartbeatEvidence, finding

CRASHES = 3
CRASHING_S = 600


@pytest.mark.observe
@finding("container.exited")
def check_container_runs(container: ContainerEvidence) -> None:
    """The container exists and is up, not paused."""
    assert container.state in {"running", "restarting"}, container.explain()


@pytest.mark.observe
@finding("container.restarting")
def check_container_stays_up(container: ContainerEvidence) -> None:
    """The engine does not have to start the container again and again."""
    crashing = container.restart_count >= CRASHES and (container.uptime_s or 0.0) < CRASHING_S
    assert container.state != "restarting" and not (container.state == "running" and crashing), container.explain()


@pytest.mark.observe
@finding("container.unhealthy")
def check_container_is_healthy(container: ContainerEvidence) -> None:
    """The container's own health check, where it has one, is content."""
    if container.state == "running" and container.health == "starting":
        raise CannotLook(f"its health check has not said anything yet: {container.explain()}")
    assert container.state != "running" or container.health != "unhealthy", container.explain()


@pytest.mark.observe
@finding("container.errors_logged")
def check_container_logs_no_errors(container: ContainerEvidence) -> None:
    """In the last hour, the container has logged no error since it was started."""
    if container.log_problem:
        pytest.skip(container.explain_log())
    assert container.state == "missing" or not container.log_errors, container.explain_log()


@pytest.mark.observe
@finding("container.silent")
def check_container_logs_heartbeats(heartbeat: HeartbeatEvidence) -> None:
    """The container's log holds the heartbeat that the target declares."""
    if not heartbeat.count and heartbeat.cut:
        raise CannotLook(f"the log is longer than what is read: {heartbeat.explain()}")
    if not heartbeat.count and heartbeat.uptime_s is not None and heartbeat.uptime_s < heartbeat.window_s:
        raise CannotLook(f"started {heartbeat.uptime_s:g} s ago: {heartbeat.explain()}")
    assert heartbeat.count, heartbeat.explain()
