"""Errors as JSON: what is wrong, where, what is allowed, what to do next; never what was sent.

Whatever a client sends, the answer is a 4xx of this shape. 503 is kept for a store that cannot be used, 500 for a
mistake of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ops_core.config import SecretMissing
from ops_core.control.people import Forbidden, Unauthenticated
from ops_core.control.problems import StoreBusy, StoreConflict, StoreUnusable
from ops_core.errors import OpsError, Refused, UsageError

RETRY_S = 2
_PHRASES = {
    400: "the request cannot be understood",
    404: "there is nothing at this path",
    405: "this path does not take this method",
    413: "the body is too large",
    415: "the body is not JSON",
    429: "too many requests",
    500: "the server made a mistake",
}
# The first that fits counts.
_STATUS: tuple[tuple[type[OpsError], int], ...] = (
    (Unauthenticated, 401),
    (Forbidden, 403),
    (StoreBusy, 409),
    (StoreUnusable, 503),
    (StoreConflict, 409),
    (Refused, 409),
    (SecretMissing, 409),
    (UsageError, 422),
)


class BadRequest(UsageError):
    """What was sent is not a request of this interface. `status` is the HTTP status of the answer."""

    def __init__(
        self, what: str, *, status: int = 400, where: str = "", allowed: str = "", next_step: str = ""
    ) -> None:
        super().__init__(what, where=where, allowed=allowed, next_step=next_step)
        self.status = status


def body_of(error: OpsError) -> dict[str, Any]:
    """The JSON of an error."""
    return {"ok": False, **error.as_dict()}


def answer(status: int, error: OpsError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as an HTTP answer."""
    return JSONResponse(body_of(error), status_code=status, headers=dict(headers or {}))


def status_of(error: OpsError) -> int:
    """The HTTP status that an error stands for."""
    if isinstance(error, BadRequest):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


async def on_ops_error(_request: Request, error: Exception) -> JSONResponse:
    """Answer an error that we foresaw."""
    assert isinstance(error, OpsError)  # noqa: S101 - it is registered for that class alone
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="ops"'
    if status in {409, 503} and isinstance(error, StoreUnusable):
        headers["Retry-After"] = str(RETRY_S)
    if status == 429:
        headers["Retry-After"] = "60"
    return answer(status, error, headers)


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what the router says: no such path, not that method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for that class alone
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = methods_of(request)
    told = OpsError(
        _PHRASES.get(error.status_code, "the request cannot be carried out"),
        where="method" if error.status_code == 405 else "path",
        allowed=headers.get("Allow") or "the paths of /openapi.json",
    )
    return answer(error.status_code, told, headers)


def methods_of(request: Request) -> str:
    """The methods that this path takes, of all its routes: the router names those of the first alone."""
    found: set[str] = set()
    for path, methods in request.app.openapi()["paths"].items():
        if path == request.scope["path"]:
            found.update(method.upper() for method in methods)
    return ", ".join(sorted(found)) or "GET"


async def on_mistake(_request: Request, _error: Exception) -> JSONResponse:
    """Answer what nobody foresaw, telling nothing of it."""
    return answer(500, OpsError(_PHRASES[500], next_step="ops doctor; the log of `ops serve` says more"))
