"""Does the target answer its health endpoint, with what, and how quickly?"""

from __future__ import annotations

from ops_core.evidence import HttpEvidence
from ops_core.probes.instruments.http import HttpInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target


@probe(budget_s=10, needs="health_url")
async def health(target: Target, http: HttpInstrument) -> HttpEvidence:
    """GET the target's health endpoint once."""
    assert target.health_url is not None  # noqa: S101  # what `needs` promises, told to the type checker
    return await http.get(target.health_url)
