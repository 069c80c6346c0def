"""Whether a rollout is under way: the operator's own command says yes, no, or nothing that counts."""

import pytest

from ops_core.evidence import RolloutEvidence


@pytest.mark.parametrize(
    ("running", "facts", "told"),
    [
        (True, ("rollout.running",), "a rollout is under way"),
        (False, (), "no rollout is under way"),
        (None, (), "nobody can tell whether a rollout is under way: exit 127"),
    ],
)
def test_only_a_rollout_that_was_seen_is_a_fact(running, facts, told):
    """What is not known steers nothing."""
    seen = RolloutEvidence(running=running, detail="exit 127")
    assert (seen.facts, seen.explain()) == (facts, told)
