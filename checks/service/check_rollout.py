"""Is it known whether a rollout is under way? One that is, is no matter by itself; it steers a decision."""

import pytest

from ops_core import RolloutEvidence, finding


@pytest.mark.service
@finding("rollout.unreadable")
def check_rollout_can_be_asked_about(rollout: RolloutEvidence) -> None:
    """The command that says whether a rollout is under way says yes or no."""
    assert rollout.running is not None, rollout.explain()
