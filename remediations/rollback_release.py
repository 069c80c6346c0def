"""Put the last good release back in force, then restart, so that it is what runs."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, Rollback, remediation, rollback


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
        summary=_summary(name, way),
    )


def _summary(name: str, way: Rollback) -> dict[str, str]:
    if not way.swaps:
        return {
            "en": f"the last good release of {name}, {way.good}, is in force already: restart it so that it runs",
            "ko": f"{name}의 마지막 정상 릴리스 {way.good}이(가) 이미 적용되어 있으므로, 반영되도록 재시작",
        }
    return {
        "en": f"roll the release of {name} back from {way.old} to {way.good} and restart it",
        "ko": f"{name}의 릴리스를 {way.old}에서 {way.good}(으)로 롤백하고 재시작",
    }
