"""Guarded changes: planned as data, permitted at the moment of use, armed before they act, undone or handed over.

What a module in `remediations/` needs is importable from here.
"""

from __future__ import annotations

from ops_core.remediation.catalogue import remediation
from ops_core.remediation.context import Deployed, PlanContext, Rollback, image_rollback, rollback
from ops_core.remediation.drivers import Driver, ProcessState
from ops_core.remediation.plan import (
    CommandSays,
    ContainerImage,
    ContainerIs,
    ContainerRunning,
    ContainerStopped,
    LinkPointsTo,
    Outcome,
    Plan,
    PlanRefused,
    ProcessRunning,
    ProcessStopped,
    Step,
)

__all__ = [
    "CommandSays",
    "ContainerImage",
    "ContainerIs",
    "ContainerRunning",
    "ContainerStopped",
    "Deployed",
    "Driver",
    "LinkPointsTo",
    "Outcome",
    "Plan",
    "PlanContext",
    "PlanRefused",
    "ProcessRunning",
    "ProcessState",
    "ProcessStopped",
    "Rollback",
    "Step",
    "image_rollback",
    "remediation",
    "rollback",
]
