"""Take the latest migration back: only one that declares itself reversible and data-safe, and only with two keys."""

from __future__ import annotations

import sys

from ops_core.remediation import CommandSays, Plan, PlanContext, PlanRefused, Step, remediation
from ops_core.remediation.schema import SchemaInForce

STEP_S = 120.0


@remediation("rollback_schema")
def rollback_schema(context: PlanContext) -> Plan:
    """`alembic downgrade -1`; the way back is `upgrade +1`.

    The findings are left out: what two people approve is the step, whatever else is found until it is taken.
    """
    target = context.target
    if context.schema is None:
        raise PlanRefused(f"the schema of {target.name} is not known", where=f"target {target.name}")
    found = context.schema()
    for declared, name in ((found.reversible, "reversible"), (found.data_safe, "data_safe")):
        if not declared:
            raise PlanRefused(
                f"the revision in force, {found.revision}, does not declare {name} = True",
                where=found.where,
                allowed="reversible = True and data_safe = True, as literals in the migration",
                next_step="a person decides: restore a backup, or correct it with a new migration",
            )
    return Plan(
        remediation="rollback_schema",
        target=target.name,
        findings=(),
        steps=(_step(target.name, found, "downgrade", found.revision, found.before),),
        undo=(_step(target.name, found, "upgrade", found.before, found.revision),),
        summary={
            "en": f"take the schema of {target.name} back from {found.revision} to {found.before}",
            "ko": f"{target.name}의 스키마를 {found.revision}에서 {found.before}(으)로 롤백",
        },
        # The migration is still there, and not carried out any more.
        leaves=("schema.behind",),
        two_keys=True,
    )


def _step(target: str, found: SchemaInForce, act: str, old: str, new: str) -> Step:
    # -P: what lies in the current folder must not be taken for one of ours.
    about = ("--config", str(found.config), "--profile", found.profile, "--target", target, "--from", old, "--to", new)
    module = (sys.executable, "-P", "-m", "ops_core.remediation.schema")
    return Step(
        name=f"{act} {old} to {new}"[:120],
        # What was read and approved is what is run: the file is part of the plan.
        argv=(*module, act, *about, "--sha256", found.digest),
        timeout_s=STEP_S,
        outcome=CommandSays(argv=(*module, "at", *about), yes=True),
    )
