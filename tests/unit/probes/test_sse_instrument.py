"""Watching an event stream: real servers, real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import hostile
import pytest
from hostile import Connection, HostileServer

from ops_core.errors import CannotLook
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.sse import SseInstrument

Serve = Callable[..., HostileServer]


def watch(lookout: Lookout, url: str, **more):
    return asyncio.run(SseInstrument(lookout).watch(url, **{"window_s": 0.5, **more}))


def test_the_first_heartbeat_is_enough(lookout: Lookout, serve: Serve) -> None:
    """Watching ends with it, long before the window."""
    seen = watch(lookout, serve(hostile.stream_of_heartbeats).url(), window_s=60)
    assert (seen.status, seen.comments, seen.events, seen.ended_by_server) == (200, 1, 0, False)
    assert seen.content_type == "text/event-stream"
    assert seen.ok
    assert seen.first_byte_ms is not None


def test_more_can_be_asked_for(lookout: Lookout, serve: Serve) -> None:
    """Three of them."""
    assert watch(lookout, serve(hostile.stream_of_heartbeats).url(), window_s=60, enough=3).comments >= 3


def test_a_silent_stream_is_watched_to_the_end_of_its_window(lookout: Lookout, serve: Serve) -> None:
    """Open, and nothing came."""
    seen = watch(lookout, serve(hostile.stream_then_silent).url())
    assert (seen.status, seen.size_bytes, seen.ended_by_server) == (200, 0, False)
    assert seen.watched_ms >= 490
    assert not seen.ok


def test_an_end_by_the_server_is_seen(lookout: Lookout, serve: Serve) -> None:
    """Bytes without an event, then the end."""

    def half(c: Connection) -> None:
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\n\r\ndata: half")

    seen = watch(lookout, serve(half).url(), window_s=60)
    assert (seen.size_bytes, seen.events, seen.ended_by_server) == (10, 0, True)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("garbage", "not valid HTTP"),
        ("resets", "connection reset"),
        ("closes_after_request", "closed without an answer"),
    ],
)
def test_a_broken_stream_is_seen_broken(lookout: Lookout, serve: Serve, behaviour: str, kind: str) -> None:
    """The kind of failure stands in the evidence and in the action."""
    seen = watch(lookout, serve(getattr(hostile, behaviour)).url())
    assert seen.error == kind
    assert lookout.actions[0]["error"] == kind
    assert kind in seen.explain()


def test_a_bad_address_is_not_seen(lookout: Lookout) -> None:
    """Our own mistake."""
    with pytest.raises(CannotLook):
        watch(lookout, "nowhere")


def test_a_secret_in_the_stream_is_masked(lookout: Lookout, serve: Serve) -> None:
    """Whole, and where the excerpt cuts it in two."""

    def echo(c: Connection) -> None:
        c.read_request()
        c.send(b"HTTP/1.1 200 OK\r\n\r\n")
        c.send(b"data: correct-horse-battery " + b"x" * (1024 - 36) + b"correct-horse-battery\n\n")

    seen = watch(lookout, serve(echo).url())
    assert "correct" not in seen.excerpt
    assert seen.excerpt.endswith("[redacted]")
