"""Put a service into its documented degraded mode while something that it depends on stays away."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, remediation
from ops_core.remediation.temporary import put_in_force
from ops_core.temporary import Kind

# What is seen of a service while it is degraded on purpose: it says so, refuses what it cannot do, and what it stands
# on is still away.
AWAY = ("database.read_only", "database.unreachable", "redis.unreachable")
LEFT = (*AWAY, "errors.rate_high", "ready.degraded")


@remediation("enter_degraded_mode")
def enter_degraded_mode(context: PlanContext) -> Plan:
    """A configuration beside the one in force that is the same but for DEGRADED_MODE, put in force by a restart."""
    way = put_in_force(context, Kind.DEGRADED, {"DEGRADED_MODE": "1"})
    name = context.target.name
    return Plan(
        remediation="enter_degraded_mode",
        target=name,
        findings=context.findings,
        steps=way.steps,
        undo=way.undo,
        leaves=LEFT,
        summary={
            "en": f"put {name} into its degraded mode ({way.new}) and restart it",
            "ko": f"{name}을(를) 강등 모드({way.new})로 전환하고 재시작",
        },
    )
