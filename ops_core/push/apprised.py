"""`python -m ops_core.push.apprised`: one message through Apprise, in a process of its own that can be ended.

Apprise knows a hundred services and tells yes or no. What a live fire has to know is whether a message has certainly
not arrived; so this process watches itself, by the interpreter's own audit events: was anything written to a server at
all, and what did each one answer. The address holds credentials: it comes on standard input and goes nowhere else, and
whatever Apprise has to say about it is not written down.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import Any

REQUEST_MAX_BYTES = 65_536
# What it says on its way: the library is there and sending begins; something is written to a server.
BEGUN, WRITING = b"begun\n", b"writing\n"
# Beside HTTP nothing says when a message has left, so from here on it may have.
_OTHER_WAYS = frozenset(
    {"smtplib.connect", "smtplib.send", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"}
)


@dataclass
class Watched:
    """What this process did: whether anything was written, what was answered, and whether it went ways beside HTTP."""

    written: bool = False
    asked: int = 0
    statuses: list[int] = field(default_factory=list)
    other_ways: bool = False

    def note(self, event: str, _args: tuple[Any, ...]) -> None:
        """Take down an audit event; called for every one there is."""
        if event == "http.client.send" and not self.written:
            self.written = True
            # Whoever ends this process has to know how far it came.
            os.write(1, WRITING)
        elif event in _OTHER_WAYS:
            self.other_ways = True


def main() -> int:
    """Read `{url, body, limit_s}`, send once, write what came of it as one line of JSON."""
    told = json.loads(sys.stdin.buffer.read(REQUEST_MAX_BYTES))
    # Should whoever started this be gone: it ends by itself.
    signal.setitimer(signal.ITIMER_REAL, float(told["limit_s"]))
    logging.disable(logging.CRITICAL)
    answer = json.dumps(_send(str(told["url"]), str(told["body"])))
    os.write(1, answer.encode("ascii") + b"\n")
    return 0


def _send(url: str, body: str) -> dict[str, Any]:
    import apprise

    asset = apprise.AppriseAsset(
        async_mode=False, http_redirects=False, storage_mode=apprise.PersistentStoreMode.MEMORY, plugin_paths=[]
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        return {"known": False}
    # The address may ask to be told that it went well when it did not, or to follow whoever points elsewhere.
    service.optional = False
    service.redirects = False
    watched = Watched()
    http.client.HTTPConnection.response_class = _noting(watched)
    sys.addaudithook(watched.note)
    failed = ""
    os.write(1, BEGUN)
    try:
        good = bool(service.notify(body=body, title="", notify_type=apprise.NotifyType.INFO))
    except Exception as error:  # noqa: BLE001 - whatever it was, it has left or it has not; its text may hold the address
        good, failed = False, type(error).__name__
    return {
        "known": True,
        "good": good,
        "failed": failed,
        "written": watched.written,
        "statuses": watched.statuses,
        "asked": watched.asked,
        # A service that speaks HTTP does it with this library; of any other nothing is certain.
        "http": hasattr(sys.modules[type(service).__module__], "requests") and not watched.other_ways,
    }


def _noting(watched: Watched) -> type[http.client.HTTPResponse]:
    class Noting(http.client.HTTPResponse):
        """An answer whose status is taken down as soon as it is read."""

        def begin(self) -> None:
            watched.asked += 1
            super().begin()
            watched.statuses.append(self.status)

    return Noting


if __name__ == "__main__":
    sys.exit(main())
