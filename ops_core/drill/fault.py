"""A fault: what breaks a stack, what has to be found then, and what heals it.

It can be withdrawn at any time, also after something else has healed it already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops_core.drill.base_stack import Stack
from ops_core.drill.injectors import Step, Test
from ops_core.drill.stack import EmbeddedStack
from ops_core.drill.work_dir import ServiceSpec
from ops_core.errors import UsageError

RESTART = "restart_service"
ROLLBACK_RELEASE = "rollback_release"
ROLLBACK_CONFIG = "rollback_config"
NEW_RELEASE = ("release.unproven",)
NEW_CONFIG = ("config.unproven",)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to break a stack.

    Attributes:
        name: what people type.
        stack: the kind of stack that is broken.
        service: the service of the stack that is broken.
        description: what happens, by language.
        findings: codes that an observation has to find about the target; others may come along.
        facts: what the observation has to say about the target's versions, once the good ones are recorded.
        remediation: the one that the decision table has to choose.
        dependents: other targets about which something will be found, because they depend on what is broken.
        two_keys: whether that remediation needs the approval of two people, whom a rehearsal brings along.
        left: codes that are found once that remediation has healed it, and that only a person can answer.
        curable: whether that remediation really heals it; else the end has to be an escalation.
        do: what breaks it.
        holds: how one sees that it is broken.
    """

    name: str
    stack: type[Stack[Any]] = EmbeddedStack
    service: str = "core"
    description: Mapping[str, str]
    findings: tuple[str, ...]
    facts: tuple[str, ...] = ()
    remediation: str
    dependents: tuple[str, ...] = ()
    two_keys: bool = False
    left: tuple[str, ...] = ()
    curable: bool = True
    do: Step[Any]
    holds: Test[Any]

    @property
    def target(self) -> str:
        """The target as `ops.toml` names it."""
        services: Mapping[str, ServiceSpec] = self.stack.LAYOUT.SERVICES
        return services[self.service].target

    @property
    def heals_by(self) -> str | None:
        """The remediation that heals it; None when none does."""
        return self.remediation if self.curable else None

    def inject(self, stack: Stack[Any]) -> None:
        """Break the service, and return when it is really broken.

        It starts from a service that is known to be good: an earlier fault of the same service is withdrawn.

        Raises:
            UsageError: the stack does not run.
            Overdue: the fault did not take effect.
        """
        if not stack.running:
            raise UsageError(
                f"the {stack.layout.KIND} does not run",
                where=str(stack.work_dir),
                next_step=f"ops drill up {stack.PROFILE}",
            )
        stack.make_good(self.service)
        self.do(stack, self.service)
        stack.wait(lambda: self.in_force(stack), f"the fault {self.name} does not take effect")

    def in_force(self, stack: Stack[Any]) -> bool:
        """Whether the service is broken in this way now."""
        return self.holds(stack, self.service)

    def withdraw(self, stack: Stack[Any]) -> None:
        """Take the fault back, whatever happened since it was injected; any number of times."""
        stack.make_good(self.service)
        if stack.running:
            stack.wait(lambda: not self.in_force(stack), f"the fault {self.name} does not go away")
