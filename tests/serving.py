"""A small service over real sockets whose every answer a test can change: healthy, unless told otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostile import READ_BYTES, Connection

TOO_LARGE = (413, {"error": {"code": "PAYLOAD_TOO_LARGE", "message": "too large"}})
DEGRADED = (503, {"status": "degraded", "documented": True, "away": ["redis"], "reason": "redis is away"})
MODE = (503, {"status": "degraded", "documented": True, "away": [], "reason": "DEGRADED_MODE"})
UNREADY = (503, {"status": "unready"})


def page(
    good: float = 100, failed: float = 0, *, quick: float | None = None, started_at_s: float = 1000.0, path: str = "/x"
) -> str:
    """A page of metrics: so many requests answered with 200 and with 500, all but the `quick` ones slower than 1 s."""
    total = good + failed
    quick = total if quick is None else quick
    return f"""\
# TYPE http_requests_total counter
http_requests_total{{method="GET",path="{path}",status="200"}} {good}
http_requests_total{{method="GET",path="{path}",status="500"}} {failed}
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{path="{path}",le="0.1"}} {quick}
http_request_duration_seconds_bucket{{path="{path}",le="1.0"}} {quick}
http_request_duration_seconds_bucket{{path="{path}",le="+Inf"}} {total}
http_request_duration_seconds_count{{path="{path}"}} {total}
http_request_duration_seconds_sum{{path="{path}"}} 1
# TYPE process_start_time_seconds gauge
process_start_time_seconds {started_at_s}
"""


@dataclass
class Service:
    """A behaviour for `HostileServer`: each attribute is what it does when asked.

    Attributes:
        live, ready, body, batch, bench: status and document of an answer.
        metrics: the pages that it shows, one after the other; the last one stays.
        echo: what becomes of an X-Request-Id on its way back.
        log: where it writes the ids of its requests; nowhere by default.
    """

    live: tuple[int, Any] = (200, {"status": "alive"})
    ready: tuple[int, Any] = (200, {"status": "ready"})
    metrics: list[str] = field(default_factory=lambda: [page(100), page(120)])
    body: tuple[int, Any] = TOO_LARGE
    batch: tuple[int, Any] = TOO_LARGE
    bench: tuple[int, Any] = (200, [])
    echo: Callable[[str], str | None] = str
    log: Path | None = None
    posted: list[bytes] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def __call__(self, c: Connection) -> None:
        """Answer one request."""
        raw, _, content = c.read_request().partition(b"\r\n\r\n")
        head = raw.decode("latin-1")
        if not head:
            return
        self.heads.append(head)
        length = int((re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE) or [0, 0])[1])
        while len(content) < length and (part := c.socket.recv(READ_BYTES)):
            content += part
        sent_id = re.search(r"(?im)^x-request-id: (\S+)", head)
        headers = {}
        if sent_id and (back := self.echo(sent_id[1])) is not None:
            headers["X-Request-Id"] = back
        if sent_id and self.log is not None:
            with self.log.open("a") as file:
                file.write(json.dumps({"request_id": sent_id[1]}) + "\n")
        status, said = self._answer(head.split()[1], content)
        text = said if isinstance(said, str) else json.dumps(said)
        c.send(_written(status, headers, text.encode()))

    def _answer(self, path: str, content: bytes) -> tuple[int, Any]:
        if path == "/health/live":
            return self.live
        if path == "/health/ready":
            return self.ready
        if path == "/metrics":
            return 200, self.metrics.pop(0) if len(self.metrics) > 1 else self.metrics[0]
        if path.startswith("/api/items"):
            return self.bench
        self.posted.append(content)
        return self.batch if content.lstrip().startswith(b"{") else self.body


def _written(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
