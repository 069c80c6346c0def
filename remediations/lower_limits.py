"""Lower what a service takes at once, for half an hour, so that an overload does not take it down."""

from __future__ import annotations

from datetime import timedelta

from ops_core.remediation import Plan, PlanContext, PlanRefused, remediation
from ops_core.remediation.temporary import put_in_force, settings_of
from ops_core.temporary import Kind

LASTS = timedelta(minutes=30)
# By setting: below this a service takes nothing useful any more.
FLOORS = {"INGEST_MAX_BATCH_ITEMS": 10, "MAX_REQUEST_BODY_BYTES": 4096}


@remediation("lower_limits")
def lower_limits(context: PlanContext) -> Plan:
    """Half of each limit, but not below its floor; until a time that the configuration itself says."""
    name = context.target.name
    if context.now is None:
        raise PlanRefused("nobody says what time it is", where=f"target {name}")
    until = (context.now + LASTS).replace(microsecond=0)
    changes = _halved(context)
    way = put_in_force(context, Kind.LOWERED, changes, until)
    told = ", ".join(f"{key} {value}" for key, value in changes.items())
    return Plan(
        remediation="lower_limits",
        target=name,
        findings=context.findings,
        steps=way.steps,
        undo=way.undo,
        summary={
            "en": f"lower the limits of {name} until {until:%H:%M} UTC ({told}) and restart it",
            "ko": f"{until:%H:%M} UTC까지 {name}의 상한을 낮추고({told}) 재시작",
        },
    )


def _halved(context: PlanContext) -> dict[str, str]:
    name, known = context.target.name, settings_of(context)
    promised = {
        "INGEST_MAX_BATCH_ITEMS": context.target.batch_items_max,
        "MAX_REQUEST_BODY_BYTES": context.target.body_max_bytes,
    }
    changes = {}
    for key, floor in FLOORS.items():
        text = known.get(key) or str(promised[key] or "")
        if text.isascii() and text.isdecimal() and int(text) > floor:
            changes[key] = str(max(floor, int(text) // 2))
    if not changes:
        raise PlanRefused(
            f"no limit of {name} can be lowered",
            where=f"target {name}",
            allowed=", ".join(f"{key} above {floor}" for key, floor in FLOORS.items()),
            next_step="stop traffic before it arrives, or add capacity",
        )
    return changes
