"""Puts the server together. Made anew for each process and each test: no state but the store's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import BoundedSemaphore
from typing import Any

from fastapi import Depends, FastAPI, Response
from prometheus_client import CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException

from ops_core import __version__
from ops_core.api import alerts, control_routes, ops_routes, split_routes
from ops_core.api.context import Context, held
from ops_core.api.documents import complete
from ops_core.api.errors import BadRequest, on_http_error, on_mistake, on_ops_error
from ops_core.api.guarding import Allowance, Guarding, Limits, allowed_hosts
from ops_core.api.launch import launch
from ops_core.api.looks import looks_of
from ops_core.api.metrics import ControlMetrics, Counting, Requests
from ops_core.api.promised import PromisedMetrics
from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.errors import OpsError

URGENT_THREADS = 8
LAUNCHED_MAX = 8  # each is a process, and a thread of the forty that all requests share
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DESCRIPTION = """\
Emergency stop, execution gate, two keys and a single-use window, cycles and live fire.

Looking needs no token, and neither does anything that makes things safer. What can lead to a real effect needs an
operator's token (`ops operator add NAME`), sent as `Authorization: Bearer …`. Errors are JSON: `error`, `where`,
`allowed`, `next`.
"""


def create_app(
    settings: Settings,
    clock: Clock,
    *,
    port: int | None = None,
    launching: Callable[[Settings, str, dict[str, Any]], dict[str, Any]] = launch,
) -> FastAPI:
    """The application that serves one profile.

    Args:
        settings: the profile.
        clock: where `now` comes from.
        port: the port that it listens on, where that is not the configured one.
        launching: runs an act in a process of its own.
    """
    urgent = ThreadPoolExecutor(URGENT_THREADS, thread_name_prefix="ops-stop")
    context = Context(
        settings=settings,
        clock=clock,
        launch=_bounded(settings, launching),
        urgent=urgent,
        anonymous=Allowance(settings.serve.anonymous_per_hour, clock.monotonic),
        looks=looks_of(settings, clock, launching),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # What an earlier server left undone.
        context.looks.wake()
        yield
        urgent.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(
        title="pytest-runbook control plane",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # its page loads programs from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirection repeats what was sent; a path is right or it is not there
        lifespan=lifespan,
        dependencies=[Depends(held)],
    )
    app.state.context = context
    app.include_router(control_routes.router, tags=["control"])
    app.include_router(ops_routes.router, tags=["operations"])
    app.include_router(split_routes.router, tags=["operations"])
    app.include_router(alerts.router, tags=["operations"])
    app.add_exception_handler(OpsError, on_ops_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_mistake)
    _add_metrics(app, context)
    _document(app)
    listening = settings.serve.port if port is None else port
    app.add_middleware(
        Guarding,
        limits=Limits(
            hosts=allowed_hosts(settings.serve.host, listening, settings.serve.hosts),
            body_max_bytes=settings.serve.body_max_bytes,
            requests_per_minute=settings.serve.requests_per_minute,
        ),
        monotonic=clock.monotonic,
    )
    return app


def _bounded(
    settings: Settings, launching: Callable[[Settings, str, dict[str, Any]], dict[str, Any]]
) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Runs an act in a process of its own, as many at once as there are places."""
    places = BoundedSemaphore(LAUNCHED_MAX)

    def launch_one(module: str, request: dict[str, Any]) -> dict[str, Any]:
        if not places.acquire(blocking=False):
            raise BadRequest(
                "too many acts run at once", status=429, where="server", allowed=f"{LAUNCHED_MAX} at a time"
            )
        try:
            return launching(settings, module, request)
        finally:
            places.release()

    return launch_one


def _document(app: FastAPI) -> None:
    plain = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(plain())
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign] # FastAPI's own way


def _add_metrics(app: FastAPI, context: Context) -> None:
    registry = CollectorRegistry()
    registry.register(ControlMetrics(context))
    registry.register(PromisedMetrics(context))
    requests = Requests(registry)

    @app.get("/metrics", summary="Prometheus metrics.", tags=["control"], response_class=Response)
    def metrics() -> Response:
        """The text format of Prometheus."""
        return Response(generate_latest(registry), media_type=METRICS_TYPE)

    app.add_middleware(Counting, requests=requests)
