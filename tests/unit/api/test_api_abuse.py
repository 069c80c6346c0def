"""What a program of this host can do without any token: stop everything, and nothing that fills, blocks or outruns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops_core.api import control_routes
from ops_core.api.app import LAUNCHED_MAX, create_app
from ops_core.api.authority import Act, closes
from ops_core.clock import ManualClock
from ops_core.config import load_settings
from ops_core.control import model
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator
from ops_core.control.service import ControlPlane
from tests.operating import Site

NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
STOP, GATE, SENDER = "/api/emergency_stop", "/api/execution_gate", "/api/real_sender_enable"
CYCLE, REVOKE = "/api/ops/cycle/run", "/api/real_enable_window/revoke"
ENGAGE, RELEASE = {"enabled": True, "reason": "r"}, {"enabled": False, "reason": "r"}
DRY, MOCK = {"mode": "DRY_RUN", "reason": "r"}, {"mode": "MOCK_ONLY", "reason": "r"}
OFF = {"enabled": False, "reason": "r"}
PER_HOUR = 5


@dataclass
class World:
    """One application, released and at rest, on which five acts an hour may be done without a token."""

    plane: ControlPlane
    clock: ManualClock
    token: str
    app: Any = None
    act: Callable[[], None] = lambda: None
    launched: list[dict[str, Any]] = field(default_factory=list)

    async def post(self, path: str, body: Any, authorization: str = "") -> httpx.Response:
        """One answer."""
        headers = {"Authorization": authorization} if authorization else {}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.post(path, headers=headers, json=body)

    def ask(self, path: str, body: Any, authorization: str = "") -> int:
        """The status of one answer."""
        return asyncio.run(self.post(path, body, authorization)).status_code

    def exhaust(self) -> None:
        """Do all that may be done without a token in this hour."""
        assert [self.ask(GATE, DRY) for _ in range(PER_HOUR + 1)] == [200] * PER_HOUR + [429]


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """The application; `act` is what a launched act does."""
    site = Site(tmp_path).write()
    settings = load_settings(site.root / "ops.toml", environ={})
    settings = replace(settings, serve=replace(settings.serve, anonymous_per_hour=getattr(request, "param", PER_HOUR)))
    clock = ManualClock(NOW)
    plane = plane_of(settings, clock, "tests")
    plane.create()
    plane.release("r")
    token = add_operator(plane, "ann", key_file=site.key("ann"), scopes=("window",)).token
    found = World(plane=plane, clock=clock, token=f"Bearer {token}")

    def launching(_settings: Any, _module: str, request: dict[str, Any]) -> dict[str, Any]:
        found.act()
        found.launched.append(request)
        return {"schema": "receipt"}

    found.app = create_app(settings, clock, launching=launching)
    yield found
    found.app.state.context.urgent.shutdown()


def test_the_history_cannot_be_filled_without_a_token(world: World) -> None:
    """All acts without a token share one account, which fills again with time; looking and refusals cost nothing."""
    world.exhaust()
    head = world.plane.audit_rows()[-1].seq
    for path, body in (
        (STOP, RELEASE),
        (GATE, MOCK),
        (SENDER, OFF),
        (CYCLE, None),
        ("/api/ops/push/live_fire/run", {}),
    ):
        assert world.ask(path, body) == 429, path
    assert world.ask(REVOKE, {"reason": "r"}) == 409
    assert world.plane.audit_rows()[-1].seq == head
    world.clock.sleep(3600 / PER_HOUR + 1)
    assert world.ask(STOP, RELEASE) == 200


def test_nobody_is_kept_from_what_makes_it_safer(world: World) -> None:
    """Not by an account that is empty: engaging, closing the gate, switching the sender off."""
    world.exhaust()
    world.plane.set_gate("REAL_ENABLED", "r", ttl_s=3600)
    world.plane.enable_sender("TELEGRAM_ONLY", "r")
    assert [world.ask(SENDER, OFF), world.ask(SENDER, OFF)] == [200, 429]
    assert [world.ask(GATE, MOCK), world.ask(GATE, DRY), world.ask(GATE, DRY)] == [200, 200, 429]
    assert world.ask(STOP, ENGAGE) == 200
    assert world.plane.state().stopped


def test_what_is_stopped_is_stopped_again_but_not_recorded_without_end(world: World) -> None:
    """Each is answered as a stop, and each ends what runs."""
    assert world.ask(STOP, ENGAGE) == 200
    world.exhaust()
    head = world.plane.audit_rows()[-1].seq
    for _ in range(3):
        told = asyncio.run(world.post(STOP, ENGAGE)).json()
        assert (told["enabled"], told["acknowledged"]) == (True, True)
    assert world.plane.audit_rows()[-1].seq == head


def test_a_release_that_comes_between_is_stopped_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engaging that found it stopped, and sees it released before it has answered, records a stop of its own."""
    world.plane.engage("r")
    world.exhaust()
    real = control_routes.end_all

    def ending(plane: ControlPlane, clock: ManualClock) -> Any:
        world.plane.release("in between")
        return real(plane, clock)

    monkeypatch.setattr(control_routes, "end_all", ending)
    assert world.ask(STOP, ENGAGE) == 200
    assert world.plane.state().stopped


def test_nothing_is_released_that_somebody_prepares_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token: what was seen at rest is what is released, or nothing is."""
    world.plane.engage("r")
    plain = ControlPlane.release

    def later(self: ControlPlane, *words: Any, **more: Any) -> Any:
        world.plane.set_gate("REAL_ENABLED", "being prepared", ttl_s=3600)
        return plain(self, *words, **more)

    monkeypatch.setattr(ControlPlane, "release", later)
    assert world.ask(STOP, RELEASE) == 409
    assert world.plane.state().stopped


@pytest.mark.parametrize("sent", ["Basic YWxsOg==", "Bearer", "Bearer " + "x" * 5000, "Bearer ops_" + "x" * 43, "own"])
def test_no_token_keeps_anybody_from_closing(world: World, sent: str) -> None:
    """One that is spoilt, unknown or good for something else; its owner is named where it counts."""
    world.plane.set_gate("REAL_ENABLED", "r", ttl_s=3600)
    world.plane.enable_sender("TELEGRAM_ONLY", "r")
    header = world.token if sent == "own" else sent
    assert [world.ask(STOP, ENGAGE, header), world.ask(GATE, DRY, header), world.ask(SENDER, OFF, header)] == [200] * 3
    assert model.effective_gate(world.plane.state(), NOW) is model.Gate.DRY_RUN
    assert {row.actor for row in world.plane.audit_rows()[-4:]} == {"api"}
    assert world.ask(GATE, {"mode": "REAL_ENABLED", "reason": "r"}, header) in {401, 403}


def test_a_slot_is_not_used_up_for_something_else(world: World) -> None:
    """It is run once; what it is asked for instead of what is configured, a person has to answer for."""
    assert world.ask(CYCLE, {"slot": "now", "request_types": ["NONSENSE"]}) == 401
    assert world.ask(CYCLE, {"slot": "now", "request_types": ["NONSENSE"]}, world.token) == 403
    assert not world.launched
    assert [world.ask(CYCLE, {"slot": "now"}), world.ask(CYCLE, {"request_types": ["OPS_CYCLE"]})] == [200, 200]


@pytest.mark.parametrize("world", [1000], indirect=True)
def test_acts_that_run_leave_room_for_closing(world: World) -> None:
    """However many are asked for at once, only so many run, and the others are told."""
    go, running = threading.Event(), threading.Semaphore(0)

    def act() -> None:
        running.release()
        assert go.wait(30)

    world.act = act
    fire = "/api/ops/push/live_fire/run"

    async def asking() -> tuple[list[int], int]:
        tasks = [asyncio.create_task(world.post(fire, {})) for _ in range(LAUNCHED_MAX)]
        for _ in range(LAUNCHED_MAX):
            await asyncio.to_thread(running.acquire)
        more = [(await world.post(fire, {})).status_code for _ in range(3)]
        closed = (await world.post(GATE, DRY)).status_code
        go.set()
        return [*more, *[(await one).status_code for one in tasks]], closed

    statuses, closed = asyncio.run(asking())
    assert (statuses, closed) == ([429] * 3 + [200] * LAUNCHED_MAX, 200)


def test_what_closing_makes_safer() -> None:
    """Only what somebody had opened; where nothing is known, everything."""
    rest = model.release(model.initial("ann", NOW), "ready", "ann", NOW)
    real = model.set_gate(rest, "REAL_ENABLED", "r", "ann", NOW)
    mock = model.set_gate(rest, "MOCK_ONLY", "r", "ann", NOW)
    on = model.enable_sender(rest, "TELEGRAM_ONLY", "r", "ann", NOW)
    assert not closes(Act.GATE, rest, NOW)
    assert not closes(Act.GATE, mock, NOW, model.Gate.MOCK_ONLY)
    assert closes(Act.GATE, mock, NOW)
    assert closes(Act.GATE, real, NOW, model.Gate.MOCK_ONLY)
    assert (closes(Act.SENDER, rest, NOW), closes(Act.SENDER, on, NOW)) == (False, True)
    assert closes(Act.GATE, model.unknown("gone"), NOW)
