"""What every fault test expects of the end of a run."""

from __future__ import annotations

from observing import GRACE_S, Ran

from ops_core.verdict import Judged


def assert_ended_in_time(ran: Ran, grace_s: float = GRACE_S) -> None:
    """The record is whole, was made within the total budget and a little, and nothing fell over on the way."""
    observation = ran.observation
    assert observation.used_s <= observation.total_s + grace_s, ran.output
    assert not observation.interrupted, ran.output
    for fallen in (
        "INTERNALERROR",
        "Traceback (most recent call last)",
        "Exception ignored",
        "never retrieved",
        "ResourceWarning",
    ):
        assert fallen not in ran.output, ran.output
    for record in observation.evidence:
        assert record.seen or record.reason, record
    for judgement in observation.judgements:
        assert judgement.judged is Judged.GOOD or judgement.seen, judgement
        assert set(judgement.evidence) <= {record.id for record in observation.evidence}
