"""The routes. Nothing that a client sends is answered with a 5xx; what the service itself lacks is, and says so.

`GET /health/live`: 200 while the process runs.

`GET /health/ready`: 200 `{"status": "ready"}`, or 503 `{"status": "degraded", "documented": true, "away": [...]}`:
without the database reads and writes are refused with 503; without Redis the rate limit is counted in this process and
is a tenth; with `DEGRADED_MODE=1` writes are refused with 503. Anything else is 503 `{"status": "unready"}`.

`GET /metrics`: requests and their durations.

`POST /api/ingest` takes `{"items": [...]}` from callers with `X-API-Key` or `Authorization: Bearer`. `GET
/api/items?limit=N` gives the newest items to anybody.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from .callers import caller_of
from .edge import Edge
from .options import JWT_SECRET_BYTES_MIN, Options, read_options
from .rates import Rates
from .store import Away, BadItem, Store, WrongSchema

LIMIT_DEFAULT, LIMIT_MAX = 20, 1000
RETRY_S = 30
PATHS = frozenset({"/health/live", "/health/ready", "/metrics", "/api/ingest", "/api/items"})
CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
WRONG_SCHEMA = "the schema of the database is not the one that this release knows"


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s


class Service:
    """What the routes do.

    Args:
        options: the configuration in force.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.store = Store(options.database_url, options.database_password)
        self.rates = Rates(options.redis_url, options.rate_per_minute, time.time)
        self._places = threading.BoundedSemaphore(max(1, options.batches_at_once_max))

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to whether the service can do its work."""
        away = []
        try:
            self.store.check()
        except Away:
            away.append("database")
        except (WrongSchema, BadItem):
            return 503, {"status": "unready", "reason": WRONG_SCHEMA}
        if not self.rates.answers():
            away.append("redis")
        if away or self.options.degraded:
            reason = f"{' and '.join(away)} away" if away else "DEGRADED_MODE is on: writes are refused"
            return 503, {"status": "degraded", "reason": reason, "away": away, "documented": True}
        return 200, {"status": "ready"}

    def admit(self, request: Request, *, strangers: bool = False) -> None:
        """Let a request pass, or not.

        Raises:
            Problem: the caller is a stranger where strangers are not let in, or calls too often.
        """
        caller = caller_of(dict(request.headers.raw), self.options.api_key, self.options.jwt_secret, time.time())
        if caller is None and not strangers:
            raise Problem(401, "UNAUTHORIZED", "needs X-API-Key, or Authorization: Bearer with a token that is good")
        verdict = self.rates.ask(caller or "anyone")
        if not verdict.passes:
            raise Problem(429, "RATE_LIMITED", "too many requests in this minute", verdict.retry_after_s)

    def items_in(self, body: bytes) -> list[str]:
        """The items of a batch, each as a JSON document.

        Raises:
            Problem: it is no batch, or one that is too large.
        """
        try:
            batch = json.loads(body, parse_constant=_refuse)
        except (ValueError, RecursionError):
            batch = None
        items = batch.get("items") if isinstance(batch, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Problem(422, "NOT_A_BATCH", 'a batch is {"items": [...]} with an object for each item')
        most = self.options.batch_items_max
        if most and len(items) > most:
            raise Problem(413, "PAYLOAD_TOO_LARGE", f"a batch may have {most} items")
        return [json.dumps(item) for item in items]

    def take(self, body: bytes) -> int:
        """Store a batch; how many items it had.

        Raises:
            Problem: the batch, or the service, is not in a state for that.
        """
        items = self.items_in(body)
        if self.options.degraded:
            raise Problem(503, "DEGRADED", "writes are refused for the time being", RETRY_S)
        if not self._places.acquire(blocking=False):
            raise Problem(503, "OVERLOADED", "as many batches as the service can take are being taken", 1)
        try:
            time.sleep(len(items) * self.options.item_work_s)
            return self.store.add(items)
        except BadItem:
            raise Problem(422, "NOT_STORABLE", "an item holds what PostgreSQL's JSON has no place for") from None
        finally:
            self._places.release()


def create_app(environ: Mapping[str, str] = os.environ) -> Edge:
    """The application.

    Raises:
        BadEnvironment: a variable is missing or unusable.
    """
    options = read_options(environ)
    service = Service(options)
    registry = CollectorRegistry()
    # When the process was started, so that whoever compares two looks knows whether counts began anew.
    ProcessCollector(registry=registry)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        say({"message": "started", "degraded": options.degraded})
        if len(options.jwt_secret.encode()) < JWT_SECRET_BYTES_MIN:
            say({"message": f"JWT_SECRET is shorter than {JWT_SECRET_BYTES_MIN} bytes", "level": "warning"})
        yield
        service.store.close()

    inner = FastAPI(title="ingest", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _add_routes(inner, service, registry)
    _add_errors(inner)
    return Edge(inner, paths=PATHS, body_max_bytes=options.body_max_bytes, registry=registry, say=say)


def say(line: dict[str, Any]) -> None:
    """Write a line of the log: one JSON document on standard output."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sys.stdout.write(json.dumps({"time": stamp, "level": "info", **line}) + "\n")
    sys.stdout.flush()


def _add_routes(app: FastAPI, service: Service, registry: CollectorRegistry) -> None:
    @app.get("/health/live")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready")
    def ready() -> JSONResponse:
        status, body = service.ready()
        return JSONResponse(body, status)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.post("/api/ingest", status_code=202)
    async def ingest(request: Request) -> dict[str, int]:
        body = await request.body()
        await run_in_threadpool(service.admit, request)
        return {"accepted": await run_in_threadpool(service.take, body)}

    @app.get("/api/items")
    def items(request: Request) -> dict[str, Any]:
        service.admit(request, strangers=True)
        return {"items": service.store.newest(_limit_in(request.query_params.get("limit")))}


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(_request: Request, error: Problem) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else None
        return _error(error.status, error.code, error.message, headers)

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, CODES.get(error.status_code, "REFUSED"), str(error.detail), error.headers)

    @app.exception_handler(Away)
    async def away(_request: Request, _away: Away) -> JSONResponse:
        return _error(503, "DEGRADED", "the database does not answer", {"Retry-After": str(RETRY_S)})

    @app.exception_handler(WrongSchema)
    async def wrong_schema(_request: Request, _wrong: WrongSchema) -> JSONResponse:
        return _error(500, "WRONG_SCHEMA", WRONG_SCHEMA)


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, dict(headers) if headers else None)


def _limit_in(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if not text.isascii() or not text.isdecimal() or len(text) > 6 or not 1 <= int(text) <= LIMIT_MAX:
        raise Problem(422, "BAD_LIMIT", f"limit is a whole number from 1 to {LIMIT_MAX}")
    return int(text)


def _refuse(word: str) -> None:
    raise ValueError(word)
