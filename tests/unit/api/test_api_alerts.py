"""The webhook: what is no webhook is told so and leaves no trace, and what is one is answered at once."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ops_core.api.alerts import EXAMPLE
from ops_core.api.app import create_app
from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of
from ops_core.control.people import add_operator
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused
from tests.operating import Site
from tests.support import eventually

PATH = "/api/ops/alerts/alertmanager"


@dataclass
class Bench:
    """One application, its store, and the looks that it started."""

    app: Any
    plane: ControlPlane
    token: str
    other: str
    looks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[dict[str, Any] | Exception] = field(default_factory=list)

    def send(self, content: bytes, *, token: str | None = None, kind: str = "application/json") -> httpx.Response:
        """One answer."""
        headers = {"content-type": kind, "authorization": f"Bearer {self.token if token is None else token}"}

        async def asking() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.post(PATH, content=content, headers=headers)

        return asyncio.run(asking())

    def head(self) -> tuple[int, str]:
        """How far the history has come."""
        with self.plane.snapshot() as found:
            return found.head


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Released, with somebody who may send alerts and somebody who may not."""
    site = Site(tmp_path_factory.mktemp("alerts")).write()
    settings, clock = load_settings(site.root / "ops.toml", environ={}), SystemClock()
    plane = plane_of(settings, clock, "tests")
    plane.create()
    plane.release("r")
    token = add_operator(plane, "prom", key_file=site.key("prom"), scopes=("alert",)).token
    other = add_operator(plane, "ann", key_file=site.key("ann"), scopes=("cycle", "fire", "window")).token
    found = Bench(app=None, plane=plane, token=token, other=other)

    def launching(_settings: Any, module: str, request: dict[str, Any]) -> dict[str, Any]:
        found.looks.append((module, request))
        told = found.answers.pop(0) if found.answers else {"left": 0}
        if isinstance(told, Exception):
            raise told
        return told

    found.app = create_app(settings, clock, launching=launching)
    yield found
    found.app.state.context.urgent.shutdown()


def but(**changes: Any) -> dict[str, Any]:
    """The example with another group, and something else in its one alert or around it."""
    found = copy.deepcopy(EXAMPLE)
    alert = changes.pop("alert", {})
    found["alerts"][0].update(alert)
    return {**found, **changes}


def text(value: Any) -> bytes:
    """As JSON, with whatever JSON does not have."""
    return json.dumps(value).encode()


BAD: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "no JSON": (b"alerts!", 400),
    "a list": (b"[]", 422),
    "version 3": (text(but(version="3")), 422),
    "version as a number": (text(but(version=4)), 422),
    "no version": (text({key: one for key, one in EXAMPLE.items() if key != "version"}), 422),
    "no group": (text(but(groupKey="")), 422),
    "no alerts": (text(but(alerts=[])), 422),
    "an alert that is a text": (text(but(alerts=["x"])), 422),
    "another status": (text(but(alert={"status": "burning"})), 422),
    "labels that are numbers": (text(but(alert={"labels": {"alertname": 7}})), 422),
    "no instant": (text(but(alert={"startsAt": "yesterday"})), 422),
    "an instant of no time": (text(but(alert={"startsAt": "0001-01-01T00:00:00Z"})), 422),
    "not a number": (text(but(truncatedAlerts=float("nan"))), 400),
    "beyond all numbers": (text(EXAMPLE).replace(b'"truncatedAlerts": 0', b'"truncatedAlerts": 1e999'), 400),
    "below nothing": (text(but(truncatedAlerts=-1)), 422),
    "half a character": (text(EXAMPLE).replace(b"ErrorsHigh", b"\\ud800"), 400),
    "a key twice": (text(EXAMPLE).replace(b'{"version"', b'{"groupKey": "x", "version"'), 400),
    "deep": (text(but(more="X")).replace(b'"X"', b"[" * 5000 + b"]" * 5000), 400),
    "thousands": (text(but(alerts=[{"status": "firing", "labels": {}, "startsAt": ""}] * 1000)), 422),
    "huge": (text(but(alerts=EXAMPLE["alerts"] * 5000)), 413),
    "many labels": (text(but(alert={"labels": {str(number): "x" for number in range(200)}})), 422),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_webhook_leaves_no_trace(bench: Bench, name: str) -> None:
    """The error says where and what is allowed; nothing is recorded, nothing is looked at."""
    content, status = BAD[name]
    before, looks = bench.head(), len(bench.looks)
    found = bench.send(content)
    assert found.status_code == status, found.text
    told = found.json()
    assert set(told) == {"ok", "error", "where", "allowed", "next"}
    assert told["error"]
    assert (bench.head(), len(bench.looks)) == (before, looks)


def test_another_version_is_told_as_such(bench: Bench) -> None:
    """By its name."""
    told = bench.send(text(but(version="5"))).json()
    assert (told["where"], "version than 4" in told["error"]) == ("body.version", True)


@pytest.mark.parametrize(("token", "status"), [("", 401), ("ops_" + "x" * 43, 401), ("other", 403)])
def test_a_forged_one_leaves_no_trace(bench: Bench, token: str, status: int) -> None:
    """Without a token, with a wrong one, with one that is good for other things."""
    before = bench.head()
    assert bench.send(text(EXAMPLE), token=bench.other if token == "other" else token).status_code == status
    assert bench.head() == before


def test_one_is_taken_once_and_looked_at(bench: Bench) -> None:
    """What its makers add is let be. Sent again it changes nothing; a look begins behind the answer."""
    bench.looks.clear()
    sent = text(but(groupKey="{}:{once}", receiver="runbook", externalURL="http://am", commonLabels={}))
    first = bench.send(sent)
    assert (first.status_code, first.json()["opened"], first.json()["look"]) == (202, True, "queued")
    eventually(lambda: bool(bench.looks), "a look begins")
    assert bench.looks[0] == ("ops_core.incident.alerted", {"actor": "alert"})
    before = bench.head()
    again = bench.send(sent).json()
    assert (again["status"], again["known"], again["incident"]) == ("known", 1, first.json()["incident"])
    assert bench.head() == before


def test_looks_go_on_while_some_wait(bench: Bench) -> None:
    """One process after the other; one that is refused or fails ends nothing but itself."""
    bench.send(text(but(groupKey="{}:{more}")))
    eventually(lambda: not bench.app.state.context.looks.busy, "the looks have ended")
    bench.looks.clear()
    bench.answers[:] = [{"left": 2}, {"left": 1}, {"left": 0}]
    bench.app.state.context.looks.wake()
    eventually(lambda: not bench.app.state.context.looks.busy, "the looks have ended")
    assert len(bench.looks) == 3
    bench.answers[:] = [Refused("stopped")]
    bench.app.state.context.looks.wake()
    eventually(lambda: not bench.app.state.context.looks.busy, "the looks have ended")
    assert len(bench.looks) == 4


def test_stopped_nothing_is_started(bench: Bench) -> None:
    """The alert is taken, and the look waits in the record."""
    bench.plane.engage("stop")
    bench.looks.clear()
    try:
        told = bench.send(text(but(groupKey="{}:{stopped}"))).json()
        assert (told["opened"], told["look"]) == (True, "waits")
        eventually(lambda: not bench.app.state.context.looks.busy, "nothing is started")
        assert not bench.looks
    finally:
        bench.plane.release("r")
