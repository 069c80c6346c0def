"""Prometheus metrics: what the control plane permits now, and how many requests were answered how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ops_core.control.model import Gate, WindowStatus, effective_gate, sender_on
from ops_core.control.model.window import window_status

if TYPE_CHECKING:
    from ops_core.api.context import Context

OTHER = "other"
METHODS = frozenset({"GET", "POST"})


class ControlMetrics(Collector):
    """The control plane's state at the moment of the question. What cannot be known counts as stopped."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        state, now = self._context.plane().state(), self._context.now()
        yield _gauge("ops_emergency_stop", "1 while the emergency stop is engaged or cannot be known.", state.stopped)
        yield _gauge("ops_control_store_usable", "1 while the control store proves itself.", not state.problem)
        gate = GaugeMetricFamily("ops_execution_gate", "1 for the mode in force.", labels=["mode"])
        for mode in Gate:
            gate.add_metric([mode.value], float(effective_gate(state, now) is mode))
        yield gate
        yield _gauge("ops_sender_enabled", "1 while the sender is on.", sender_on(state, now))
        window = GaugeMetricFamily("ops_window", "1 for the status of the latest window.", labels=["status"])
        found = None if state.window is None else window_status(state.window, now)
        for status in WindowStatus:
            window.add_metric([status.value], float(found is status))
        yield window
        yield _gauge("ops_control_version", "How often the control state was changed.", state.version)


class Requests:
    """Counts answers by route, method and status; a path that is no route is `other`, so that labels are bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "ops_http_requests", "Answers.", labelnames=["method", "route", "status"], registry=registry
        )

    def count(self, method: str, route: str, status: int) -> None:
        """One answer more."""
        self._counter.labels(method, route, str(status)).inc()


class Counting:
    """The ASGI middleware that counts; it starts no task and no thread of its own."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through and count its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                path = route.path if isinstance(route, Route) else OTHER
                # A method is any word that somebody sends: only those that routes have become labels.
                known = isinstance(route, Route) and scope["method"] in METHODS
                self._requests.count(scope["method"] if known else OTHER, path, message["status"])
            await send(message)

        await self._app(scope, receive, sending)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=float(value))
