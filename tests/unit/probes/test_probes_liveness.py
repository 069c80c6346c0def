"""Alive and ready: what an answer means, and that only the documented word makes a degraded mode."""

import json

import pytest
from hostile import free_port
from serving import DEGRADED, MODE, UNREADY, Service

from ops_core.evidence import HttpEvidence
from ops_core.probes.liveness import AWAY_MAX, WORD_MAX_CHARS, readiness


def answer(status, document, **more):
    text = document if isinstance(document, str) else json.dumps(document)
    return HttpEvidence(method="GET", url="http://h/health/ready", status=status, body_excerpt=text, **more)


def test_the_documented_word_of_a_degraded_service_is_understood():
    """What is away and why is told; a dependency that is away is no mode that somebody chose."""
    seen = readiness(answer(*DEGRADED))
    assert (seen.degraded, seen.away, seen.why, seen.mode, seen.facts) == (True, ("redis",), "redis is away", False, ())
    assert "away: redis; redis is away" in seen.explain()
    chosen = readiness(answer(*MODE))
    assert (chosen.degraded, chosen.mode, chosen.facts) == (True, True, ("degraded.on",))


@pytest.mark.parametrize(
    ("status", "document"),
    [
        UNREADY,
        (503, {"status": "degraded"}),
        (503, {"status": "degraded", "documented": "yes"}),
        (503, {"status": "degraded", "documented": 1}),
        (500, DEGRADED[1]),
        (200, DEGRADED[1]),
        (404, DEGRADED[1]),
        (503, "degraded"),
        (503, ["degraded"]),
        (503, "[" * 100_000),
        (503, ""),
    ],
)
def test_nothing_else_is_a_degraded_mode(status, document):
    """Another status, another word, a promise that merely counts as true, or no document at all."""
    seen = readiness(answer(status, document))
    assert (seen.degraded, seen.mode, seen.facts) == (False, False, ())
    assert seen.ready is (status == 200)


def test_a_degraded_answer_that_broke_off_says_nothing():
    """An exchange that ended in an error, or was cut, is not the word of anybody."""
    assert not readiness(answer(*DEGRADED, error="connection reset")).degraded
    assert not readiness(answer(*DEGRADED, truncated=True)).degraded


def test_what_a_service_says_of_itself_is_bounded():
    """A long list and long words are cut; what is no list names nothing."""
    said = {**DEGRADED[1], "away": ["x" * 1000] * 100, "reason": "y" * 1000}
    seen = readiness(answer(503, said))
    assert (len(seen.away), len(seen.away[0]), len(seen.why)) == (AWAY_MAX, WORD_MAX_CHARS, WORD_MAX_CHARS)
    assert readiness(answer(503, {**DEGRADED[1], "away": "redis", "reason": None})).away == ()


def test_both_addresses_are_asked_once(look, serve):
    """GET each; a service that is not there is something seen."""
    service = Service()
    server = serve(service)
    assert look("live", live_url=server.url("/health/live")).status == 200
    assert look("ready", ready_url=server.url("/health/ready")).ready
    assert [head.split()[:2] for head in service.heads] == [["GET", "/health/live"], ["GET", "/health/ready"]]
    gone = look("ready", ready_url=f"http://127.0.0.1:{free_port()}/")
    assert (gone.ready, gone.degraded, gone.answer.error) == (False, False, "connection refused")
