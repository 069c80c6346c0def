"""The connections of `ops serve`, bounded: who waits too long is told so, and among many the oldest gives way.

The server library waits for the rest of a request's head as long as it takes, so some hundred connections with half a
head would use up the open files, and whoever engages the emergency stop would not get in. Here nobody who has not yet
said what they want keeps others out. What is no HTTP is answered like everything else: with JSON.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ops_core.api.errors import BadRequest, body_of
from ops_core.api.guarding import HEADERS

HEAD_WAIT_S = 10.0
CONNECTIONS_MAX = 256  # beyond these, whoever waits longest gives way
CROWD_MAX = 600  # beyond these nobody gets in; below the 1024 open files that a process usually has


class Connection(H11Protocol):
    """One connection: HTTP/1.1 as the library speaks it, with an end to waiting and a place in a bounded crowd."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._opened_at = self.loop.time()
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in the library
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > CONNECTIONS_MAX:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what the library says is not what we say
        self._refuse(BadRequest("this is no HTTP request", where="request", allowed="HTTP/1.1, one Host header"))

    def in_flight(self) -> bool:
        """Whether a request has begun that is not yet answered."""
        return bool(self.cycle) and not self.cycle.response_complete

    def waiting(self) -> bool:
        """Whether it is the client who has to do something: send the rest, or read the answer."""
        return not self.in_flight() or self.cycle.more_body or self.flow.write_paused

    def _watch(self) -> None:
        """Wait for a head, from its first byte on and not anew with each."""
        if self.in_flight() or self.transport.is_closing():
            self._unwatch()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_WAIT_S, self._too_late)

    def _unwatch(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        self._head_timer = None
        if not self.in_flight() and not self.transport.is_closing():
            self._refuse(
                BadRequest(
                    "the request did not arrive", status=408, where="request", allowed=f"within {HEAD_WAIT_S:g} s"
                )
            )

    def _make_room(self) -> None:
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self]
        waiting = [one for one in others if one.waiting() and not one.transport.is_closing()]
        if waiting:
            min(waiting, key=lambda one: one._opened_at).transport.abort()  # noqa: SLF001 - of this very class
        elif len(others) >= CROWD_MAX:
            self.transport.abort()

    def _refuse(self, refusal: BadRequest) -> None:
        """Answer before there is a request, or in the middle of one, and hang up."""
        if self.in_flight():
            # Whoever still reads its body is told that no more will come, and says nothing after this.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE} and not self.transport.is_closing():
            body = json.dumps(body_of(refusal)).encode()
            headers = [
                *self.server_state.default_headers,
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
                *HEADERS,
            ]
            for event in (
                h11.Response(status_code=refusal.status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
