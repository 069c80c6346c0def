"""The site whose control plane is broken: its faults are in force when they are injected, and gone when withdrawn."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import sampled

from ops_core.clock import ManualClock, SystemClock
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.control.integrity.survey import read_integrity
from ops_core.control.trading import calendar_of
from ops_core.cycle import slots
from ops_core.drill.catalogue.control import CONTROL, INTEGRITY
from ops_core.drill.catalogue.operating import DAILY, LIVE_FIRE
from ops_core.drill.control_plane import ControlStack, Skewed, opened, put_back
from ops_core.errors import UsageError

INSTANTS = st.integers(0, 20 * 365 * 86_400).map(lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
SUITES = ("integrity", "daily", "live_fire")
# They start programs of their own; `tests/acceptance/test_control_faults.py` holds them.
SLOW = {"webhook-forged", "cycle-killed"}


def shipped_codes() -> set[str]:
    """The findings of the suites about the control plane."""
    files = [path for suite in SUITES for path in (content_dir() / "checks" / suite).glob("*.py")]
    files.append(content_dir() / "checks" / "observe" / "check_control.py")
    return {code for path in files for code in re.findall(r'@finding\("([^"]+)"\)', path.read_text(encoding="utf-8"))}


def test_every_check_of_the_control_plane_has_a_fault_that_it_finds() -> None:
    """No finding of the four suites is without a fault, and each row about one is some fault's."""
    codes = shipped_codes()
    assert {code for fault in CONTROL for code in fault.findings} == codes
    table = tomllib.loads((content_dir() / "remediations" / "decisions.toml").read_text(encoding="utf-8"))
    rows = {row["id"] for row in table["row"] if codes.intersection(row["when"])}
    assert {fault.row for fault in CONTROL if fault.row} == rows


def test_faults_of_the_control_plane_are_a_persons_business() -> None:
    """Nothing is carried out about them, their names differ, and each has its way back."""
    assert len({fault.name for fault in CONTROL}) == len(CONTROL)
    for fault in CONTROL:
        assert (fault.remediation, fault.target, fault.driver) == (None, None, "control")
        assert fault.undo is not None
        assert set(fault.description) == {"en", "ko"}


@given(now=INSTANTS)
def test_it_is_noon_at_the_site_and_nothing_is_due(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> None:
    """At any instant the site trades, no slot is due, and none of the day before was missed."""
    stack = ControlStack(tmp_path_factory.getbasetemp() / "noon", clock=ManualClock(now))
    stack.work_dir.mkdir(exist_ok=True)
    stack.arrange()
    settings = load_settings(stack.config, "site", stack.environ())
    calendar = calendar_of(settings.trading)
    assert (calendar.weekday(now).ok, calendar.hours(now).ok) == (True, True)
    assert stack.local().hour == 12
    assert slots.due_key(settings, now) == ""
    assert slots.missed_keys(settings, now - timedelta(days=1), now, frozenset()) == ()


def test_a_skewed_clock_differs_in_what_it_shows_only() -> None:
    """It is ahead by as much as it was told, and waits as the other one does."""
    base = ManualClock(datetime(2026, 1, 5, tzinfo=UTC))
    ahead = Skewed(base=base, by=timedelta(hours=1))
    ahead.sleep(5)
    assert (ahead.now() - base.now(), ahead.monotonic()) == (timedelta(hours=1), 5)


@pytest.mark.slow
@pytest.mark.parametrize("faults", [INTEGRITY, DAILY, LIVE_FIRE], ids=SUITES)
def test_each_fault_takes_hold_and_can_be_withdrawn_twice(tmp_path, faults) -> None:
    """In force once injected; withdrawn, also for a second time, the site stands as before and accuses nobody."""
    with ControlStack(tmp_path / "w", clock=SystemClock()) as stack:
        put_back(stack, "")
        for fault in sampled(faults, 0.4):
            if fault.name in SLOW or (fault.prepare is not None and fault not in LIVE_FIRE):
                continue
            if fault.prepare is not None and not stack.may_fire:
                fault.prepare(stack, "")
            before = stack.standing()
            fault.inject(stack)
            assert fault.in_force(stack), fault.name
            fault.withdraw(stack)
            fault.withdraw(stack)
            assert stack.standing() == before, fault.name
            assert read_integrity(opened(stack)[0], stack.clock).breaches == (), fault.name


def test_a_site_is_not_left_running(tmp_path) -> None:
    """Nothing of it runs without its owner, so it cannot be started for others."""
    with pytest.raises(UsageError, match="nothing to leave running"):
        ControlStack(tmp_path / "w").start(detached=True)
