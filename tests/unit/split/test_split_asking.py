"""One question to a backend that misbehaves: it costs no more than its budget, and what was seen is told."""

from __future__ import annotations

import json

import pytest
from hostile import (
    HostileServer,
    bad_chunks,
    black_hole,
    body_too_short,
    closes_at_once,
    continues_for_ever,
    drips_body,
    drips_headers,
    endless_body,
    endless_headers,
    free_port,
    garbage,
    healthy,
    never_answers,
    redirects,
    resets,
)

from ops_core.split.asking import Backend
from ops_core.split.steps import State, answered, judge_health

PATH = "/api/ops/health"
BUDGET_S = 1.0
TOKEN = "secret-token-of-an-operator"


def page(c) -> None:
    """A page for browsers, that tells the token again."""
    c.read_request()
    body = f"<html>\x1b[2J not here {TOKEN}</html>".encode()
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def deep(c) -> None:
    """Nothing but brackets."""
    c.read_request()
    body = b"[" * 100_000
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def another(c) -> None:
    """The health of another service."""
    c.read_request()
    body = b'{"status": "ok"}'
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


BAD = [
    never_answers, drips_headers, drips_body, endless_body, endless_headers, resets, garbage, closes_at_once, redirects,
    continues_for_ever, body_too_short, bad_chunks, healthy, page, deep, another,
]  # fmt: skip


@pytest.mark.parametrize("behaviour", BAD, ids=lambda one: one.__name__)
def test_a_backend_that_misbehaves_fails_the_step_within_its_budget(behaviour) -> None:
    """Whatever it does, there is an outcome that says what was seen, in one bounded line, without the token."""
    server = HostileServer(behaviour)
    try:
        asked = Backend(url=server.url(""), token=TOKEN).ask("GET", PATH, budget_s=BUDGET_S)
    finally:
        server.close()
    outcome = judge_health(asked)
    assert outcome.state is State.FAILED
    assert outcome.seen.isprintable()
    assert outcome.next_step
    kept = json.dumps([asked.as_dict(), outcome.seen, repr(asked)])
    assert TOKEN not in kept
    assert len(json.dumps(asked.as_dict())) < 1000


def test_nobody_there_and_nobody_who_answers_the_door() -> None:
    """A port on which nothing listens, and one on which connecting never completes."""
    with black_hole() as port:
        for one in (free_port(), port):
            asked = Backend(url=f"http://127.0.0.1:{one}").ask("GET", PATH, budget_s=0.5)
            assert (asked.status, asked.document) == (None, None)
            assert answered(asked)[1].state is State.FAILED


def test_references_go_out_encoded() -> None:
    """Whatever stands in a parameter stays one parameter."""
    server = HostileServer(another)
    try:
        Backend(url=server.url("")).ask("GET", "/r", budget_s=20, query={"ref": "bundle/a b&c=d/ü+%2e"})
    finally:
        server.close()
    assert server.requests[0].split(b" ")[1] == b"/r?ref=bundle%2Fa%20b%26c%3Dd%2F%C3%BC%2B%252e"
