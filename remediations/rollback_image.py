"""Put a container made from the last good image in the place of the one that runs, with the same configuration."""

from __future__ import annotations

from ops_core.remediation import Plan, PlanContext, Rollback, image_rollback, remediation


@remediation("rollback_image")
def rollback_image(context: PlanContext) -> Plan:
    """Make the container anew, stop the old one, change places, start; the way back changes places once more."""
    way = image_rollback(context)
    name = context.target.name
    return Plan(
        remediation="rollback_image",
        target=name,
        findings=context.findings,
        steps=way.steps,
        undo=way.undo,
        no_undo=way.no_undo,
        summary=_summary(name, way),
    )


def _summary(name: str, way: Rollback) -> dict[str, str]:
    if not way.undo:
        return {
            "en": f"the container of {name} runs the last good image, {way.good}, already: restart it",
            "ko": f"{name} 컨테이너는 이미 마지막 정상 이미지 {way.good}을(를) 사용 중이므로 재시작",
        }
    return {
        "en": f"roll the image of {name} back from {way.old} to {way.good}",
        "ko": f"{name}의 이미지를 {way.old}에서 {way.good}(으)로 롤백",
    }
