"""May this plan be applied? Asked twice: before anything is shown as about to happen, and at the moment of use.

The first answer is for people: they get to read the plan and why nothing was touched. Only the second one counts: it is
given inside the transaction that arms a step, so that no stop and no gate can change between the answer and its use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ops_core.control.model import Permission, RemediationPermit, two_keys
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import OpsError, Refused

if TYPE_CHECKING:
    from ops_core.control.running import Work

ALLOWED = "allowed"
STOPPED = "stopped"
DRY_RUN = "dry_run"
TWO_KEYS = "two_keys"
WORK = "remediation"


class GuardRefused(Refused):
    """The guard said no. `code` is the stable word for why: `stopped`, `dry_run`, `mock_only` or `two_keys`."""

    def __init__(self, permission: Permission) -> None:
        super().__init__(permission.reason, where="control plane", next_step=permission.next_step)
        self.code = permission.code


@dataclass(frozen=True)
class Guard:
    """The control plane's word on one profile.

    Attributes:
        plane: who is asked.
        drill: whether the profile is a drill: only there may MOCK_ONLY act.
    """

    plane: ControlPlane
    drill: bool

    def permission(self) -> Permission:
        """What the control plane says now. Never raises; what cannot be known is stopped."""
        return self.plane.permission(self.drill)

    def check(self) -> Permission:
        """What the control plane says now.

        Raises:
            GuardRefused: it says no.
        """
        found = self.permission()
        if not found.allowed:
            raise GuardRefused(found)
        return found

    @contextmanager
    def at_the_point_of_effect(self) -> Iterator[Transaction]:
        """A transaction in which acting is permitted, and that nobody can stop between the question and the commit.

        Raises:
            GuardRefused: acting is not permitted now; nothing was changed.
            StoreUnusable: the store cannot be changed.
        """
        try:
            with self.plane.permitted(self.drill) as change:
                yield change
        except GuardRefused:
            raise
        except Refused as refusal:
            # Asked again for its code alone. Should it be allowed by now, it still was not at the moment of use.
            found = self.permission()
            code = STOPPED if found.allowed else found.code
            raise GuardRefused(
                Permission(allowed=False, code=code, reason=refusal.what, next_step=refusal.next_step)
            ) from None

    def keys_permission(self, permit: RemediationPermit) -> Permission:
        """Whether an open window permits this plan now, for people. Never raises; what cannot be known is no."""
        from ops_core.control.people import keys_problem

        now = self.plane.clock.now()
        try:
            with self.plane.snapshot() as found:
                state = found.state
                proof = keys_problem(found, state.window, now) if state.window else ""
        except OpsError as error:
            return Permission(allowed=False, code=TWO_KEYS, reason=error.what, next_step=error.next_step)
        problem = two_keys.two_keys_problem(state, permit, proof, now)
        if not problem:
            return Permission(allowed=True, code=ALLOWED, reason="two people approved exactly this plan")
        return Permission(
            allowed=False,
            code=TWO_KEYS,
            reason=f"{permit.remediation} of {permit.target} needs two keys: {problem}",
            next_step=two_keys.next_step(state, permit, now),
        )

    def use_keys(self, change: Transaction, permit: RemediationPermit, use: str, at: datetime) -> None:
        """Consume the window that permits this plan, in the transaction in which its first step is armed.

        Raises:
            GuardRefused: no window permits it; nothing was changed.
        """
        from ops_core.control.people import keys_problem

        state = change.state
        proof = keys_problem(change, state.window, at) if state.window else ""
        try:
            after = two_keys.consume(state, permit, proof, use, self.plane.actor, at)
        except Refused as refusal:
            no = Permission(allowed=False, code=TWO_KEYS, reason=refusal.what, next_step=refusal.next_step)
            raise GuardRefused(no) from None
        told = {"plan_digest": permit.plan_digest, "use": use}
        change.put_state(after, at=at, actor=self.plane.actor, action="window.consumed", detail=told)

    def begin_work(self, until: ExitStack) -> Work:
        """Register the work that arms steps, until that ends: an emergency stop ends it before it is acknowledged.

        Raises:
            GuardRefused: the emergency stop is engaged.
            StoreUnusable: the work cannot be recorded.
        """
        from ops_core.control.running import registered

        try:
            return until.enter_context(registered(self.plane, WORK))
        except Refused as refusal:
            raise GuardRefused(
                Permission(allowed=False, code=STOPPED, reason=refusal.what, next_step=refusal.next_step)
            ) from None

    def must_end(self) -> Callable[[], str]:
        """For a step that is under way: the reason of an emergency stop, or nothing.

        A gate that closes meanwhile lets the step finish: half a step is worse than a whole one. A stop does not ask.
        """

        def reason() -> str:
            found = self.permission()
            return found.reason if found.code == STOPPED else ""

        return reason
