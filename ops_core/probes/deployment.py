"""Which release and which configuration are in force, and were they ever seen good?"""

from __future__ import annotations

from ops_core.evidence import DeploymentEvidence
from ops_core.probes.instruments import DeploymentInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target


@probe(budget_s=5, needs="release_link")
def deployment(target: Target, deployments: DeploymentInstrument) -> DeploymentEvidence:
    """Read the target's release and configuration links and the record of what was last seen good."""
    return deployments.of(target)
