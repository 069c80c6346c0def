"""What every route is handed: the settings, the control plane, and who asks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from ops_core.api.authority import Act, needs_token
from ops_core.api.errors import BadRequest
from ops_core.api.guarding import Allowance
from ops_core.api.looks import Looks
from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.model import ControlState
from ops_core.control.opening import plane_of
from ops_core.control.people import Forbidden, Operator, Unauthenticated, authenticate
from ops_core.control.service import ControlPlane
from ops_core.handoff.roles import Act as Done
from ops_core.handoff.roles import requested, require

ANONYMOUS = "api"
TOKEN_MAX_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the application was made with.

    Attributes:
        settings: the profile that is served.
        clock: where `now` comes from.
        launch: runs one act in a process of its own: its module and request, to its receipt.
        urgent: threads that nothing but engaging the stop may use.
        anonymous: how much may be recorded for who shows no token.
        looks: takes the looks that alerts ask for.
    """

    settings: Settings
    clock: Clock
    launch: Callable[[str, dict[str, Any]], dict[str, Any]]
    urgent: ThreadPoolExecutor
    anonymous: Allowance
    looks: Looks

    def plane(self, actor: str = ANONYMOUS) -> ControlPlane:
        """The control plane, acting in that name."""
        return plane_of(self.settings, self.clock, actor)

    def now(self) -> datetime:
        """The time."""
        return self.clock.now()


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks: the token of the request, if it has one; `unfit` where what it has is none."""

    context: Context
    token: str
    unfit: bool = False

    def named(self) -> bool:
        """Whether a token was sent at all."""
        return bool(self.token) or self.unfit

    def operator(self, act: Act) -> Operator:
        """The person, proven by a token with the act's scope.

        Raises:
            Refused: it is not done on a host of this role.
            Unauthenticated: there is no token, or not one that counts.
            Forbidden: the token does not have the scope.
        """
        self._held(act)
        return self._proven(act)

    def _held(self, act: Act) -> None:
        """Go on only where this host is there for it: everything that a token opens is the operator's day."""
        settings = self.context.settings
        if act is not Act.RELEASE:
            where = f"{settings.path}, [profiles.{settings.profile}]"
            require(settings.role, Done.CYCLE, what="this request", where=where)

    def _proven(self, act: Act) -> Operator:
        if self.unfit:
            raise Unauthenticated(
                "this is no operator's token", where="Authorization header", allowed="Bearer, and one token"
            )
        if not self.token:
            raise Unauthenticated(
                "this needs an operator's token",
                where="Authorization header",
                allowed=f"Bearer, a token with the scope {act}",
                next_step=f"ops operator add NAME --scope {act}",
            )
        return authenticate(self.context.plane(), self.token, act.value)

    def actor(self, act: Act, state: ControlState) -> str:
        """In whose name the act is done: a person's where it needs one or a token was sent.

        Raises:
            Refused: it is not done on a host of this role.
            Unauthenticated: it needs a token that counts.
            Forbidden: the token does not have the scope.
            BadRequest: too much was done without a token.
        """
        self._held(act)
        if self.named() or needs_token(act, state, self.context.now()):
            return self.operator(act).name
        self._spend()
        return ANONYMOUS

    def closer(self, act: Act, *, safer: bool) -> str:
        """In whose name something is closed: a person's where a token proves one. Nobody is kept from making it safer.

        Raises:
            BadRequest: it would make nothing safer, and too much was done without a token.
        """
        if self.named():
            with contextlib.suppress(Unauthenticated, Forbidden):
                return self._proven(act).name
        if not safer:
            self._spend()
        return ANONYMOUS

    def _spend(self) -> None:
        if not self.context.anonymous.take():
            raise BadRequest(
                "too much was done without a token",
                status=429,
                where="Authorization header",
                allowed=f"{self.context.anonymous.per_hour} acts an hour, and any number with a token",
                next_step="send an operator's token, or use ops on the host",
            )


# These wait for nothing. `async` keeps them on the event loop: a plain function would go to the threads that all routes
# share, and forty requests that wait for the store there would hold up the one that engages the emergency stop.


async def context_of(request: Request) -> Context:
    """The context of the application that was asked."""
    found = request.app.state.context
    assert isinstance(found, Context)  # noqa: S101 - create_app puts it there
    return found


async def caller_of(request: Request) -> Caller:
    """Who asks. A header that is not one bearer token is told where somebody has to be known, and not before."""
    sent = request.headers.getlist("authorization")
    token = ""
    if sent:
        scheme, _, token = sent[0].partition(" ")
        token = token.strip()
        if len(sent) != 1 or scheme.lower() != "bearer" or not token or len(token) > TOKEN_MAX_CHARS:
            return Caller(context=await context_of(request), token="", unfit=True)
    return Caller(context=await context_of(request), token=token)


async def no_query(request: Request) -> None:
    """Refuse parameters where there are none: a misspelt one must not be overlooked.

    Raises:
        BadRequest: there is a query.
    """
    if request.url.query:
        raise BadRequest("this path takes no parameters", where="query", allowed="the path alone")


async def held(request: Request) -> None:
    """Refuse what is not done on a host of this role, whoever asks.

    Raises:
        Refused: it is the other host's to do.
    """
    settings = (await context_of(request)).settings
    if settings.role is not None:
        asked = f"{request.method} {request.scope['path']}"
        where = f"{settings.path}, [profiles.{settings.profile}]"
        require(settings.role, requested(asked), what=asked, where=where)


InContext = Annotated[Context, Depends(context_of)]
FromCaller = Annotated[Caller, Depends(caller_of)]
