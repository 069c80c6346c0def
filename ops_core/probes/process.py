"""Does the process run, and is it awake?"""

from __future__ import annotations

from ops_core.evidence import ProcessEvidence
from ops_core.probes.instruments.process import ProcessInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target


@probe(budget_s=10, needs=("process", "supervisor_conf"))
async def supervised(target: Target, process: ProcessInstrument) -> ProcessEvidence:
    """Ask the supervisor and the operating system about the target's process."""
    assert target.process is not None  # noqa: S101  # what `needs` promises, told to the type checker
    assert target.supervisor_conf is not None  # noqa: S101  # likewise
    return await process.supervised(target.supervisor_conf, target.process)
