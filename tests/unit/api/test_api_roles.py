"""Every route, asked by everybody, from every state: who is let in, who is not, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ops_core.api.app import create_app
from ops_core.api.authority import Act
from ops_core.clock import ManualClock
from ops_core.config import load_settings
from ops_core.control.location import location_of
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator, issue_token, revoke_token
from ops_core.control.service import ControlPlane
from tests.operating import Site
from tests.support import sampled

pytestmark = pytest.mark.slow  # some thousand requests
NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
SCOPES = [act.value for act in Act]
BAD_TOKENS = ("none", "garbage", "expired", "revoked")
STATES = ("rest", "stopped", "gate", "sender", "unknown")
DIGEST, SIGNATURE = "0" * 64, "0" * 128
READS = (
    "/api/status", "/api/secrets/self_test", "/api/emergency_stop", "/api/execution_gate",
    "/api/real_enable_window/latest", "/api/approvals/real_enable/latest", "/api/real_sender_enable", "/api/ops/health",
    "/api/ops/scheduler/latest", "/api/ops/daily", "/api/ops/push/live_fire/latest", "/api/ops/push/postmortem/latest",
    "/api/ops/push/postmortem/regenerate", "/metrics", "/openapi.json",
    "/api/ops/summary/latest", "/api/live/cycle/latest",
)  # fmt: skip
ALERTS = {
    "version": "4",
    "groupKey": "{}:{}",
    "alerts": [{"status": "resolved", "labels": {"alertname": "A"}, "startsAt": "2026-11-30T00:00:00Z"}],
}
# What is asked for, and the scope that it needs: "" never, "scope" always, "scope?" unless all is at rest.
WRITES: dict[str, tuple[str, dict[str, Any] | None, str]] = {
    "engage": ("/api/emergency_stop", {"enabled": True, "reason": "r"}, ""),
    "release": ("/api/emergency_stop", {"enabled": False, "reason": "r"}, "stop?"),
    "close the gate": ("/api/execution_gate", {"mode": "DRY_RUN", "reason": "r"}, ""),
    "mock": ("/api/execution_gate", {"mode": "MOCK_ONLY", "reason": "r"}, ""),
    "open the gate": ("/api/execution_gate", {"mode": "REAL_ENABLED", "reason": "r"}, "gate"),
    "request": ("/api/real_enable_window/request", {"reason": "r"}, "window"),
    "revoke": ("/api/real_enable_window/revoke", {"reason": "r"}, ""),
    "approve": ("/api/approvals/real_enable/approve", {"digest": DIGEST, "signature": SIGNATURE}, "approve"),
    "enable": ("/api/real_sender_enable", {"enabled": True, "reason": "r"}, "sender"),
    "disable": ("/api/real_sender_enable", {"enabled": False, "reason": "r"}, ""),
    "cycle": ("/api/ops/cycle/run", None, "cycle?"),
    "fire": ("/api/ops/push/live_fire/run", None, "fire?"),
    "alerts": ("/api/ops/alerts/alertmanager", ALERTS, "alert"),
    "postmortem": ("/api/ops/push/postmortem/regenerate", None, ""),
    "live cycle": ("/api/live/cycle/run?confirm=true", None, "cycle?"),
    "summary": ("/api/ops/summary/regenerate?confirm=true", None, "cycle?"),
}
# Looked at in tests of their own: what they answer depends on what is in force, and on what is asked for.
ELSEWHERE = {("GET", "/api/live/alerts/preview"), ("GET", "/api/snapshots/resolve")}
# The scope that a token must have where one is sent though none is needed: it names who acts.
# What closes needs none and is refused to nobody.
NAMED = {"release": "stop", "cycle": "cycle", "fire": "fire", "live cycle": "cycle", "summary": "cycle"}


@dataclass
class World:
    """One application on one store, and tokens of all kinds."""

    site: Site
    plane: ControlPlane
    clock: ManualClock
    app: Any
    tokens: dict[str, str]
    launched: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def ask(self, method: str, path: str, token: str, body: Any = None) -> httpx.Response:
        """One answer."""
        sent = self.tokens[token]
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}

        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, headers=headers, json=body)

        return asyncio.run(asking())

    def picture(self) -> str:
        """Everything that decides, and how long the history is."""
        with self.plane.snapshot() as found:
            return json.dumps([found.state.as_dict(), found.head], default=str)

    def go_to(self, state: str) -> None:
        """Bring the control plane into a state."""
        if state == "gate":
            self.plane.set_gate("REAL_ENABLED", "r", ttl_s=8 * 3600)
        elif state == "sender":
            self.plane.enable_sender("TELEGRAM_ONLY", "r")
        elif state == "stopped":
            self.plane.engage("r")
        elif state == "unknown":
            self.plane.path.chmod(0o644)

    def go_back(self) -> None:
        """Bring it to rest."""
        self.plane.path.chmod(0o600)
        (self.plane.path.parent / "EMERGENCY_STOP").unlink(missing_ok=True)
        self.plane.set_gate("DRY_RUN", "r")
        self.plane.disable_sender("r")
        self.plane.release("r")
        self.launched.clear()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Five people's worth of tokens; the clock stands still."""
    site = Site(tmp_path_factory.mktemp("roles")).write()
    clock = ManualClock(NOW - timedelta(days=20))
    settings = load_settings(site.root / "ops.toml", environ={})
    plane_of(settings, clock, "tests").create()
    # The rig's own acts are not mirrored: they are many.
    plane = ControlPlane(location_of(settings), clock, actor="tests")
    plane.release("r")

    def person(name: str, *scopes: str) -> str:
        return add_operator(plane, name, key_file=site.key(name), scopes=scopes).token

    tokens = {"none": "", "garbage": "ops_" + "x" * 43}
    for scope in SCOPES:
        tokens[scope] = person(f"only-{scope}", scope)
    tokens["all"] = person("all", *SCOPES)
    tokens["expired"] = issue_token(plane, "all", scopes=tuple(SCOPES), token_days=1).token
    revoked = issue_token(plane, "all", scopes=tuple(SCOPES))
    tokens["revoked"] = revoked.token
    revoke_token(plane, revoked.id)
    clock.instant = NOW
    found = World(site=site, plane=plane, clock=clock, app=None, tokens=tokens)

    def launching(_settings: Any, module: str, request: dict[str, Any]) -> dict[str, Any]:
        found.launched.append((module, request))
        return {"schema": "receipt", "outcome": "BLOCKED"}

    found.app = create_app(settings, clock, launching=launching)
    yield found
    found.app.state.context.urgent.shutdown()


def scope_needed(act: str, state: str, token: str) -> str:
    """The scope without which the act is refused: written down apart from the code that decides it."""
    scope = WRITES[act][2]
    if scope.endswith("?"):
        scope = scope[:-1] if state in {"gate", "sender", "unknown"} else ""
    if not scope and token != "none":
        scope = NAMED.get(act, "")
    return scope


def expected(act: str, state: str, token: str) -> set[int]:
    """The statuses with which the act may be answered."""
    scope = scope_needed(act, state, token)
    if scope and token in BAD_TOKENS:
        return {401} if state != "unknown" or token == "none" else {401, 503}
    if scope and token not in {scope, "all"}:
        return {403} if state != "unknown" else {403, 503}
    if state == "unknown":
        return {200, 409, 503}
    return {200, 202, 409}


@pytest.mark.parametrize(("act", "state"), sampled(itertools.product(WRITES, STATES), 0.4))
def test_acts(world: World, act: str, state: str) -> None:
    """Let in exactly with the scope that this act needs in this state; a refusal leaves everything as it was."""
    path, body, _scope = WRITES[act]
    world.go_to(state)
    try:
        for token in world.tokens:
            before = "" if state == "unknown" else world.picture()
            found = world.ask("POST", path, token, body)
            assert found.status_code in expected(act, state, token), (token, found.text)
            if found.status_code in {200, 202}:
                world.go_back()
                world.go_to(state)
                continue
            told = found.json()
            assert set(told) == {"ok", "error", "where", "allowed", "next"}
            assert told["error"]
            assert world.tokens[token] == "" or world.tokens[token] not in found.text
            assert not world.launched
            assert state == "unknown" or found.status_code == 409 or world.picture() == before
    finally:
        world.go_back()


@pytest.mark.parametrize(("path", "state"), sampled(itertools.product(READS, STATES), 0.4))
def test_looking(world: World, path: str, state: str) -> None:
    """Nobody needs a token for looking, no token is in the way, and looking changes nothing that decides."""
    world.go_to(state)
    try:
        for token in ("none", "garbage", "all"):
            found = world.ask("GET", path, token)
            assert found.status_code == 200 or (state == "unknown" and found.status_code == 503), found.text
            assert world.tokens[token] == "" or world.tokens[token] not in found.text
    finally:
        world.go_back()


@pytest.mark.parametrize("state", ["rest", "gate"])
@pytest.mark.parametrize("token", ["none", "cycle", "fire", "all"])
def test_a_cycle_fires_only_for_who_may_fire(world: World, token: str, state: str) -> None:
    """The scope `cycle` alone is no way around the scope `fire`."""
    world.go_to(state)
    try:
        found = world.ask("POST", "/api/ops/cycle/run", token)
        if found.status_code == 200:
            (launched,) = world.launched
            assert launched[1]["authorised_to_fire"] is (token == "all")
        else:
            assert token in {"none", "fire"}
    finally:
        world.go_back()


def test_every_route_is_in_this_test(world: World) -> None:
    """A route that is added has to say here who may use it."""
    documented = {
        (method.upper(), path) for path, methods in world.app.openapi()["paths"].items() for method in methods
    }
    asked = ELSEWHERE | {("POST", path.partition("?")[0]) for path, _body, _scope in WRITES.values()}
    asked |= {("GET", path) for path in READS if path != "/openapi.json"}
    assert documented == asked


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic YWxsOg==", "ops_x", "Bearer a b", "Bearer " + "x" * 5000, "bearer\tx"]
)
def test_a_header_that_is_no_token_is_told(world: World, header: str) -> None:
    """With the same answer as for a wrong one, for looking as for acting where somebody is asked for."""
    world.tokens["odd"] = ""

    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(app=world.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.post("/api/ops/cycle/run", headers={"Authorization": header})

    try:
        found = asyncio.run(asking())
    finally:
        del world.tokens["odd"]
    assert found.status_code == 401
    assert found.headers["www-authenticate"].startswith("Bearer")
    assert not world.launched
