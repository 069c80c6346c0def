"""Stop a service where it still runs, then start it. The supervisor kills a frozen one that does not hear it."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, remediation


@remediation("restart_service")
def restart_service(context: PlanContext) -> Plan:
    """Stop and start; only start where nothing runs."""
    steps = context.restart_steps()
    name = context.target.name
    started_only = len(steps) == 1
    return Plan(
        remediation="restart_service",
        target=name,
        findings=context.findings,
        steps=steps,
        summary={
            "en": f"start {name}" if started_only else f"restart {name}",
            "ko": f"{name} 시작" if started_only else f"{name} 재시작",
        },
        no_undo={
            "en": "a restart cannot be taken back: the old process is gone",
            "ko": "재시작은 되돌릴 수 없습니다. 이전 프로세스는 이미 종료되었습니다",
        },
    )
