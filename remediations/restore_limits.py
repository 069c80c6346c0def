"""Give a service back the limits that were lowered."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, remediation
from ops_core.remediation.temporary import take_away
from ops_core.temporary import Kind


@remediation("restore_limits")
def restore_limits(context: PlanContext) -> Plan:
    """Swap the link back to the configuration that the lowered one was made from, then restart."""
    way = take_away(context, Kind.LOWERED)
    name = context.target.name
    return Plan(
        remediation="restore_limits",
        target=name,
        findings=context.findings,
        steps=way.steps,
        undo=way.undo,
        no_undo=way.no_undo,
        summary={
            "en": f"restore the limits of {name}, back to {way.new}, and restart it",
            "ko": f"{name}의 상한을 복원하여 {way.new}(으)로 되돌리고 재시작",
        },
    )
