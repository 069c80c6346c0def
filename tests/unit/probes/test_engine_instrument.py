"""The `engine` instrument on a real engine: what it sees of containers and their logs."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator

import pytest
from engine import TestEngine, shared_engine
from postgresql import common_folder

from ops_core.engine import acting
from ops_core.errors import CannotLook
from ops_core.evidence.containers import ContainerEvidence
from ops_core.probes.instruments.context import LastGood, Lookout
from ops_core.probes.instruments.engine import EngineInstrument
from ops_core.targets import Target


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEngine]:
    """The engine of this run."""
    with shared_engine(common_folder(tmp_path_factory)) as running:
        yield running


def target_of(engine: TestEngine, name: str, **own: object) -> Target:
    """A target with that container."""
    return Target(name="shop", container=name, engine_socket=engine.socket, vars=own)


def see(lookout: Lookout, target: Target) -> ContainerEvidence:
    """What the instrument sees of a target's container."""
    return asyncio.run(EngineInstrument(lookout).container(target))


def test_a_container_that_runs_is_seen(engine: TestEngine, lookout: Lookout) -> None:
    """State, health, image, ports and log; another image than the last good one is a fact."""
    name = engine.run("good")
    engine.until(name, health="healthy")
    lookout = dataclasses.replace(lookout, read_last_good=lambda _: LastGood(image="f" * 64))
    found = see(lookout, target_of(engine, name))
    assert (found.state, found.health, found.ports, found.image) == ("running", "healthy", ("host",), "service:good")
    assert found.image_id == engine.images["good"]
    assert found.facts == ("image.unproven",)
    assert found.log_lines > 0
    assert (found.log_errors, found.log_problem) == (0, "")
    assert found.uptime_s is not None
    known = dataclasses.replace(lookout, read_last_good=lambda _: LastGood(image=engine.images["good"]))
    assert see(known, target_of(engine, name)).facts == ()


@pytest.mark.parametrize("tty", [False, True])
def test_a_container_that_crashed_is_seen_with_its_last_words(engine: TestEngine, lookout: Lookout, tty: bool) -> None:
    """Exit code and error line, from a log in frames and from a terminal's."""
    name = engine.run("crash", tty=tty)
    engine.until(name, state="exited")
    found = see(lookout, target_of(engine, name))
    assert (found.exit_code, found.log_errors, found.log_errors_all) == (3, 1, 1)
    assert found.log_excerpt[0].startswith("error: cannot start")
    assert "exited, exit code 3" in found.explain()
    assert "1 lines tell errors since its start" in found.explain_log()


def test_errors_before_the_last_start_are_told_apart(engine: TestEngine, lookout: Lookout) -> None:
    """A crash that a restart has cured is in the log of the hour, and is not held against what runs now."""
    name = engine.run("good")
    engine.signal(name, "USR1")
    engine.until(name, health="unhealthy")
    assert see(lookout, target_of(engine, name)).log_errors == 1
    for act in (acting.stop, acting.start):
        act(engine.client, name)
    found = see(lookout, target_of(engine, name))
    assert (found.log_errors, found.log_errors_all) == (0, 1)


def test_a_pattern_of_the_targets_own_counts(engine: TestEngine, lookout: Lookout) -> None:
    """One that cannot be used is said with its place."""
    name = engine.run("crash")
    engine.until(name, state="exited")
    assert see(lookout, target_of(engine, name, error_pattern="^WARN")).log_errors == 0
    with pytest.raises(CannotLook, match="error_pattern is not a regular expression"):
        see(lookout, target_of(engine, name, error_pattern="("))


def test_heartbeats_are_counted(engine: TestEngine, lookout: Lookout) -> None:
    """In the window; a window that is none is refused."""
    name = engine.run("good")
    engine.until(name, health="healthy")
    found = asyncio.run(EngineInstrument(lookout).heartbeats(target_of(engine, name, heartbeat_pattern="^heartbeat")))
    assert found.count > 0
    none = asyncio.run(EngineInstrument(lookout).heartbeats(target_of(engine, name, heartbeat_pattern="^pulse")))
    assert (none.count, none.ok) == (0, False)
    odd = target_of(engine, name, heartbeat_pattern="x", heartbeat_window_s=-1)
    with pytest.raises(CannotLook, match="heartbeat_window_s is -1"):
        asyncio.run(EngineInstrument(lookout).heartbeats(odd))


def test_a_service_of_a_project_is_seen_with_its_neighbours(engine: TestEngine, lookout: Lookout) -> None:
    """Found by its labels; the project's containers are listed with their status."""
    labels = {"com.docker.compose.project": "p-seen", "com.docker.compose.service": "web"}
    name = engine.run("good", labels=labels)
    other = engine.run("crash", labels={**labels, "com.docker.compose.service": "job"})
    engine.until(other, state="exited")
    found = see(lookout, target_of(engine, "web", compose_project="p-seen"))
    assert found.id == engine.find(name).id
    assert {one for one, _ in found.neighbours} == {name, other}


def test_what_is_not_there_is_missing(engine: TestEngine, lookout: Lookout) -> None:
    """The engine was asked, and has none of that name: seen, and bad. An engine that is not there has said nothing."""
    assert see(lookout, target_of(engine, "nobody")).state == "missing"
    away = Target(name="shop", container="a", engine_socket=engine.folder / "none")
    with pytest.raises(CannotLook, match="cannot be asked: No such file"):
        see(lookout, away)
