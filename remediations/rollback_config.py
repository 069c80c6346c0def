"""Put the last good configuration back in force, then restart, so that it is what runs."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, remediation, rollback


@remediation("rollback_config")
def rollback_config(context: PlanContext) -> Plan:
    """Swap the link atomically, then stop and start; the way back swaps it to what was in force."""
    way = rollback(context, "config")
    name = context.target.name
    return Plan(
        remediation="rollback_config",
        target=name,
        findings=context.findings,
        steps=way.steps,
        undo=way.undo,
        no_undo=way.no_undo,
        summary={
            "en": f"roll the configuration of {name} back from {way.old} to {way.good} and restart it",
            "ko": f"{name}의 구성을 {way.old}에서 {way.good}(으)로 롤백하고 재시작",
        },
    )
