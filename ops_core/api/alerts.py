"""Alerts of Prometheus' Alertmanager: its webhook, version 4, and the looks that follow.

What is ours in it is read strictly, what its makers add is let be. The answer comes at once; the look comes behind it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from ops_core.api.authority import Act
from ops_core.api.bodies import Body, documented, reading
from ops_core.api.context import FromCaller, InContext, no_query
from ops_core.incident.alerts import FIRING, Alert, Notification, normal_instant

VERSION = "4"
ALERTS_MAX = 200
LABELS_MAX = 64
Labels = Annotated[
    dict[Annotated[str, Field(max_length=200)], Annotated[str, Field(max_length=4096)]], Field(max_length=LABELS_MAX)
]
EXAMPLE: dict[str, Any] = {
    "version": VERSION,
    "groupKey": '{}:{alertname="ErrorsHigh"}',
    "truncatedAlerts": 0,
    "status": FIRING,
    "alerts": [
        {
            "status": FIRING,
            "labels": {"alertname": "ErrorsHigh", "runbook_target": "ingest", "runbook_severity": "SEV-2"},
            "annotations": {"summary": "more than 1 of 100 requests fail"},
            "startsAt": "2026-11-30T00:05:00.000Z",
        }
    ],
}

router = APIRouter(prefix="/api/ops/alerts", dependencies=[Depends(no_query)])


class AlertBody(Body):
    """One alert of a notification."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: Labels = Field(description="`runbook_target`, `runbook_suite` and `runbook_severity` are looked up")
    annotations: Labels = Field(default_factory=dict, description="`summary` is shown")
    startsAt: str = Field(  # noqa: N815 - its makers' name
        max_length=64,
        description="an instant as RFC 3339 has it",
        json_schema_extra={"format": "date-time", "pattern": "^(19[7-9][0-9]|[2-8][0-9]{3})-"},
    )

    @field_validator("startsAt")
    @classmethod
    def _instant(cls, value: str) -> str:
        try:
            return normal_instant(value)
        except (ValueError, OverflowError):
            raise PydanticCustomError("instant", "this is no instant as RFC 3339 has it") from None


class AlertsBody(Body):
    """What Alertmanager sends; what it has beside this is let be."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"examples": [EXAMPLE]})

    version: Literal["4"]
    groupKey: str = Field(min_length=1, max_length=8192)  # noqa: N815 - its makers' name
    truncatedAlerts: int = Field(default=0, ge=0, le=1_000_000)  # noqa: N815 - its makers' name
    alerts: list[AlertBody] = Field(min_length=1, max_length=ALERTS_MAX)

    @field_validator("version", mode="before")
    @classmethod
    def _version(cls, value: object) -> object:
        if value != VERSION:
            raise PydanticCustomError("version", "the webhook is of another version than 4")
        return value

    def notification(self) -> Notification:
        """The same as the incident's room takes it."""
        alerts = tuple(
            Alert(
                status=one.status,
                labels=one.labels,
                starts_at=one.startsAt,
                summary=one.annotations.get("summary", ""),
            )
            for one in self.alerts
        )
        return Notification(group=self.groupKey, alerts=alerts, left_out=self.truncatedAlerts)


@router.post(
    "/alertmanager", summary="Take alerts of Alertmanager.", status_code=202, openapi_extra=documented(AlertsBody)
)
def take_alerts(
    context: InContext, caller: FromCaller, body: Annotated[AlertsBody, Depends(reading(AlertsBody))]
) -> dict[str, Any]:
    """Opens an incident for what fires, notes what is over. Sent again it changes nothing. Scope `alert`."""
    from ops_core.incident.alerting import take

    actor = caller.operator(Act.ALERT).name
    taken = take(context.settings, context.plane(actor), context.clock, body.notification(), actor=actor)
    # Also where nothing is new: what waits for a stop that was released meanwhile is looked at now.
    context.looks.wake()
    return taken.as_dict()
