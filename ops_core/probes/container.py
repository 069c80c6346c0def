"""Does the container run, is it well, and what does its log say?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_core.probes.registry import probe
from ops_core.targets import Target

if TYPE_CHECKING:
    # Loaded where a target has a container; every run would pay for it here.
    from ops_core.evidence.containers import ContainerEvidence, HeartbeatEvidence
    from ops_core.probes.instruments.engine import EngineInstrument


@probe(budget_s=10, needs="container")
async def container(target: Target, engine: EngineInstrument) -> ContainerEvidence:
    """Ask the container engine for the container's state, health and image, and for its log since an hour."""
    return await engine.container(target)


@probe(budget_s=10, needs=("container", "heartbeat_pattern"))
async def heartbeat(target: Target, engine: EngineInstrument) -> HeartbeatEvidence:
    """Look for heartbeats in the container's log, over the target's `heartbeat_window_s` (60 by default)."""
    return await engine.heartbeats(target)
