"""Is a rollout under way? It is no matter in itself, but the first thing to halt when something is wrong."""

from __future__ import annotations

from ops_core.evidence import RolloutEvidence
from ops_core.probes.instruments.command import CommandInstrument
from ops_core.probes.registry import probe
from ops_core.targets import Target

# What shells, env and timeout return when the command itself did not get to say anything.
NO_ANSWER_FROM = 126


@probe(budget_s=10, needs="rollout_running_argv")
async def rollout(target: Target, command: CommandInstrument) -> RolloutEvidence:
    """Run the command that says whether a rollout is under way."""
    said = await command.run(*target.rollout_running_argv)
    if 0 <= said.exit_code < NO_ANSWER_FROM:
        return RolloutEvidence(running=said.exit_code == 0)
    return RolloutEvidence(running=None, detail=said.explain())
