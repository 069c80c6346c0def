"""Time between looks: whatever order they come in, whatever is missing, all of it adds up to the period."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.slo.availability import Availability, burn_rate
from ops_core.slo.intervals import Seen, Sight, Timeline, Totals

T0 = datetime(2026, 2, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minutes):
    return T0 + minutes * MINUTE


# Small numbers, so that looks fall together, overlap and leave gaps.
instants = st.integers(-50_000, 4_000_000).map(lambda ms: T0 + timedelta(milliseconds=ms))
sights = st.lists(
    st.builds(Sight, at=instants, seen=st.sampled_from(Seen), source=st.sampled_from(["observe", "service"])),
    max_size=12,
)
valids = st.integers(1, 900).map(lambda s: timedelta(seconds=s))
periods = st.tuples(instants, instants)


def oracle(looks, valid, when):
    """What is known at one instant, asked look by look."""
    said = []
    for source in {look.source for look in looks}:
        before = [look for look in looks if look.source == source and look.at <= when]
        if before:
            latest = max(look.at for look in before)
            if when < latest + valid:
                said.append(max(look.seen for look in before if look.at == latest))
    return max(said, default=None)


@given(sights, valids, periods)
def test_good_bad_and_unknown_add_up_to_the_period(looks, valid, period):
    """Nothing is counted twice and nothing is lost, to the microsecond; none of the three is negative."""
    start, end = period
    found = Timeline(looks, valid).totals(start, end)
    assert found.length == max(end - start, timedelta(0))
    assert min(found.good, found.bad, found.unknown) >= timedelta(0)


@given(sights, valids, instants)
def test_each_instant_is_what_the_looks_before_it_say(looks, valid, when):
    """The pieces agree with looking at every look again for any single instant."""
    inside = [one for one in Timeline(looks, valid).intervals if one.start <= when < one.end]
    assert [one.seen for one in inside] == ([] if (said := oracle(looks, valid, when)) is None else [said])


@given(sights, valids, periods, instants)
def test_a_period_in_two_parts_adds_up(looks, valid, period, middle):
    """The totals of `[a, b)` and `[b, c)` are those of `[a, c)`."""
    start, middle, end = sorted([*period, middle])
    timeline = Timeline(looks, valid)
    assert timeline.totals(start, middle) + timeline.totals(middle, end) == timeline.totals(start, end)


@given(sights, valids, st.data())
def test_order_and_repetition_change_nothing(looks, valid, data):
    """Records that are read in another order, or twice, give the same pieces."""
    again = data.draw(st.lists(st.sampled_from(looks), max_size=5)) if looks else []
    shuffled = data.draw(st.permutations([*looks, *again]))
    assert Timeline(shuffled, valid).intervals == Timeline(looks, valid).intervals


@given(sights, valids)
def test_pieces_are_in_order_and_never_overlap(looks, valid):
    """Neighbours that touch differ, so that each piece is as long as it can be."""
    pieces = Timeline(looks, valid).intervals
    assert all(one.start < one.end for one in pieces)
    for before, after in itertools.pairwise(pieces):
        assert before.end <= after.start
        assert before.end < after.start or before.seen is not after.seen


@given(sights, valids, periods, st.data())
def test_seeing_less_never_makes_it_look_better(looks, valid, period, data):
    """A good look that was not made lowers what is certain; a bad one turned to unseen never raises it either."""
    start, end = period
    before = Availability(totals=Timeline(looks, valid).totals(start, end))
    blind = data.draw(st.sets(st.sampled_from(range(len(looks))))) if looks else set()
    less = [
        Sight(
            at=look.at, seen=max(look.seen, Seen.UNSEEN) if look.seen is Seen.GOOD else Seen.UNSEEN, source=look.source
        )
        if number in blind
        else look
        for number, look in enumerate(looks)
    ]
    after = Availability(totals=Timeline(less, valid).totals(start, end))
    if before.at_least is not None:
        assert after.at_least <= before.at_least
        assert after.totals.good <= before.totals.good
    only_good = [
        Sight(at=look.at, seen=Seen.UNSEEN, source=look.source) if number in blind and look.seen is Seen.GOOD else look
        for number, look in enumerate(looks)
    ]
    of_good = Availability(totals=Timeline(only_good, valid).totals(start, end))
    if before.ratio is not None and of_good.ratio is not None:
        assert of_good.ratio <= before.ratio


@given(sights, valids, periods)
def test_figures_stay_in_their_bounds(looks, valid, period):
    """Ratios lie between 0 and 1, the measured one between its bounds, and none is made up where nothing is known."""
    found = Availability(totals=Timeline(looks, valid).totals(*period))
    assert (found.ratio is None) == (found.totals.known == timedelta(0))
    if found.ratio is not None:
        assert 0 <= found.at_least <= found.ratio <= found.at_most <= 1
        assert 0 <= found.unknown_share < 1
        assert 0 <= burn_rate(found.totals, 0.999) <= 1 / (1 - 0.999) + 1e-9


@pytest.mark.parametrize(
    ("looks", "wanted"),
    [
        ([], (0, 0, 60)),
        # Valid for ten minutes and no longer: 10 good, 50 of which nobody knows.
        ([(0, Seen.GOOD)], (10, 0, 50)),
        # Good from 0 to 5, bad from 5 to 15.
        ([(0, Seen.GOOD), (5, Seen.BAD)], (5, 10, 45)),
        # Not seen ends what was known: 4 good, then nothing.
        ([(0, Seen.GOOD), (4, Seen.UNSEEN)], (4, 0, 56)),
        # Before the period and into it: 3 of its ten minutes are inside.
        ([(-7, Seen.BAD)], (0, 3, 57)),
        # At its end and after it: the instant 60 is not in `[0, 60)`.
        ([(55, Seen.GOOD), (60, Seen.BAD)], (5, 0, 55)),
        # The same instant twice: the worse counts.
        ([(0, Seen.GOOD), (0, Seen.BAD)], (0, 10, 50)),
    ],
)
def test_hand_computed_minutes(looks, wanted):
    """An hour of looks that are worth ten minutes each, in whole minutes: good, bad, unknown."""
    timeline = Timeline([Sight(at=at(m), seen=seen) for m, seen in looks], 10 * MINUTE)
    good, bad, unknown = (n * MINUTE for n in wanted)
    assert timeline.totals(at(0), at(60)) == Totals(good=good, bad=bad, unknown=unknown)


def test_of_two_suites_the_worse_counts_while_it_is_valid():
    """What one suite found bad at 2 stays bad until its worth ends at 12, although another one sees good at 5."""
    looks = [
        Sight(at=at(0), seen=Seen.GOOD, source="observe"),
        Sight(at=at(2), seen=Seen.BAD, source="service"),
        Sight(at=at(5), seen=Seen.GOOD, source="observe"),
    ]
    assert Timeline(looks, 10 * MINUTE).totals(at(0), at(20)) == Totals(
        good=5 * MINUTE, bad=10 * MINUTE, unknown=5 * MINUTE
    )
