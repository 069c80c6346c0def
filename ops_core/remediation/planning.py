"""One plan for one target as both are now: for who chooses it by hand, asks for its keys, or gives one."""

from __future__ import annotations

from collections.abc import Sequence

from ops_core.config import Settings
from ops_core.control.service import ControlPlane
from ops_core.remediation.catalogue import load_catalogue
from ops_core.remediation.context import gather
from ops_core.remediation.plan import Plan


def plan_now(settings: Settings, plane: ControlPlane, name: str, target: str, findings: Sequence[str] = ()) -> Plan:
    """The plan of the remediation `name` for the target of that name.

    Raises:
        UsageError: there is no such remediation or target.
        PlanRefused: the planner sees no way.
        ConfigError: a remediation is broken.
    """
    remediation = load_catalogue(settings).get(name)
    return remediation.plan(gather(settings, settings.target(target), plane, findings))
