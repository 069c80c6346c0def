"""A request as it goes over the wire, made from what httpx's client methods take to describe one.

Importing httpx slows the start, and it takes a quarter of the CPU time of a request. Where a URL is written as httpx
would write it and there is nothing to encode, which is nearly always, the result is the same without it; for all else
httpx is asked.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any

from ops_core import __version__
from ops_core.errors import CannotLook

DEFAULT_HEADERS = {
    "User-Agent": f"pytest-runbook/{__version__}",
    "Accept": "*/*",
    # An answer that unpacks to a gigabyte must not be possible.
    "Accept-Encoding": "identity",
    "Connection": "close",
}
PORTS = {"http": 80, "https": 443}
# What httpx leaves as it is: nothing to lower, to quote or to take out. Tested against httpx itself.
_PATH = r"(?:/(?!\.\.?(?:[/?]|$))(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*"
_QUERY = r"\?(?:[A-Za-z0-9._~!$&()*+,;=:@/?-]|%[0-9A-Fa-f]{2})+"
_AS_IT_IS = re.compile(rf"(https?)://([a-z0-9_][a-z0-9._-]*)(?::([1-9][0-9]{{0,4}}))?({_PATH})({_QUERY})?", re.ASCII)
_NUMERIC = re.compile(r"[0-9.]+")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent where. `url` is for people; `target` is the path and query as sent."""

    method: str
    url: str
    scheme: str
    host: str
    port: int
    target: bytes
    headers: list[tuple[bytes, bytes]]
    content: bytes | AsyncIterable[bytes] = b""


def import_httpx() -> Any:
    """httpx without its command line, which would import rich and click: 40 ms that nobody asked for at 3 a.m."""
    if "httpx" not in sys.modules and "httpx._main" not in sys.modules:
        # None makes the import of that one module fail, which httpx handles as "the command line is not installed".
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
        try:
            import httpx
        finally:
            del sys.modules["httpx._main"]
    import httpx

    return httpx


def build_request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    content: Any = None,
    **parts: Any,
) -> Request:
    """The request that httpx would make of these arguments, with our default headers under the caller's own.

    Raises:
        CannotLook: the URL or the request is not one that can be sent.
    """
    try:
        merged = _merge(headers, auth)
        if merged is not None and (content is None or type(content) is bytes) and not any(map(_given, parts.values())):
            plain = _plain(method, url, merged, content)
            if plain is not None:
                return plain
        return _through_httpx(method, url, headers=headers, auth=auth, content=content, **parts)
    except (ValueError, TypeError) as error:
        raise CannotLook(f"the request cannot be made: {error}") from None


def of_httpx(request: Any) -> Request:
    """An `httpx.Request` as it goes over the wire.

    Raises:
        CannotLook: its URL is not one that can be asked.
    """
    url = request.url
    if url.scheme not in PORTS or not url.host:
        raise CannotLook("the request cannot be made: the URL needs http:// or https:// and a host")
    if url.port is not None and not 0 < url.port < 65536:
        raise CannotLook(f"the request cannot be made: there is no port {url.port}")
    return Request(
        method=request.method,
        url=str(url),
        scheme=url.scheme,
        # As it is looked up and as certificates name it: in ASCII.
        host=url.raw_host.decode("ascii"),
        port=url.port or PORTS[url.scheme],
        target=url.raw_path,
        headers=request.headers.raw,
        content=request.stream,
    )


def _given(value: Any) -> bool:
    return value is not None


def _merge(headers: Any, auth: tuple[str, str] | None) -> dict[str, tuple[str, str]] | None:
    """Our headers with the caller's in their places, by lower-case name; None where httpx has to sort them out."""
    merged = {name.lower(): (name, value) for name, value in DEFAULT_HEADERS.items()}
    if headers is not None and not isinstance(headers, Mapping):
        return None
    for name, value in (headers or {}).items():
        if type(name) is not str or type(value) is not str or not (name.isascii() and value.isascii()):
            return None
        merged[name.lower()] = (name, value)
    if auth is not None:
        merged["authorization"] = ("Authorization", _basic(auth))
    return merged


def _basic(auth: tuple[str, str]) -> str:
    import base64

    return "Basic " + base64.b64encode(":".join(auth).encode()).decode()


def _plain(method: str, url: str, merged: dict[str, tuple[str, str]], content: bytes | None) -> Request | None:
    """The request, where nothing about it needs httpx."""
    found = _AS_IT_IS.fullmatch(url) if type(url) is str else None
    if found is None:
        return None
    scheme, host, port, path, query = found.groups()
    if not _host_as_it_is(host) or (query and not path) or (port and (int(port) > 65535 or int(port) == PORTS[scheme])):
        return None
    if "host" not in merged:
        merged = {"host": ("Host", f"{host}:{port}" if port else host), **merged}
    sized = bool(content) or method.upper() in {"POST", "PUT", "PATCH"}
    if sized and not merged.keys() & {"content-length", "transfer-encoding"}:
        merged["content-length"] = ("Content-Length", str(len(content or b"")))
    return Request(
        method=method.upper(),
        url=url,
        scheme=scheme,
        host=host,
        port=int(port) if port else PORTS[scheme],
        target=(path or "/").encode() + (query or "").encode(),
        headers=[(name.encode(), value.encode()) for name, value in merged.values()],
        content=content or b"",
    )


def _host_as_it_is(host: str) -> bool:
    if "xn--" in host:
        return False
    if _NUMERIC.fullmatch(host):
        try:
            socket.inet_pton(socket.AF_INET, host)
        except OSError:
            return False
    return True


def _through_httpx(method: str, url: str, *, headers: Any, auth: tuple[str, str] | None, **parts: Any) -> Request:
    httpx = import_httpx()
    try:
        merged = httpx.Headers(DEFAULT_HEADERS)
        merged.update(headers or {})
        if auth is not None:
            merged["Authorization"] = _basic(auth)
        return of_httpx(httpx.Request(method, url, headers=merged, **parts))
    except httpx.InvalidURL as error:
        raise CannotLook(f"the request cannot be made: {error}") from None
