"""The operator's day: summary, live cycle, references, alert preview."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request

from ops_core.api.authority import Act
from ops_core.api.bodies import EmptyBody, documented, reading
from ops_core.api.context import FromCaller, InContext, no_query
from ops_core.api.errors import BadRequest
from ops_core.api.ops_routes import rows_of
from ops_core.errors import Refused
from ops_core.live.snapshots import ALLOWED, REF_MAX_CHARS, NoSuchSnapshot, resolve

router = APIRouter(prefix="/api")
CONFIRM, CONFIRMED = "confirm", "true"
REF = "ref"
QUERY_MAX_CHARS = 8 * REF_MAX_CHARS
_NO_QUERY = Depends(no_query)


def _parameter(name: str, schema: dict[str, Any], example: str, description: str) -> dict[str, Any]:
    """A parameter of the query, for the document of the interface."""
    told = {"name": name, "in": "query", "required": True, "schema": {"type": "string", **schema}}
    return {**told, "example": example, "description": description}


_ASKED = _parameter(CONFIRM, {"enum": [CONFIRMED]}, CONFIRMED, "that it is meant")
_NAMED = _parameter(
    REF, {"minLength": 1, "maxLength": REF_MAX_CHARS}, "live_cycle/20261130T000500Z-000042", "a reference, URL-encoded"
)


def _query_of(request: Request, name: str) -> str | None:
    """The value of the one parameter that a path takes, decoded; None where there is no query.

    Raises:
        BadRequest: there is another parameter, or this one twice.
    """
    query = request.url.query
    if not query:
        return None
    try:
        found = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=2)
    except ValueError:
        found = []
    if len(query) > QUERY_MAX_CHARS or [one for one, _ in found] != [name]:
        raise BadRequest("this path takes one parameter", where="query", allowed=f"{name}=…, URL-encoded, once")
    return found[0][1]


async def confirmed(request: Request) -> None:
    """Go on only where it is said that it is meant: a request that slipped out changes nothing.

    Raises:
        Refused: it is not said.
        BadRequest: something else is.
    """
    if _query_of(request, CONFIRM) != CONFIRMED:
        asked = f"{request.scope['path']}?{CONFIRM}={CONFIRMED}"
        raise Refused(
            "this was not confirmed: nothing was done",
            where=f"query: {CONFIRM}",
            allowed=f"{CONFIRM}={CONFIRMED}",
            next_step=f"curl -X POST with the path {asked}",
        )


async def reference(request: Request) -> str:
    """The reference that is asked for.

    Raises:
        BadRequest: there is none, or something else is asked for.
    """
    ref = _query_of(request, REF)
    if not ref:
        raise BadRequest(
            "a reference has to be given",
            status=422,
            where=f"query: {REF}",
            allowed=ALLOWED,
            next_step='curl -G with --data-urlencode "ref=${REF}"',
        )
    return ref


@router.post(
    "/ops/summary/regenerate",
    summary="Make a summary of how everything stands.",
    dependencies=[Depends(confirmed)],
    openapi_extra={**documented(EmptyBody), "parameters": [_ASKED]},
)
def regenerate(
    context: InContext, caller: FromCaller, _body: Annotated[EmptyBody, Depends(reading(EmptyBody))]
) -> dict[str, Any]:
    """The summary, recorded. At rest it needs no token, else one with the scope `cycle`."""
    from ops_core.summary.summary import regenerate as make

    actor = caller.actor(Act.CYCLE, context.plane().state())
    return make(context.settings, context.plane(actor), context.clock)


@router.get("/ops/summary/latest", summary="The summary that was made last.", dependencies=[_NO_QUERY])
def summary_latest(context: InContext) -> dict[str, Any]:
    """The summary's own fields, and the same in `rows`."""
    from ops_core.summary.summary import latest

    with context.plane().snapshot() as found:
        return rows_of(latest(found))


@router.post(
    "/live/cycle/run",
    summary="Run a live cycle.",
    dependencies=[Depends(confirmed)],
    openapi_extra={**documented(EmptyBody), "parameters": [_ASKED]},
)
def run_live_cycle(
    context: InContext, caller: FromCaller, _body: Annotated[EmptyBody, Depends(reading(EmptyBody))]
) -> dict[str, Any]:
    """The receipt of the live cycle: nothing of it leaves this host. At rest no token, else one with `cycle`."""
    actor = caller.actor(Act.CYCLE, context.plane().state())
    return context.launch("ops_core.live", {"actor": actor})


@router.get("/live/cycle/latest", summary="The receipt of the latest live cycle.", dependencies=[_NO_QUERY])
def live_cycle_latest(context: InContext) -> dict[str, Any]:
    """The receipt's own fields, and the same in `rows`; an empty row where there is none, as scripts take the first."""
    from ops_core.live.receipts import latest

    with context.plane().snapshot() as found:
        receipt = latest(found)
    return {"status": "no_data", "rows": [{}]} if receipt is None else rows_of(receipt)


@router.get("/snapshots/resolve", summary="What a reference names.", openapi_extra={"parameters": [_NAMED]})
def snapshot(context: InContext, ref: Annotated[str, Depends(reference)]) -> dict[str, Any]:
    """The recorded receipt, or the file of a bundle. The reference is looked up; it is not the path of anything."""
    try:
        return resolve(context.settings, context.plane(), ref)
    except NoSuchSnapshot as error:
        raise BadRequest(
            error.what, status=404, where=f"query: {REF}", allowed=error.allowed, next_step=error.next_step
        ) from None


@router.get("/live/alerts/preview", summary="What the next live cycle would show.", dependencies=[_NO_QUERY])
def alert_preview(context: InContext) -> dict[str, Any]:
    """The preview, for the console alone. Looking at it delivers nothing and counts as no delivery."""
    from ops_core.live.run import preview

    return preview(context.settings, context.plane())
