"""Cycles, their receipts, live fire and its postmortem."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from ops_core.api.authority import Act
from ops_core.api.bodies import CycleBody, EmptyBody, documented, reading
from ops_core.api.context import Caller, FromCaller, InContext, no_query
from ops_core.clock import isoformat
from ops_core.control.people import Forbidden, Unauthenticated
from ops_core.control.views import modes

router = APIRouter(prefix="/api/ops", dependencies=[Depends(no_query)])
NO_DATA: dict[str, Any] = {"status": "no_data", "rows": []}


@router.get("/health", summary="Is everything that operates in order?")
def health(context: InContext) -> dict[str, Any]:
    """OK or STOPPED, the outcome of the last cycle, and what was missed."""
    plane, now = context.plane(), context.now()
    state = plane.state()
    last: dict[str, Any] | None = None
    missed: tuple[str, ...] = ()
    if not state.problem:
        from ops_core.cycle.records import latest
        from ops_core.cycle.records import missed as missed_slots

        with plane.snapshot() as found:
            last, missed = latest(found), missed_slots(context.settings, found, now)
    return {
        "status": "STOPPED" if state.stopped else "WARN" if missed else "OK",
        "asof": isoformat(now),
        **modes(state, now),
        "last_cycle": None if last is None else {name: last.get(name) for name in ("run_id", "result", "ended_at")},
        "missed": list(missed),
        "problem": state.problem,
    }


@router.post("/cycle/run", summary="Run a cycle.", openapi_extra=documented(CycleBody))
def run_cycle(
    context: InContext, caller: FromCaller, body: Annotated[CycleBody, Depends(reading(CycleBody))]
) -> dict[str, Any]:
    """The receipt of the cycle. At rest it needs no token; it fires only for a token that has the scope `fire` too."""
    if body.slot is not None and body.request_types is not None:
        # A slot is run once: whoever asks for something else in its place keeps what is configured from being done.
        actor = caller.operator(Act.CYCLE).name
    else:
        actor = caller.actor(Act.CYCLE, context.plane().state())
    return context.launch(
        "ops_core.cycle",
        {
            "actor": actor,
            "slot": body.slot,
            "request_types": body.request_types,
            "authorised_to_fire": _may_fire(caller),
        },
    )


@router.get("/scheduler/latest", summary="The receipt of the latest cycle.")
def scheduler_latest(context: InContext) -> dict[str, Any]:
    """The receipt's own fields, and the same in `rows`."""
    from ops_core.cycle.records import latest

    with context.plane().snapshot() as found:
        return rows_of(latest(found))


@router.get("/daily", summary="The daily report.")
def daily(context: InContext) -> dict[str, Any]:
    """What `reports/ops/daily/ops_report_latest.json` mirrors."""
    return scheduler_latest(context)


@router.post("/push/live_fire/run", summary="Live fire.", openapi_extra=documented(EmptyBody))
def run_live_fire(
    context: InContext, caller: FromCaller, _body: Annotated[EmptyBody, Depends(reading(EmptyBody))]
) -> dict[str, Any]:
    """The receipt: FIRED, or BLOCKED with every precondition by name. Needs the scope `fire` unless all is at rest."""
    actor = caller.actor(Act.FIRE, context.plane().state())
    return context.launch("ops_core.push", {"actor": actor, "authorised": caller.named()})


@router.get("/push/live_fire/latest", summary="The receipt of the latest live fire.")
def live_fire_latest(context: InContext) -> dict[str, Any]:
    """The receipt's own fields, and the same in `rows`."""
    from ops_core.push import latest

    with context.plane().snapshot() as found:
        return rows_of(latest(found))


@router.get("/push/postmortem/regenerate", summary="Write the postmortem of the latest live fire.")
def postmortem_again(context: InContext) -> dict[str, Any]:
    """The same as with POST: it is written from the record, and the same record gives the same text."""
    from ops_core.push import regenerate_postmortem

    return regenerate_postmortem(context.settings, context.plane()) or dict(NO_DATA)


@router.post(
    "/push/postmortem/regenerate",
    summary="Write the postmortem of the latest live fire.",
    openapi_extra=documented(EmptyBody),
)
def postmortem(context: InContext, _body: Annotated[EmptyBody, Depends(reading(EmptyBody))]) -> dict[str, Any]:
    """Written from the record."""
    return postmortem_again(context)


@router.get("/push/postmortem/latest", summary="The postmortem of the latest live fire.")
def postmortem_latest(context: InContext) -> dict[str, Any]:
    """As it would be written now; no file is read."""
    from ops_core.push import latest_postmortem

    return latest_postmortem(context.settings, context.plane()) or dict(NO_DATA)


def rows_of(receipt: dict[str, Any] | None) -> dict[str, Any]:
    """A receipt at the top and as the one row of `rows`; `no_data` where there is none."""
    return dict(NO_DATA) if receipt is None else {**receipt, "status": "ready", "rows": [receipt]}


def _may_fire(caller: Caller) -> bool:
    """Whether the token has the scope `fire`: to run a cycle is not to fire."""
    if not caller.named():
        return False
    try:
        caller.operator(Act.FIRE)
    except (Forbidden, Unauthenticated):
        return False
    return True
