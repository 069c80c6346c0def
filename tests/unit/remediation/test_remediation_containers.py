"""Restarting containers and rolling their images back, step by step, on a real engine."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine import TestEngine, shared_engine
from postgresql import common_folder

from ops_core.content import content_dir
from ops_core.engine import acting
from ops_core.engine.__main__ import main
from ops_core.engine.answers import BESIDE, DRAFT
from ops_core.engine.asking import Engine, EngineUnanswered
from ops_core.remediation import PlanContext
from ops_core.remediation.catalogue import load_folders
from ops_core.remediation.drivers import DriverUnanswered, driver_for
from ops_core.remediation.drivers.container import ContainerDriver
from ops_core.remediation.plan import ContainerIs, ContainerRunning, ContainerStopped, Plan, PlanRefused, Step
from ops_core.remediation.probing import Answer, look, never_begun
from ops_core.targets import Target

SHIPPED = load_folders((content_dir() / "remediations",))
ROOT = Path("/")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEngine]:
    """The engine of this run."""
    with shared_engine(common_folder(tmp_path_factory)) as running:
        yield running


def context_of(engine: TestEngine, name: str, good: str | None = None) -> PlanContext:
    """What a planner is handed about a container now."""
    target = Target(name="shop", driver="container", container=name, engine_socket=engine.socket)
    driver = driver_for(target, ROOT)
    assert isinstance(driver, ContainerDriver)
    return PlanContext(target=target, driver=driver, process=driver.state(), image_good=good)


def carry_out(steps: tuple[Step, ...]) -> None:
    """Run the steps as the runner does, and see that each had its outcome."""
    for step in steps:
        done = subprocess.run(step.argv, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert look(step.outcome, ROOT).answer is Answer.HOLDS, step


def test_a_restart_stops_and_starts_the_same_container(engine: TestEngine) -> None:
    """Another process in the container of the same id; a stopped one is only started."""
    name = engine.run("good")
    before = engine.find(name)
    plan = SHIPPED.get("restart_service").plan(context_of(engine, name))
    assert [step.argv[5:] for step in plan.steps] == [("stop", name), ("start", name)]
    carry_out(plan.steps)
    now = engine.find(name)
    assert (now.id, now.running) == (before.id, True)
    assert now.pid != before.pid
    carry_out(plan.steps[:1])
    assert len(SHIPPED.get("restart_service").plan(context_of(engine, name)).steps) == 1


def test_a_rollback_changes_places_and_back(engine: TestEngine) -> None:
    """The last good image under the old name; the way back brings the very container that was there."""
    name = engine.run("sick", RestartPolicy={"Name": "always"})
    broken = engine.find(name).id
    plan = SHIPPED.get("rollback_image").plan(context_of(engine, name, engine.images["good"]))
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.summary["en"] == "roll the image of shop back from service:sick to service:good"
    carry_out(plan.steps)
    engine.until(name, health="healthy")
    assert engine.find(name).image_id == engine.images["good"]
    parked = engine.find(f"{name}{BESIDE}{broken[:12]}")
    assert (parked.state, parked.raw["HostConfig"]["RestartPolicy"]["Name"]) == ("exited", "no")
    assert engine.find(name).raw["HostConfig"]["RestartPolicy"]["Name"] == "always"
    carry_out(plan.undo)
    back = engine.find(name)
    assert (back.id, back.state) == (broken, "running")
    assert back.raw["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_a_swap_that_was_cut_off_is_finished(engine: TestEngine) -> None:
    """Between the two renames nobody has the name; doing it once more gives it to the right one, and once more is fine."""
    name = engine.run("sick", start=False, RestartPolicy={"Name": "always"})
    old = engine.find(name)
    acting.draft(engine.client, name, engine.images["good"])
    acting.draft(engine.client, name, engine.images["good"])
    engine.client.ask("POST", f"/containers/{old.id}/rename?name={acting.parked(name, old.id)}")
    acting.swap(engine.client, name, name + DRAFT)
    assert engine.find(name).image_id == engine.images["good"]
    assert main([str(engine.socket), "swap", name, name + DRAFT]) == 1, "the draft is gone: it has the name"
    acting.swap(engine.client, name, old.id)
    acting.swap(engine.client, name, old.id)
    assert engine.find(name).id == old.id


class _CutOff(Engine):
    """An engine that is gone as soon as a network is to be connected."""

    def ask(self, method: str, path: str, *given: object, **named: Any) -> Any:
        if path == "/networks/back%20%2F%20net/connect":
            raise EngineUnanswered("it is gone")
        return super().ask(method, path, *given, **named)


def test_a_draft_that_was_cut_off_is_not_taken_for_one(engine: TestEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made, but not yet on all of its networks: it has no draft's name, so it is made anew and not put in force."""
    name = engine.run("sick", start=False)
    monkeypatch.setattr(acting, "further_networks", lambda _container: {"back / net": {}})
    with pytest.raises(EngineUnanswered):
        acting.draft(_CutOff(engine.socket), name, engine.images["good"])
    assert engine.client.find(name + DRAFT) is None
    half = engine.find(name + acting.MAKING)
    monkeypatch.undo()
    acting.draft(engine.client, name, engine.images["good"])
    assert engine.find(name + DRAFT).image_id == engine.images["good"]
    assert engine.client.inspect(half.id) is None
    assert engine.client.find(name + acting.MAKING) is None


def test_nobody_is_removed_who_is_no_draft(engine: TestEngine) -> None:
    """A container of the draft's name that was ever started stays, and the act ends."""
    name = engine.run("good", start=False)
    acting.draft(engine.client, name, engine.images["good"])
    engine.client.ask("POST", f"/containers/{name}{DRAFT}/start")
    with pytest.raises(acting.NotThere, match="it is not a draft of ours"):
        acting.draft(engine.client, name, engine.images["good"])
    assert engine.find(name + DRAFT).running


def test_what_cannot_be_rolled_back_is_refused(engine: TestEngine) -> None:
    """No image that was seen good, one that is gone, a container that its engine removes, no container at all."""
    name = engine.run("good")
    plan = SHIPPED.get("rollback_image").plan
    with pytest.raises(PlanRefused, match="was ever recorded as good"):
        plan(context_of(engine, name))
    with pytest.raises(PlanRefused, match="does not have the last good image any more: ffffffffffff"):
        plan(context_of(engine, name, "f" * 64))
    same = plan(context_of(engine, name, engine.images["good"]))
    assert [step.argv[5] for step in same.steps] == ["stop", "start"]
    passing = engine.run("good", AutoRemove=True)
    with pytest.raises(PlanRefused, match="is removed as soon as it stops"):
        plan(context_of(engine, passing, engine.images["good"]))
    with pytest.raises(DriverUnanswered, match="has no container"):
        context_of(engine, "nobody")
    other = dataclasses.replace(context_of(engine, name, engine.images["good"]), driver=_Other())
    with pytest.raises(PlanRefused, match="is not run as a container"):
        plan(other)


class _Other:
    """A driver of another kind."""


def test_marks_tell_whether_a_step_was_begun(engine: TestEngine) -> None:
    """Nothing done: the same mark. Stopped and started again: another one, though it looks the same."""
    name = engine.run("good")
    found = engine.find(name)
    outcome = ContainerStopped(engine=str(engine.socket), name=name, pid=found.pid)
    before = look(outcome, ROOT)
    assert before.answer is Answer.HOLDS_NOT
    assert never_begun(before.mark, look(outcome, ROOT))
    acting.stop(engine.client, name)
    assert look(outcome, ROOT).answer is Answer.HOLDS
    acting.start(engine.client, name)
    assert not never_begun(before.mark, look(outcome, ROOT))
    running = ContainerRunning(engine=str(engine.socket), name=name, not_pid=found.pid)
    assert look(running, ROOT).answer is Answer.HOLDS
    gone = ContainerIs(engine=str(engine.socket), name="nobody", id=found.id)
    assert look(gone, ROOT).answer is Answer.HOLDS_NOT


@pytest.mark.parametrize("how", ["missing", "silent", "dripping", "nonsense"])
def test_an_engine_that_does_not_answer_is_told_in_time(short: Path, how: str) -> None:
    """Whatever hangs, the limit is for all of the answer; nobody takes it for an answer."""
    path = short / "s"
    with socket.socket(socket.AF_UNIX) as server:
        if how != "missing":
            server.bind(str(path))
            server.listen()
        thread = threading.Thread(target=_answer, args=(server, how), daemon=True)
        thread.start()
        with pytest.raises(EngineUnanswered, match="the container engine cannot be asked"):
            Engine(path).ask("GET", "/version", limit_s=0.5)
        if how in {"missing", "nonsense"}:
            # The others would take their five seconds.
            assert look(ContainerIs(engine=str(path), name="a", id="b"), ROOT).answer is Answer.CANNOT_TELL
        if how != "missing":
            server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _answer(server: socket.socket, how: str) -> None:
    kept = []
    try:
        while how != "missing":
            one, _ = server.accept()
            kept.append(one)
            if how == "nonsense":
                one.sendall(b"220 welcome\r\n")
                one.close()
            elif how == "dripping":
                one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
    except OSError:
        pass
    finally:
        for one in kept:
            one.close()


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="s-") as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("/s",),
        ("/s", "remove", "a"),
        ("/s", "stop"),
        ("/s", "stop", "a", "b"),
        ("/s", "stop", "../a"),
        ("/s", "start", "a?b"),
    ],
)
def test_other_words_are_bad_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Only these verbs, with as many names as they take, and names are names."""
    assert main(words) == 64
    assert "usage:" in capsys.readouterr().err


def test_a_socket_that_is_not_ours_to_use_is_told(short: Path) -> None:
    """Exit 3: nobody could be asked."""
    assert main([str(short / "s"), "stop", "a"]) == 3
    assert os.listdir(short) == []  # noqa: PTH208 - nothing was made there
