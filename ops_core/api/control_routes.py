"""Status, self test, emergency stop, gate, window, approvals, sender."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from ops_core.api.authority import Act, closes
from ops_core.api.bodies import (
    GATE_CASES,
    STOP_CASES,
    ApproveBody,
    GateBody,
    RevokeBody,
    SenderBody,
    StopBody,
    WindowBody,
    documented,
    reading,
)
from ops_core.api.context import ANONYMOUS, Caller, Context, FromCaller, InContext, caller_of, no_query
from ops_core.clock import isoformat, new_run_id
from ops_core.control import model
from ops_core.control.model import ControlState, Gate
from ops_core.control.people import approve_window, request_window, revoke_window
from ops_core.control.people.keys import signed_bytes
from ops_core.control.running import EndedWork, LeftWork, end_all, engage_and_end, open_works
from ops_core.control.running.stopping import BUSY_S
from ops_core.control.views import approvals_of, gate_of, modes, sender_of, stop_of, window_of

router = APIRouter(prefix="/api", dependencies=[Depends(no_query)])


@router.get("/status", summary="Is the control plane there, and what does it permit?")
def status(context: InContext) -> dict[str, Any]:
    """The service's health with the modes that are in force."""
    state, now = context.plane().state(), context.now()
    return {
        "status": "STOPPED" if state.stopped else "OK",
        "asof": isoformat(now),
        "profile": context.settings.profile,
        "drill": context.settings.drill,
        **modes(state, now),
        "problem": state.problem,
        "next": state.remedy,
    }


@router.get("/secrets/self_test", summary="Does every secret that is named have a value?")
def self_test(context: InContext) -> dict[str, Any]:
    """SELF_TEST_PASS or SELF_TEST_FAIL, with a row for each secret and never a value."""
    from ops_core.push import self_test as test

    return test(context.settings).as_dict()


@router.get("/emergency_stop", summary="Is the emergency stop engaged?")
def stop(context: InContext) -> dict[str, Any]:
    """The emergency stop, with who changed it, when and why, and the works that run."""
    plane = context.plane()
    state = plane.state()
    running = [] if state.problem else [work.as_dict() for work in open_works(plane)]
    return {**stop_of(state), "running": running}


@router.post(
    "/emergency_stop", summary="Engage or release the emergency stop.", openapi_extra=documented(StopBody, *STOP_CASES)
)
async def set_stop(
    context: InContext, request: Request, body: Annotated[StopBody, Depends(reading(StopBody))]
) -> dict[str, Any]:
    """Engaging needs nobody's permission and answers when everything that ran has ended; releasing needs a reason."""
    if body.enabled:
        # In threads of its own: forty releases that wait for the store must not be in the way. Nor is the Authorization
        # header looked at: a spoilt one must not keep anybody from stopping.
        return await asyncio.get_running_loop().run_in_executor(context.urgent, _engage, context, body.reason)
    return await asyncio.to_thread(_release, context, await caller_of(request), body.reason)


def _engage(context: Context, reason: str) -> dict[str, Any]:
    plane = context.plane()
    state = plane.state()
    # What is stopped already may be stopped again as often as anybody likes, but is not recorded again without end.
    if state.stopped and not state.problem and not context.anonymous.take():
        again = end_all(plane.impatient(BUSY_S), plane.clock)
        state = plane.state()
        if state.stopped:
            return _stopped(state, again.ended, again.left)
    told = engage_and_end(plane, reason or model.ENGAGED, ANONYMOUS)
    return _stopped(told.state, told.ended, told.left)


def _stopped(state: ControlState, ended: Sequence[EndedWork], left: Sequence[LeftWork]) -> dict[str, Any]:
    return {
        **stop_of(state),
        "acknowledged": not left,
        "ended": [work.as_dict() for work in ended],
        "left": [work.as_dict() for work in left],
    }


def _release(context: Context, caller: Caller, reason: str) -> dict[str, Any]:
    plane = context.plane()
    state = plane.state()
    actor = caller.actor(Act.RELEASE, state)
    # Without a token only what was seen at rest is released: somebody may be preparing something at this moment.
    seen = None if caller.named() else state.version
    return stop_of(plane.release(reason, actor=actor, expected_version=seen))


@router.get("/execution_gate", summary="The execution gate.")
def gate(context: InContext) -> dict[str, Any]:
    """The mode in force, what was set, by whom, until when."""
    return gate_of(context.plane().state(), context.now())


@router.post("/execution_gate", summary="Set the execution gate.", openapi_extra=documented(GateBody, *GATE_CASES))
def set_gate(
    context: InContext, caller: FromCaller, body: Annotated[GateBody, Depends(reading(GateBody))]
) -> dict[str, Any]:
    """REAL_ENABLED needs a token with the scope `gate` and ends by itself; the others close and need none."""
    plane = context.plane()
    if body.mode == Gate.REAL_ENABLED:
        actor = caller.operator(Act.GATE).name
    else:
        safer = closes(Act.GATE, plane.state(), context.now(), Gate(body.mode))
        actor = caller.closer(Act.GATE, safer=safer)
    ttl_s = None if body.duration_minutes is None else 60 * body.duration_minutes
    return gate_of(plane.set_gate(body.mode, body.reason, ttl_s=ttl_s, actor=actor), context.now())


@router.get("/real_enable_window/latest", summary="The latest window.")
def window(context: InContext) -> dict[str, Any]:
    """Its status, the seconds left, whether it was used, and what it permits."""
    return window_of(context.plane().state(), context.now())


@router.post("/real_enable_window/request", summary="Ask for a window.", openapi_extra=documented(WindowBody))
def ask_for_window(
    context: InContext, caller: FromCaller, body: Annotated[WindowBody, Depends(reading(WindowBody))]
) -> dict[str, Any]:
    """A window over what the outbox holds now, waiting for the keys of two other people. Scope `window`."""
    from ops_core.push import offer, recover

    operator = caller.operator(Act.WINDOW)
    run_id, plane = new_run_id(context.now()), context.plane(operator.name)
    # A live fire that was cut off locks down what is open: before this window is asked for, not after.
    recover(plane)
    state = request_window(
        plane,
        lambda change: offer(change, context.settings, run_id),
        operator=operator.name,
        reason=body.reason,
        duration_s=60 * body.duration_minutes,
    )
    return window_of(state, context.now())


@router.post("/real_enable_window/revoke", summary="Revoke the open window.", openapi_extra=documented(RevokeBody))
def revoke(
    context: InContext, caller: FromCaller, body: Annotated[RevokeBody, Depends(reading(RevokeBody))]
) -> dict[str, Any]:
    """Closing a window needs nobody's permission; who does it with a token is named."""
    # Where none is open this is refused and leaves no trace, so it is always worth letting in.
    actor = caller.closer(Act.WINDOW, safer=True)
    return window_of(revoke_window(context.plane(), body.reason, actor), context.now())


@router.get("/approvals/real_enable/latest", summary="The approvals of the latest window.")
def approvals(context: InContext) -> dict[str, Any]:
    """APPROVED, PENDING or NONE, who gave a key, and the text that the next key signs."""
    told = approvals_of(context.plane().state(), context.now())
    digest = told.get("permit_digest")
    return {**told, "signed_text": signed_bytes(digest).decode("ascii")} if digest else told


@router.post("/approvals/real_enable/approve", summary="Give a key.", openapi_extra=documented(ApproveBody))
def approve(
    context: InContext, caller: FromCaller, body: Annotated[ApproveBody, Depends(reading(ApproveBody))]
) -> dict[str, Any]:
    """One of the two keys: the token says who it is, the signature proves what was read. Scope `approve`."""
    operator = caller.operator(Act.APPROVE)
    state = approve_window(
        context.plane(operator.name), operator=operator.name, signature=body.signature, digest=body.digest.lower()
    )
    return approvals_of(state, context.now())


@router.get("/real_sender_enable", summary="The sender.")
def sender(context: InContext) -> dict[str, Any]:
    """Whether messages may leave, and on which channel."""
    return sender_of(context.plane().state(), context.now())


@router.post("/real_sender_enable", summary="Switch the sender on or off.", openapi_extra=documented(SenderBody))
def set_sender(
    context: InContext, caller: FromCaller, body: Annotated[SenderBody, Depends(reading(SenderBody))]
) -> dict[str, Any]:
    """Switching it on needs a token with the scope `sender` and lasts an hour at most; switching it off needs none."""
    plane = context.plane()
    if body.enabled:
        state = plane.enable_sender(body.channel, body.reason, actor=caller.operator(Act.SENDER).name)
    else:
        safer = closes(Act.SENDER, plane.state(), context.now())
        actor = caller.closer(Act.SENDER, safer=safer)
        state = plane.disable_sender(body.reason, actor=actor)
    return sender_of(state, context.now())
