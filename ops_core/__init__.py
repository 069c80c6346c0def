"""Turn a runbook into something that runs: probes look, checks judge, guarded remediations act.

What a repository of checks needs is importable from here. All but the light parts is loaded when it is first named, so
that importing `ops_core` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Not lazy: the decorator shares its name with its module, which a later import would otherwise put in its place.
from ops_core.finding import finding

if TYPE_CHECKING:
    from ops_core.errors import CannotLook
    from ops_core.evidence import (
        BenchEvidence,
        CertificateEvidence,
        CommandEvidence,
        ContainerEvidence,
        ControlEvidence,
        DailyEvidence,
        DatabaseEvidence,
        DeploymentEvidence,
        DiskEvidence,
        Evidence,
        GuardEvidence,
        HandoffEvidence,
        HeartbeatEvidence,
        HttpEvidence,
        IncidentsEvidence,
        IntegrityEvidence,
        LiveFireEvidence,
        MetricsEvidence,
        PayloadEvidence,
        ProcessEvidence,
        ReadyEvidence,
        RedisEvidence,
        RequestIdEvidence,
        RolloutEvidence,
        SchemaEvidence,
        SecretsEvidence,
        StreamEvidence,
    )
    from ops_core.probes.registry import probe
    from ops_core.targets import Target

__version__ = "0.1.0"
__all__ = [
    "BenchEvidence",
    "CannotLook",
    "CertificateEvidence",
    "CommandEvidence",
    "ContainerEvidence",
    "ControlEvidence",
    "DailyEvidence",
    "DatabaseEvidence",
    "DeploymentEvidence",
    "DiskEvidence",
    "Evidence",
    "GuardEvidence",
    "HandoffEvidence",
    "HeartbeatEvidence",
    "HttpEvidence",
    "IncidentsEvidence",
    "IntegrityEvidence",
    "LiveFireEvidence",
    "MetricsEvidence",
    "PayloadEvidence",
    "ProcessEvidence",
    "ReadyEvidence",
    "RedisEvidence",
    "RequestIdEvidence",
    "RolloutEvidence",
    "SchemaEvidence",
    "SecretsEvidence",
    "StreamEvidence",
    "Target",
    "finding",
    "probe",
]


def __getattr__(name: str) -> object:
    import importlib

    if name not in __all__:
        raise AttributeError(f"module 'ops_core' has no attribute {name!r}")
    special = {"Target": "ops_core.targets", "CannotLook": "ops_core.errors", "probe": "ops_core.probes.registry"}
    return getattr(importlib.import_module(special.get(name, "ops_core.evidence")), name)
