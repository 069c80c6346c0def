"""The five steps over a real operator's host; its server answers in this process, whatever a test has it say."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from ops_core.api.app import create_app
from ops_core.live import run as live
from ops_core.live.snapshots import resolve
from ops_core.split import checks
from ops_core.split import run as split
from ops_core.split.asking import Asked, Backend
from ops_core.split.lock import DayRunning, claimed
from ops_core.split.steps import State
from tests.handing import Host, Hosts

NAMES = itertools.count()
MORE = 'decision_file = "recon_summary.json"\n'
HEALTH, MADE, LIVE = "/api/ops/health", "/api/ops/summary/regenerate", "/api/live/cycle/run"


class Server:
    """The server of a host, which answers here; `first` is told each path before it is answered."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.first: Callable[[str], Any] = lambda _: None
        self.asked: list[str] = []
        self.app = create_app(host.settings, host.clock, launching=self._launch)

    def _launch(self, _settings: Any, module: str, _request: Any) -> dict[str, Any]:
        assert module == "ops_core.live"
        return live.run(self.host.settings, self.host.plane, show=lambda _: "")

    def ask(self, method: str, path: str, *, budget_s: float, query: Mapping[str, str] | None = None) -> Asked:
        """As `Backend.ask`."""
        assert budget_s > 0
        self.asked.append(path)
        instead = self.first(path)
        if instead is not None:
            return Asked(method=method, path=path, status=200, document=instead)
        answer = asyncio.run(self._answered(method, path, query))
        return Asked(method=method, path=path, status=answer.status_code, document=answer.json())

    async def _answered(self, method: str, path: str, query: Mapping[str, str] | None) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.request(method, path, params=query)

    def close(self) -> None:
        """End its threads."""
        self.app.state.context.urgent.shutdown()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """A producer that has published."""
    made = Hosts(tmp_path_factory.mktemp("day") / "hosts")
    made.published(decision="HOLD")
    return made


@pytest.fixture
def server(hosts: Hosts, monkeypatch: pytest.MonkeyPatch):
    """An operator's host with its server, which is asked instead of the network."""
    made = Server(hosts.operator(f"oci{next(NAMES)}", more=MORE))
    monkeypatch.setattr(Backend, "ask", lambda _backend, *words, **given: made.ask(*words, **given))
    yield made
    made.close()


def pulled(host: Host) -> split.Pull:
    """The pull, in this process."""
    return lambda _settings, _budget_s: split.Pulled(told=host.pull())


def day(server: Server, pull: split.Pull | None = None) -> dict[str, Any]:
    """One run of the five steps."""
    host = server.host
    return split.run(host.settings, host.plane, host.clock, pull=pull or pulled(host))


def states(receipt: Mapping[str, Any]) -> list[str]:
    """How the steps ended."""
    return [one["state"] for one in receipt["steps"]]


NOT_REACHED = State.NOT_REACHED.value


def test_a_day_and_the_same_day_again(server: Server) -> None:
    """Five steps, each with its evidence; the receipt is found by its reference; the second time nothing is shown."""
    first = day(server)
    assert (first["verdict"], states(first)) == ("WARN", ["OK", "OK", "WARN", "OK", "OK"])
    assert server.asked == [
        HEALTH, MADE, "/api/ops/summary/latest", LIVE, "/api/live/cycle/latest", "/api/snapshots/resolve",
    ]  # fmt: skip
    assert all(one["evidence"] and one["budget_s"] > 0 for one in first["steps"])
    assert "delivery CONSOLE" in first["steps"][3]["seen"]
    assert resolve(server.host.settings, server.host.plane, first["snapshot_ref"])["content"] == first
    assert len(json.dumps(first)) < 32_768
    again = day(server)
    assert (again["verdict"], again["steps"][0]["evidence"][0]["pull"]["outcome"]) == ("WARN", "UP_TO_DATE")
    assert "delivery NONE" in again["steps"][3]["seen"]


def test_a_day_without_a_push_is_a_warning_that_names_the_bundle(server: Server) -> None:
    """The bundle of yesterday is in force and stale: WARN, with the risk."""
    day(server)
    server.host.wait(27)
    receipt = day(server)
    assert (receipt["verdict"], states(receipt)[3:]) == ("WARN", ["WARN", "OK"])
    assert "BUNDLE_STALE" in receipt["steps"][2]["seen"]


def test_a_refused_bundle_ends_the_day_with_the_old_one_in_force(server: Server) -> None:
    """FAILED at the first step; nothing behind it is asked."""
    day(server)
    before, server.asked = server.host.whole(), []
    refused = {"outcome": "REFUSED", "code": "TAMPERED", "reason": "a file is not what was signed", "next": ""}
    receipt = day(server, lambda _s, _b: split.Pulled(told=refused))
    assert (receipt["verdict"], states(receipt)) == ("FAILED", ["FAILED", *[NOT_REACHED] * 4])
    assert (server.asked, server.host.whole()) == ([], before)
    assert before in receipt["reason"]


def test_under_the_emergency_stop_the_day_is_blocked_at_once(server: Server) -> None:
    """The pull is refused, and that is the guard working."""
    server.host.plane.engage("rehearsal")
    receipt = day(server)
    assert (receipt["verdict"], states(receipt)) == ("BLOCKED", ["BLOCKED", *[NOT_REACHED] * 4])
    assert "rehearsal" in receipt["reason"]
    assert server.asked == []


@pytest.mark.parametrize("path", [HEALTH, MADE, LIVE])
def test_a_stop_in_the_middle_blocks_the_step_that_it_meets(server: Server, path: str) -> None:
    """Whoever stops everything ends the day there; what is behind is not reached."""

    def engaging(asked: str) -> None:
        if asked == path:
            server.host.plane.engage("now")

    server.first = engaging
    receipt = day(server)
    met = {HEALTH: 1, MADE: 2, LIVE: 3}[path]
    assert receipt["verdict"] == "BLOCKED"
    assert states(receipt)[met:] == ["BLOCKED", *[NOT_REACHED] * (4 - met)]


@pytest.mark.parametrize("path", [HEALTH, MADE, LIVE, "/api/snapshots/resolve", "/api/ops/summary/latest"])
@pytest.mark.parametrize(
    "answer", [{}, {"rows": [[]]}, {"schema": "live_cycle_receipt_v1", "run_id": "x", "result": "OK"}]
)
def test_answers_that_are_not_ours_fail_the_step(server: Server, path: str, answer: dict[str, Any]) -> None:
    """Whatever is said in place of an answer, nothing behind it is reached, and the day fails."""
    server.first = lambda asked: answer if asked == path else None
    receipt = day(server)
    assert receipt["verdict"] == "FAILED"
    ended = states(receipt).index("FAILED")
    assert states(receipt)[ended + 1 :] == [NOT_REACHED] * (4 - ended)


def test_a_backend_on_another_store_is_found_out(server: Server, hosts: Hosts) -> None:
    """A server of another host answers everything well, but our record does not hold it."""
    other = Server(hosts.operator(f"oci{next(NAMES)}", more=MORE))
    other.host.pull()
    server.app.state.context.urgent.shutdown()
    server.app = other.app
    receipt = day(server)
    assert (receipt["verdict"], states(receipt)[2]) == ("FAILED", "FAILED")
    assert "another store" in receipt["steps"][2]["seen"]


def test_a_defect_of_ours_leaves_a_receipt(server: Server) -> None:
    """Whatever goes wrong inside a step, it is FAILED and told without a stranger's words."""

    def broken(_path: str) -> None:
        raise RuntimeError("a stranger's words")

    server.first = broken
    receipt = day(server)
    assert (receipt["verdict"], receipt["steps"][1]["seen"]) == ("FAILED", "this is a defect of ops: RuntimeError")


def test_one_day_at_a_time(server: Server) -> None:
    """The second is refused, is told who runs, and touches nothing."""
    host = server.host
    with claimed(host.settings.control_dir, host.clock):
        rows = len(host.plane.audit_rows())
        with pytest.raises(DayRunning, match=r"the five steps run already: process \d+ since 20"):
            day(server)
        assert (server.asked, len(host.plane.audit_rows())) == ([], rows)
    assert day(server)["verdict"] == "WARN"


def test_a_pull_that_takes_longer_than_its_budget_is_ended(server: Server) -> None:
    """It is a process of its own: it is ended, the step says so, and nothing behind it is asked."""
    receipt = day(server, lambda settings, _budget_s: split.pull_apart(settings, 0.01))
    assert (receipt["verdict"], server.asked) == ("FAILED", [])
    assert "not done within 0.01 s" in receipt["reason"]


@pytest.mark.parametrize("name", checks.CHECKS)
def test_the_one_minute_checks_follow_the_latest_and_its_age(server: Server, name: str) -> None:
    """Nothing yet: FAILED. In order: as it says. Old: a warning. Its reference leads elsewhere: FAILED. Nothing is run."""
    host, check = server.host, checks.CHECKS[name]

    def look() -> State:
        return checks.look(host.settings, host.clock, check).state

    assert look() is State.FAILED
    day(server)
    rows = len(host.plane.audit_rows())
    assert look() is {"live-cycle": State.OK, "summary": State.WARN}[name]
    host.wait(27)
    assert look() is State.WARN
    server.first = lambda path: {"schema": "snapshot_v1"} if path == checks.RESOLVE else None
    assert look() is State.FAILED
    assert len(host.plane.audit_rows()) == rows


def test_a_live_cycle_that_runs_still_is_no_failure_until_it_never_ends(server: Server) -> None:
    """OPEN: a warning for half an hour, then a failure; its reference is not asked for."""
    now = server.host.clock.now()
    row = {"result": "OPEN", "asof": now.isoformat(), "snapshot_ref": "live_cycle/x", "run_id": "x"}
    server.first = lambda path: {"rows": [row]} if path == "/api/live/cycle/latest" else None
    check = checks.CHECKS["live-cycle"]
    assert checks.look(server.host.settings, server.host.clock, check).state is State.WARN
    server.host.wait(1)
    assert checks.look(server.host.settings, server.host.clock, check).state is State.FAILED
    assert "/api/snapshots/resolve" not in server.asked
