"""What judgements add up to: nothing unseen is green, and nothing at all is not green either."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ops_core.verdict import Judged, Verdict, exit_code_of, verdict_of

judgements = st.lists(st.sampled_from(Judged))


@given(judgements)
def test_one_bad_is_unhealthy_one_unseen_unknown_none_judged_skipped(judged: list[Judged]) -> None:
    """In that order."""
    verdict = verdict_of(judged)
    assert (verdict is Verdict.UNHEALTHY) == (Judged.BAD in judged)
    if verdict is Verdict.UNKNOWN:
        assert Judged.UNKNOWN in judged
    if verdict is Verdict.HEALTHY:
        assert Judged.GOOD in judged
        assert set(judged) <= {Judged.GOOD, Judged.SKIPPED}
    if verdict is Verdict.SKIPPED:
        assert set(judged) <= {Judged.SKIPPED}


@given(judgements, st.randoms())
def test_the_order_does_not_matter(judged: list[Judged], random) -> None:
    """Nor how often."""
    shuffled = judged * 2
    random.shuffle(shuffled)
    assert verdict_of(shuffled) is verdict_of(judged)


def test_only_healthy_is_zero() -> None:
    """Findings are 1; not having seen is an operational failure."""
    assert {verdict: exit_code_of(verdict) for verdict in Verdict} == {
        Verdict.HEALTHY: 0, Verdict.UNHEALTHY: 1, Verdict.UNKNOWN: 3, Verdict.SKIPPED: 3
    }  # fmt: skip
