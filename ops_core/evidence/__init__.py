"""What a probe saw, frozen: the only thing that checks, decisions and reports may speak about.

`Evidence` is the base of what a probe returns. `EvidenceRecord` is the envelope that the observation keeps for each
(probe, target) pair: the evidence, or the reason why there is none, with times and the actions taken. A record holds
no secret: instruments redact before they build evidence.
"""

from ops_core.evidence.base import STRICT, Evidence, EvidenceRecord, ValueEvidence, evidence_id
from ops_core.evidence.containers import ContainerEvidence, HeartbeatEvidence
from ops_core.evidence.foundations import (
    BenchEvidence,
    CertificateEvidence,
    DatabaseEvidence,
    DiskEvidence,
    RedisEvidence,
    SchemaEvidence,
)
from ops_core.evidence.handoff import BundleSeen, HandoffEvidence, LiveCycleSeen, PullSeen, SummarySeen
from ops_core.evidence.incidents import IncidentsEvidence, OpenIncident
from ops_core.evidence.operations import (
    Breach,
    ControlEvidence,
    DailyEvidence,
    IntegrityEvidence,
    LiveFireEvidence,
    PreconditionSeen,
)
from ops_core.evidence.service import (
    MetricsEvidence,
    PayloadEvidence,
    ReadyEvidence,
    RequestIdEvidence,
    SecretSeen,
    SecretsEvidence,
)
from ops_core.evidence.systems import (
    CommandEvidence,
    DeploymentEvidence,
    GuardEvidence,
    HttpEvidence,
    ProcessEvidence,
    RolloutEvidence,
    StreamEvidence,
    Timing,
)

__all__ = [
    "STRICT",
    "BenchEvidence",
    "Breach",
    "BundleSeen",
    "CertificateEvidence",
    "CommandEvidence",
    "ContainerEvidence",
    "ControlEvidence",
    "DailyEvidence",
    "DatabaseEvidence",
    "DeploymentEvidence",
    "DiskEvidence",
    "Evidence",
    "EvidenceRecord",
    "GuardEvidence",
    "HandoffEvidence",
    "HeartbeatEvidence",
    "HttpEvidence",
    "IncidentsEvidence",
    "IntegrityEvidence",
    "LiveCycleSeen",
    "LiveFireEvidence",
    "MetricsEvidence",
    "OpenIncident",
    "PayloadEvidence",
    "PreconditionSeen",
    "ProcessEvidence",
    "PullSeen",
    "ReadyEvidence",
    "RedisEvidence",
    "RequestIdEvidence",
    "RolloutEvidence",
    "SchemaEvidence",
    "SecretSeen",
    "SecretsEvidence",
    "StreamEvidence",
    "SummarySeen",
    "Timing",
    "ValueEvidence",
    "evidence_id",
]
