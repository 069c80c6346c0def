"""One question to the backend, bounded in time and size, told as it went. What comes back is not believed here.

A server that hangs, drips, redirects, answers with pages or garbage, or is another service altogether is something
seen: it is told in words, and costs no more than the budget.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

BODY_MAX_BYTES = 2 << 20
EXCERPT_MAX_CHARS = 160
PROBLEM_MAX_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question and how it was answered.

    Attributes:
        method, path: what was asked; the path with its query.
        status: of the answer; None where there was none.
        latency_ms: until the answer was whole, or until it was given up.
        size_bytes: of the body, as far as it was read.
        problem: why there is no whole answer; empty where there is one.
        excerpt: the beginning of a body that is not a JSON object.
        busy: the server says that asking again later may help.
        document: the JSON object that was answered; None where it was none.
    """

    method: str
    path: str
    status: int | None = None
    latency_ms: float = 0.0
    size_bytes: int = 0
    problem: str = ""
    excerpt: str = ""
    busy: bool = False
    document: Mapping[str, Any] | None = field(default=None, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """As receipts keep it: what was seen, not the whole of it."""
        return {
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "latency_ms": round(self.latency_ms, 1),
            "size_bytes": self.size_bytes,
            "problem": self.problem,
            "excerpt": self.excerpt,
        }


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The server that is asked.

    Attributes:
        url: where it listens, without a path.
        token: an operator's, for when the gate is not at rest; empty where none is needed.
        tls: how https is verified.
    """

    url: str
    token: str = field(default="", repr=False)
    tls: ssl.SSLContext | bool = True

    def ask(self, method: str, path: str, *, budget_s: float, query: Mapping[str, str] | None = None) -> Asked:
        """Ask once. Never raises for the sake of the server.

        Args:
            method: GET or POST.
            path: from the root.
            budget_s: seconds for everything together, name look-up and the whole body included.
            query: the parameters, not encoded yet.
        """
        from urllib.parse import quote, urlencode

        from ops_core.observation.loop import DaemonLoop

        # %20 for a blank, not the plus that only forms know.
        asked = f"{path}?{urlencode(query, quote_via=quote, safe='')}" if query else path
        progress: dict[str, Any] = {}
        importlib.import_module("httpx")  # it takes a while, which is not the server's fault
        began = time.monotonic()
        # Helper threads of asyncio's own loops are waited for: one hanging name server would hold us for good.
        with asyncio.Runner(loop_factory=DaemonLoop) as runner:
            try:
                body = runner.run(
                    asyncio.wait_for(self._exchange(method, asked, budget_s, progress), max(budget_s, 0.01))
                )
                problem = ""
            except TimeoutError:
                body, problem = b"", f"no whole answer within {budget_s:.1f} s"
            except Exception as error:  # noqa: BLE001 - whatever a server makes the library raise, there is no answer
                body, problem = b"", self._shown(f"{type(error).__name__}: {error}", PROBLEM_MAX_CHARS)
        told = Asked(
            method=method,
            path=asked,
            status=progress.get("status"),
            latency_ms=1000 * (time.monotonic() - began),
            size_bytes=progress.get("size", 0),
            problem=problem,
            busy=bool(progress.get("busy")),
        )
        return told if problem else self._read(told, body)

    async def _exchange(self, method: str, asked: str, budget_s: float, progress: dict[str, Any]) -> bytes:
        import httpx

        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        limit = httpx.Timeout(None, connect=max(0.4 * budget_s, 0.01))
        async with (
            httpx.AsyncClient(
                trust_env=False, follow_redirects=False, verify=self.tls, timeout=limit, headers=headers
            ) as client,
            client.stream(method, self.url.rstrip("/") + asked) as answer,
        ):
            progress["status"], progress["busy"] = answer.status_code, "retry-after" in answer.headers
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                progress["size"] = len(body)
                if len(body) > BODY_MAX_BYTES:
                    raise ValueError(f"the answer is longer than {BODY_MAX_BYTES} bytes")
            return bytes(body)

    def _read(self, told: Asked, body: bytes) -> Asked:
        try:
            found = json.loads(body.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return replace(told, document=found)
        return replace(
            told, excerpt=self._shown(body[: 4 * EXCERPT_MAX_CHARS].decode("utf-8", "replace"), EXCERPT_MAX_CHARS)
        )

    def _shown(self, text: str, limit: int) -> str:
        """What somebody else wrote, as one bounded line, and without our token should it come back."""
        if self.token:
            text = text.replace(self.token, "…")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]


def _no_number(_constant: str) -> Any:
    raise ValueError("no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found
