"""The site that takes bundles: its faults are in force when they are injected, and gone when withdrawn."""

from __future__ import annotations

import re
import tomllib

import pytest
from support import need_program, sampled

from ops_core.clock import SystemClock
from ops_core.content import content_dir
from ops_core.drill.catalogue.bundle import BUNDLE, OFFERED
from ops_core.drill.control_plane import opened
from ops_core.drill.split_stack import SplitStack, seen
from ops_core.errors import OpsError, UsageError
from ops_core.handoff.model import RefusalCode

# Other codes need a repository that no git makes by itself, and are held by tests of the hand-off.
NOT_OFFERED = {RefusalCode.MALFORMED, RefusalCode.NOT_A_BUNDLE, RefusalCode.BAD_SCHEMA, RefusalCode.TOO_LARGE}


def test_every_check_of_the_hand_off_has_a_fault_that_it_finds() -> None:
    """No finding of the suite is without a fault, and each row about one is some fault's."""
    source = (content_dir() / "checks" / "handoff" / "check_handoff.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'@finding\("([^"]+)"\)', source))
    assert {code for fault in BUNDLE for code in fault.findings} == codes
    table = tomllib.loads((content_dir() / "remediations" / "decisions.toml").read_text(encoding="utf-8"))
    assert {fault.row for fault in BUNDLE} == {row["id"] for row in table["row"] if codes.intersection(row["when"])}


def test_faults_of_the_hand_off_are_a_persons_business() -> None:
    """Nothing is carried out about them, their names differ, and each has its way back."""
    assert len({fault.name for fault in BUNDLE}) == len(BUNDLE)
    for fault in BUNDLE:
        assert (fault.remediation, fault.target, fault.driver, fault.looked_at_by) == (None, None, "bundle", "handoff")
        assert fault.undo is not None
        assert fault.ends == "escalated"


def test_what_is_refused_is_offered_in_every_way() -> None:
    """One fault for each refusal that somebody with the right to push can bring about with a well-formed bundle."""
    assert len(OFFERED) == len(RefusalCode) - len(NOT_OFFERED)


@pytest.mark.slow
def test_each_fault_takes_hold_and_can_be_withdrawn_twice(tmp_path) -> None:
    """In force once injected; withdrawn, also for a second time, the site stands as before and all is good."""
    need_program("git")
    with SplitStack(tmp_path / "w", clock=SystemClock()) as stack:
        for fault in sampled(BUNDLE, 0.4):
            before = stack.standing()
            fault.inject(stack)
            assert fault.in_force(stack), fault.name
            fault.withdraw(stack)
            fault.withdraw(stack)
            assert stack.standing() == before, fault.name
            # Also where the store was made anew meanwhile.
            assert opened(stack)[1].gate() == "MOCK_ONLY", fault.name
            found = seen(stack)
            assert found.bundle is not None, fault.name
            assert found.bundle.fresh, fault.name
            assert found.live_cycle is not None, fault.name
            assert not any((found.missed, found.live_cycle.failed, found.live_cycle.snapshot_problem)), fault.name


def test_an_offer_that_is_taken_is_no_fault(tmp_path) -> None:
    """An injector that breaks nothing says so: a bundle as it has to be is taken, where a refusal was promised."""
    from ops_core.drill.bundle_injectors import Offer, offered

    need_program("git")
    with SplitStack(tmp_path / "w", clock=SystemClock()) as stack, pytest.raises(OpsError, match="came to INSTALLED"):
        offered(Offer(), "TAMPERED")(stack, "")


def test_a_split_site_is_not_left_running(tmp_path) -> None:
    """Nothing of it runs without its owner, so it cannot be started for others."""
    with pytest.raises(UsageError, match="nothing to leave running"):
        SplitStack(tmp_path / "w").start(detached=True)
