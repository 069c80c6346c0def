"""Hostile requests against a real server, some hundred of them; `make fuzz` asks many thousands.

What finds nothing wrong has to find each planted defect first.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ops_core.api.connections import CONNECTIONS_MAX
from tests.fuzz.planted import DEFECTS
from tests.fuzz.run import Prepared, fuzz, planted, prepared, serving
from tests.fuzz.wire import Wire
from tests.support import eventually, sampled

pytestmark = pytest.mark.slow
SHARED = 40  # the threads that all routes share
GATES = 5 * SHARED


@pytest.mark.parametrize("defect", sampled(DEFECTS, 0.5))
def test_a_planted_defect_is_found(tmp_path: Path, defect: str) -> None:
    """By what it does, soon."""
    requests = 60 if defect in {"leak", "secret"} else 1_000  # what those do shows at the end
    found = fuzz(tmp_path / "site", seed=7, requests=requests, defect=defect, until=DEFECTS[defect]).found
    assert any(DEFECTS[defect] in one for one in found), found


def test_hostile_requests_do_no_harm(tmp_path: Path) -> None:
    """No 5xx, no secret, nothing sent told again, nothing changed by who may not; another seed each time, told on failure."""
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**9))
    outcome = fuzz(tmp_path / "site", seed, int(os.environ.get("REQUESTS") or len(sampled(range(500), 0.6))))
    assert not outcome.found, outcome.as_text()
    assert outcome.answered > outcome.asked * 0.8
    assert {200, 400, 401, 403, 404, 405, 413, 415, 421, 422} <= set(outcome.statuses)


def head_of(port: int) -> bytes:
    """The first half of the head of a request."""
    return f"POST /api/emergency_stop HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Slow: ".encode()


def engaging(port: int) -> bytes:
    """A whole request that engages the stop."""
    body = b'{"enabled": true, "reason": "crowded"}'
    host = f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return b"POST /api/emergency_stop HTTP/1.1\r\nAuthorization: spoilt\r\n" + host.encode() + body


@pytest.mark.parametrize("half", ["nothing", "head", "body"])
def test_who_says_half_keeps_nobody_from_stopping(tmp_path: Path, half: str) -> None:
    """More half-said requests than connections are kept: who engages gets in, and who waits longest has to go."""
    world = prepared(tmp_path / "site")
    with serving(world) as (_pid, port), ExitStack() as opened:
        said = {"nothing": b"", "head": head_of(port), "body": engaging(port)[:-5]}[half]
        waiting = [opened.enter_context(Wire(port)) for _ in range(CONNECTIONS_MAX + 44)]
        for wire in waiting:
            wire.send(said)
        wire = opened.enter_context(Wire(port))
        wire.send(engaging(port))
        reply = wire.reply()
        assert reply is not None
        assert reply.status == 200
        assert json.loads(reply.body)["enabled"] is True
        # Those that came late were kept, and are told that they are too slow; the first have gone without a word.
        late = waiting[-1].reply()
        assert late is not None
        assert late.status == 408
        assert waiting[0].reply() is None


def answered_before_the_stop(world: Prepared, pid: int, port: int) -> int:
    """Of 240 who wait for a store that somebody holds, how many are answered before the one who then engages."""
    release, mock = b'{"enabled": false, "reason": "r"}', b'{"mode": "MOCK_ONLY", "reason": "r"}'

    def post(path: str, body: bytes) -> bytes:
        lines = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body

    with ExitStack() as opened:
        store = opened.enter_context(closing(sqlite3.connect(world.store, isolation_level=None, timeout=30)))
        store.execute("BEGIN EXCLUSIVE")
        crowd = [opened.enter_context(Wire(port)) for _ in range(GATES + 40)]
        for number, wire in enumerate(crowd):
            wire.send(post("/api/execution_gate", mock) if number < GATES else post("/api/emergency_stop", release))
        eventually(lambda: len(list(Path(f"/proc/{pid}/task").iterdir())) > SHARED, "all threads are taken")
        wire = opened.enter_context(Wire(port, patience_s=120))
        wire.send(engaging(port))
        reply = wire.reply()
        answered = sum(1 for one in crowd if one.arrived())
        store.execute("ROLLBACK")
    assert reply is not None
    assert (reply.status, json.loads(reply.body)["enabled"]) == (200, True)
    return answered


def test_who_engages_does_not_stand_in_line(tmp_path: Path) -> None:
    """Forty who release and two hundred who ask for other changes fill all threads; the stop has threads of its own."""
    world = prepared(tmp_path / "site")
    with serving(world) as (pid, port):
        assert answered_before_the_stop(world, pid, port) < 2 * SHARED


def test_the_line_would_be_noticed(tmp_path: Path) -> None:
    """A server in which one dependency of the route takes a thread of those for all lets nearly all others go first."""
    world = prepared(tmp_path / "site")
    with planted(world, "line") as (pid, port):
        assert answered_before_the_stop(world, pid, port) >= 2 * SHARED
