"""Take a service out of its degraded mode: what it depends on is well again."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, remediation
from ops_core.remediation.temporary import take_away
from ops_core.temporary import Kind


@remediation("leave_degraded_mode")
def leave_degraded_mode(context: PlanContext) -> Plan:
    """Swap the link back to the configuration that the degraded one was made from, then restart."""
    way = take_away(context, Kind.DEGRADED)
    name = context.target.name
    return Plan(
        remediation="leave_degraded_mode",
        target=name,
        findings=context.findings,
        steps=way.steps,
        undo=way.undo,
        no_undo=way.no_undo,
        summary={
            "en": f"take {name} out of its degraded mode, back to {way.new}, and restart it",
            "ko": f"{name}의 강등 모드를 해제하여 {way.new}(으)로 되돌리고 재시작",
        },
    )
