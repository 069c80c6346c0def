"""A fault: what breaks a stack, what has to be found then, and what becomes of it.

It can be withdrawn at any time, also after something else has healed it already, and also by another process than the
one that injected it: what a killed drill broke vanishes with the stack that it tied to itself, and on a stack that
stays, `ops drill withdraw` puts back what was known to be good.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ops_core.drill import servers
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
ESCALATED, RECOVERED = "escalated", "recovered"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to break a stack.

    Attributes:
        name: what people type.
        stack: the kind of stack that is broken.
        service: the service of the stack that is broken; empty where the control plane is.
        suite: the checks that see it; those of the stack by default.
        description: what happens, by language.
        findings: codes that an observation has to find about the target; others may come along.
        unseen: codes of checks that cannot judge the target then, and have to say so.
        absent: codes that must not be found about anything.
        facts: what the observation has to say about the target's versions, once the good ones are recorded.
        row: the row of the decision table that has to match, at the latest after an earlier one was carried out.
        remediation: the one that this row has to choose; None where a person has to act.
        dependents: other targets about which something will be found, because they depend on what is broken.
        two_keys: whether that remediation needs the approval of two people, whom a rehearsal brings along.
        by_hand: whether a person chooses that remediation, whatever the table says.
        left: codes that are found once that remediation has healed it, and that only a person can answer.
        curable: whether it ends recovered; else the end has to be an escalation.
        then: remediations that have to follow, where that one alone is not the end.
        undone: whether a remediation has to be taken back, because it does not help.
        taken_back: which one; `remediation` by default.
        end: how the incident has to end, where that does not follow from the rest.
        needs: programs without which it cannot be injected.
        parts: faults that are injected together; what is expected of each of them is expected of this one.
        verify_s: seconds that a remediation gets to show its effect, where nobody says otherwise.
        prepare: what is done before the stack is seen healthy.
        do: what breaks it.
        holds: how one sees that it is broken.
        undo: what withdraws it, before the service is put back to its known good state.
        refused: for what is refused at the door, so that no check has to see it: how it was refused, and that nothing
            came of it; empty where it was not.
    """

    name: str
    stack: type[Stack[Any]] = EmbeddedStack
    service: str = "core"
    suite: str | None = None
    description: Mapping[str, str]
    findings: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    row: str | None = None
    remediation: str | None
    dependents: tuple[str, ...] = ()
    two_keys: bool = False
    by_hand: bool = False
    left: tuple[str, ...] = ()
    curable: bool = True
    then: tuple[str, ...] = ()
    undone: bool = False
    taken_back: str | None = None
    end: str | None = None
    needs: tuple[str, ...] = ()
    parts: tuple[Fault, ...] = ()
    verify_s: float | None = None
    prepare: Step[Any] | None = None
    do: Step[Any]
    holds: Test[Any]
    undo: Step[Any] | None = None
    refused: Callable[[Any, str], str] | None = None

    @property
    def target(self) -> str | None:
        """The target as `ops.toml` names it; None stands for the control plane."""
        services: Mapping[str, ServiceSpec] = self.stack.LAYOUT.SERVICES
        return services[self.service].target if self.service else None

    @property
    def driver(self) -> str:
        """On what it works: process, container, service, control or bundle."""
        return self.stack.DRIVER if self.service or not self.stack.LAYOUT.SERVICES else "control"

    @property
    def looked_at_by(self) -> str:
        """The suite whose checks see it."""
        return self.suite or self.stack.SUITE

    @property
    def heals_by(self) -> str | None:
        """The remediation that heals it; None when none does."""
        return self.remediation if self.curable else None

    @property
    def ends(self) -> str:
        """How the incident has to end; `unknown` where nothing is found and something cannot be seen."""
        if self.end is not None:
            return self.end
        if not any(self.expected):
            return "unknown"
        healed = self.curable and not self.left and all(one.remediation for one in self.all_parts)
        return RECOVERED if healed else ESCALATED

    @property
    def all_parts(self) -> tuple[Fault, ...]:
        """The faults that it consists of: itself, unless it is made of others."""
        return self.parts or (self,)

    @property
    def expected(self) -> tuple[tuple[str, str | None], ...]:
        """What has to be found, about which target."""
        return tuple(dict.fromkeys((code, one.target) for one in self.all_parts for code in one.findings))

    @property
    def about(self) -> frozenset[str | None]:
        """The targets about which something may be found."""
        return frozenset(target for one in self.all_parts for target in (one.target, *one.dependents))

    def missing(self) -> str:
        """Why it cannot be injected on this machine; empty where it can."""
        lacking = self.stack.lacking()
        programs = [name for name in self.needs if shutil.which(name, path=servers.search_path()) is None]
        return lacking or (f"it needs {', '.join(programs)}" if programs else "")

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
        self._make_good(stack)
        self.do(stack, self.service)
        stack.wait(lambda: self.in_force(stack), f"the fault {self.name} does not take effect")

    def in_force(self, stack: Stack[Any]) -> bool:
        """Whether the service is broken in this way now."""
        return self.holds(stack, self.service)

    def withdraw(self, stack: Stack[Any]) -> None:
        """Take the fault back, whatever happened since it was injected; any number of times."""
        for one in (self, *self.parts):
            if one.undo is not None and stack.running:
                one.undo(stack, one.service)
        self._make_good(stack)
        if stack.running:
            stack.wait(lambda: not self.in_force(stack), f"the fault {self.name} does not go away")

    def _make_good(self, stack: Stack[Any]) -> None:
        for service in dict.fromkeys(one.service for one in (self, *self.parts) if one.service):
            stack.make_good(service)


def together(name: str, description: Mapping[str, str], *parts: Fault, **changed: Any) -> Fault:
    """Faults of one stack that are injected at once, one after the other.

    Args:
        name: what people type.
        description: what happens, by language.
        parts: at least two; what is expected of each is expected of the whole.
        changed: other attributes of the whole.
    """
    first = parts[0]

    def do(stack: Stack[Any], _service: str) -> None:
        for one in parts:
            one.do(stack, one.service)

    def holds(stack: Stack[Any], _service: str) -> bool:
        return all(one.in_force(stack) for one in parts)

    about: dict[str, Any] = {
        "stack": first.stack,
        "service": first.service,
        "suite": first.suite,
        "findings": first.findings,
        "remediation": first.remediation,
        "row": first.row,
        "two_keys": any(one.two_keys for one in parts),
        "curable": all(one.curable for one in parts),
        "left": tuple(dict.fromkeys(code for one in parts for code in one.left)),
        "needs": tuple(dict.fromkeys(need for one in parts for need in one.needs)),
        "do": do,
        "holds": holds,
        **changed,
    }
    return Fault(name=name, description=description, parts=parts, **about)
