"""Put the last good release back in force, then restart, so that it is what runs."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, remediation, rollback


@remediation("rollback_release")
def rollback_release(context: PlanContext) -> Plan:
    """Swap the link atomically, then stop and start; the way back swaps it to what was in force."""
    way = rollback(context, "release")
    name = context.target.name
    return Plan(
        remediation="rollback_release",
        target=name,
        findings=context.findings,
        steps=way.steps,
        undo=way.undo,
        no_undo=way.no_undo,
        summary={
            "en": f"roll the release of {name} back from {way.old} to {way.good} and restart it",
            "ko": f"{name}의 릴리스를 {way.old}에서 {way.good}(으)로 롤백하고 재시작",
        },
    )
