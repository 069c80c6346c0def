"""The hand-off on the operator's host: what is in force is whole and fresh, and the day's work was done with it."""

import pytest

from ops_core import HandoffEvidence, finding


def taken(handoff: HandoffEvidence) -> HandoffEvidence:
    """What was seen, where this host takes bundles: one that takes none must not be green because of that."""
    if not handoff.configured:
        pytest.skip(handoff.explain())
    return handoff


@pytest.mark.handoff
@finding("bundle.missing")
def check_bundle_is_in_force(handoff: HandoffEvidence) -> None:
    """A bundle is in force."""
    assert taken(handoff).bundle is not None, handoff.explain_bundle()


@pytest.mark.handoff
@finding("bundle.tampered")
def check_bundle_is_what_was_taken(handoff: HandoffEvidence) -> None:
    """The bundle in force is whole, signed by a producer whose bundles are taken, and the one that was recorded."""
    bundle = taken(handoff).bundle
    if bundle is None:
        pytest.skip(handoff.explain_bundle())
    assert not bundle.problem, handoff.explain_bundle()


@pytest.mark.handoff
@finding("bundle.stale")
def check_bundle_is_fresh(handoff: HandoffEvidence) -> None:
    """The bundle in force is not older than it is worth something."""
    bundle = taken(handoff).bundle
    if bundle is None or bundle.problem:
        pytest.skip(handoff.explain_bundle())
    assert bundle.fresh, handoff.explain_bundle()


@pytest.mark.handoff
@finding("bundle.refused")
def check_newest_bundle_was_taken(handoff: HandoffEvidence) -> None:
    """The newest pull did not refuse what it was offered."""
    pull = taken(handoff).pull
    if pull is None:
        pytest.skip("nobody ever pulled")
    assert pull.outcome != "REFUSED", pull.explain()


@pytest.mark.handoff
@finding("summary.outdated")
def check_summary_is_of_today(handoff: HandoffEvidence) -> None:
    """The newest summary is no older than a bundle may be."""
    summary = taken(handoff).summary
    assert summary is not None, handoff.explain_summary()
    assert summary.current, handoff.explain_summary()


@pytest.mark.handoff
@finding("live_cycle.not_run")
def check_live_cycle_has_run(handoff: HandoffEvidence) -> None:
    """The live cycle has run, and no slot of the schedule went by without it since."""
    assert taken(handoff).live_cycle is not None, handoff.explain_live_cycle()
    assert not handoff.missed, handoff.explain_live_cycle()


@pytest.mark.handoff
@finding("live_cycle.failed")
def check_live_cycle_has_not_failed(handoff: HandoffEvidence) -> None:
    """The latest live cycle ended as OK, WARN or BLOCKED, or still runs."""
    run = taken(handoff).live_cycle
    if run is None:
        pytest.skip(handoff.explain_live_cycle())
    assert not run.failed, run.explain()


@pytest.mark.handoff
@finding("snapshot.unresolvable")
def check_snapshot_is_found(handoff: HandoffEvidence) -> None:
    """What the latest live cycle refers to is found by its reference."""
    run = taken(handoff).live_cycle
    if run is None or run.result == "OPEN":
        pytest.skip(handoff.explain_live_cycle())
    assert run.snapshot_ref, run.explain_snapshot()
    assert not run.snapshot_problem, run.explain_snapshot()
