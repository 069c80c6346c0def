"""One way of asking N targets over HTTP, in a process of its own: prints one JSON line with time, CPU and failures.

Started by `benchmarks.transport` once per run, so that imports, SSL contexts and garbage of one way do not weigh on the
next. Every way gets the same targets, the same limit of requests in flight and the same ten seconds per request, and
must read the body.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import importlib
import json
import resource
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

TIMEOUT_S = 10.0
Ask = Callable[[str], Awaitable[int]]
Way = Callable[[str | None], contextlib.AbstractAsyncContextManager[Ask]]


def tls_context(ca: str | None) -> ssl.SSLContext | bool:
    """One context for all requests of a run, as every way is allowed to share it."""
    return ssl.create_default_context(cafile=ca) if ca else True


@contextlib.asynccontextmanager
async def ours_instrument(ca: str | None) -> AsyncIterator[Ask]:
    """The `http` instrument as a probe uses it: request, split of the time, redaction, frozen evidence."""
    from pathlib import Path

    from ops_core.probes.instruments.context import Lookout
    from ops_core.probes.instruments.http import HttpInstrument
    from ops_core.probes.instruments.redact import Redactor
    from ops_core.probes.instruments.transport import TlsContexts

    tls, redact = TlsContexts(Path(ca) if ca else None), Redactor(["benchmark-secret"])
    importlib.import_module("h11")  # what the engine imports before it starts the loop
    if ca:
        tls.get()

    async def ask(url: str) -> int:
        lookout = Lookout(
            settings=cast("Any", None),
            redact=redact,
            tls=tls,
            now=time.monotonic,
            read_control=cast("Any", None),
            read_last_good=cast("Any", None),
        )
        async with asyncio.timeout(TIMEOUT_S):
            evidence = await HttpInstrument(lookout).get(url)
        if evidence.status is None:
            raise RuntimeError(evidence.error)
        return evidence.status

    yield ask


@contextlib.asynccontextmanager
async def ours_in_httpx(ca: str | None) -> AsyncIterator[Ask]:
    """`http.client()`: a real httpx client over our connections."""
    from pathlib import Path

    import httpx

    from ops_core.probes.instruments.transport import FreshConnections, TlsContexts, httpx_transport

    transport = httpx_transport(FreshConnections(TlsContexts(Path(ca) if ca else None), time.monotonic), lambda _: {})
    async with httpx.AsyncClient(transport=transport, timeout=None, trust_env=False) as client:

        async def ask(url: str) -> int:
            async with asyncio.timeout(TIMEOUT_S):
                return (await client.get(url, headers={"Connection": "close"})).status_code

        yield ask


@contextlib.asynccontextmanager
async def streams(ca: str | None) -> AsyncIterator[Ask]:
    """asyncio streams and two `split`s: no protocol library, the least that Python can do."""
    from urllib.parse import urlsplit

    context = tls_context(ca) if ca else None

    async def ask(url: str) -> int:
        parts = urlsplit(url)
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
            try:
                writer.write(
                    f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
                )
                whole = await reader.read()
                return int(whole.split(b" ", 2)[1])
            finally:
                writer.close()

    yield ask


def httpx_one_client(package: str, *, limits: bool) -> Way:
    @contextlib.asynccontextmanager
    async def way(ca: str | None) -> AsyncIterator[Ask]:
        httpx = importlib.import_module(package)
        more = {} if limits else {"limits": httpx.Limits(max_connections=None, max_keepalive_connections=None)}
        async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=tls_context(ca), trust_env=False, **more) as client:

            async def ask(url: str) -> int:
                return (await client.get(url)).status_code

            yield ask

    return way


def httpx_client_each(package: str) -> Way:
    @contextlib.asynccontextmanager
    async def way(ca: str | None) -> AsyncIterator[Ask]:
        httpx = importlib.import_module(package)
        context = tls_context(ca) if ca else ssl.create_default_context()

        async def ask(url: str) -> int:
            async with httpx.AsyncClient(timeout=TIMEOUT_S, verify=context, trust_env=False) as client:
                return (await client.get(url)).status_code

        yield ask

    return way


def _pyreqwest(ca: str | None) -> Any:
    from pathlib import Path

    from pyreqwest.client import ClientBuilder

    # No idle connection is kept: each request gets a fresh one, as a health probe wants it.
    builder = ClientBuilder().no_proxy().timeout(timedelta(seconds=TIMEOUT_S)).pool_max_idle_per_host(0)
    return (builder.add_root_certificate_pem(Path(ca).read_bytes()) if ca else builder).build()


@contextlib.asynccontextmanager
async def httpx_on_pyreqwest(ca: str | None) -> AsyncIterator[Ask]:
    import httpx
    from pyreqwest.compatibility.httpx import HttpxTransport

    async with httpx.AsyncClient(
        transport=HttpxTransport(_pyreqwest(ca)), timeout=TIMEOUT_S, trust_env=False
    ) as client:

        async def ask(url: str) -> int:
            return (await client.get(url)).status_code

        yield ask


@contextlib.asynccontextmanager
async def pyreqwest(ca: str | None) -> AsyncIterator[Ask]:
    async with _pyreqwest(ca) as client:

        async def ask(url: str) -> int:
            response = await client.get(url).build().send()
            await response.bytes()
            return int(response.status)

        yield ask


@contextlib.asynccontextmanager
async def aiohttp(ca: str | None) -> AsyncIterator[Ask]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=tls_context(ca))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask(url: str) -> int:
            async with session.get(url) as response:
                await response.read()
                return response.status

        yield ask


WAYS: dict[str, tuple[str, Way]] = {
    "ours-instrument": ("ours: the `http` instrument, evidence and all", ours_instrument),
    "ours-in-httpx": ("ours: httpx client on our transport", ours_in_httpx),
    "streams": ("asyncio streams, HTTP by hand (floor)", streams),
    "httpx-each": ("httpx, a client per request", httpx_client_each("httpx")),
    "httpx-one": ("httpx, one client, its default limits", httpx_one_client("httpx", limits=True)),
    "httpx-open": ("httpx, one client, limits lifted", httpx_one_client("httpx", limits=False)),
    "httpx2-each": ("httpx2, a client per request", httpx_client_each("httpx2")),
    "httpx2-one": ("httpx2, one client, its default limits", httpx_one_client("httpx2", limits=True)),
    "httpx2-open": ("httpx2, one client, limits lifted", httpx_one_client("httpx2", limits=False)),
    "httpx-pyreqwest": ("httpx on pyreqwest's transport", httpx_on_pyreqwest),
    "pyreqwest": ("pyreqwest, its own API", pyreqwest),
    "aiohttp": ("aiohttp (reference)", aiohttp),
}


def spent() -> tuple[float, float]:
    """Seconds on the clock and of CPU (threads included) so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), used.ru_utime + used.ru_stime


async def ask_all(way: Way, urls: list[str], in_flight: int, ca: str | None) -> dict[str, Any]:
    """Ask all targets, at most `in_flight` at once; seconds, and how often each outcome came ("200", or an error)."""
    outcomes: collections.Counter[str] = collections.Counter()
    waiting = collections.deque(urls)

    async def worker(ask: Ask) -> None:
        while waiting:
            url = waiting.popleft()
            try:
                outcomes[str(await ask(url))] += 1
            except Exception as error:  # noqa: BLE001  # what failed is what is being counted
                outcomes[type(error).__name__] += 1

    began = spent()
    async with way(ca) as ask:
        ready = spent()
        await asyncio.gather(*(worker(ask) for _ in range(min(in_flight, len(urls)))))
        done = spent()
    return {
        "setup_s": ready[0] - began[0],
        "wall_s": done[0] - ready[0],
        "cpu_s": done[1] - ready[1],
        "outcomes": outcomes,
    }


def main() -> None:
    order = json.load(sys.stdin)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    way = WAYS[order["way"]][1]
    print(json.dumps(asyncio.run(ask_all(way, order["urls"], order["in_flight"], order["ca"]))), flush=True)


if __name__ == "__main__":
    main()
