"""Servers with a defect each, to see that the fuzz finds it: `python -m tests.fuzz.planted DEFECT`, in a repository."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvicorn

from ops_core.api.app import create_app
from ops_core.api.connections import Connection
from ops_core.api.context import context_of
from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of

Handler = Callable[..., Coroutine[Any, Any, Any]]
DEFECTS = {
    "echo": "repeats what was sent",
    "nan": "answers 500",
    "moves": "changes the state",
    "open": "lets in",
    "leak": "keeps more and more files open",
    "secret": "tells the",
}


class Planted:
    """Around the whole application: does one thing wrong.

    Args:
        app: the application as it should be.
        defect: one of `DEFECTS`.
        plane: what `moves` changes.
        token: what `open` lends to whoever asks, and `secret` writes into a log.
    """

    def __init__(self, app: Handler, defect: str, plane: Any, token: str) -> None:
        self._app, self._defect, self._plane, self._token = app, defect, plane, token
        self._kept: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _whole(receive)
        if body is None:
            return
        self._before(scope)
        answered: list[Any] = []

        async def receiving() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def sending(message: Any) -> None:
            answered.append(message)

        await self._app(scope, receiving, sending)
        start, *parts = answered
        text = self._after(start, b"".join(part.get("body", b"") for part in parts), body)
        start["headers"] = [
            (key, str(len(text)).encode() if key == b"content-length" else value) for key, value in start["headers"]
        ]
        await send(start)
        await send({"type": "http.response.body", "body": text, "more_body": False})

    def _before(self, scope: Any) -> None:
        if self._defect == "open":
            lent = (b"authorization", b"Bearer " + self._token.encode())
            scope["headers"] = [*(pair for pair in scope["headers"] if pair[0] != b"authorization"), lent]
        if self._defect == "leak":
            self._kept.append(Path(os.devnull).open())  # noqa: SIM115 - that is the defect
        if self._defect == "secret":
            print(self._token, file=sys.stderr, flush=True)

    def _after(self, start: Any, text: bytes, body: bytes) -> bytes:
        if self._defect == "echo" and start["status"] in {400, 422}:
            text = json.dumps({**json.loads(text), "allowed": body.decode("utf-8", "replace")}).encode()
        if self._defect == "nan" and b"NaN" in body:
            start["status"] = 500
        if self._defect == "moves" and start["status"] in {401, 403, 422}:
            self._plane.set_gate("MOCK_ONLY", "moved")
        return text


async def _whole(receive: Handler) -> bytes | None:
    body, more = b"", True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def main() -> None:
    """Serve on a free port, saying where as `ops serve --json` does."""
    settings = load_settings(Path(os.environ["OPS_CONFIG"]))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = create_app(settings, SystemClock(), port=port)
        if sys.argv[1] == "line":
            app.dependency_overrides[context_of] = lambda: app.state.context  # no coroutine: it takes a thread
        planted = Planted(app, sys.argv[1], plane_of(settings, SystemClock(), "planted"), os.environ["PLANTED_TOKEN"])
        print(json.dumps({"url": f"http://127.0.0.1:{port}"}, indent=2), flush=True)
        uvicorn.Server(uvicorn.Config(planted, log_level="error", access_log=False, ws="none", http=Connection)).run(
            sockets=[listener]
        )


if __name__ == "__main__":
    main()
