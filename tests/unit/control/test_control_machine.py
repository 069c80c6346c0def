"""The control plane against a plain oracle, through any sequence of what people and accidents can do to it."""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support import sampled

from ops_core.clock import ManualClock
from ops_core.control.files import latch_path
from ops_core.control.model import Gate
from ops_core.control.problems import StoreConflict, StoreUnusable
from ops_core.control.reading import read_control, read_last_good
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused, UsageError

pytestmark = pytest.mark.slow  # every step opens the store a dozen times

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
REASONS = st.sampled_from(["fire", "상황 해제", "x" * 500])
ACTORS = st.sampled_from(["kim", "lee"])
NAMES = st.sampled_from(["v1", "v2"])
KINDS = st.sampled_from(["release", "config"])


class ControlMachine(RuleBasedStateMachine):
    """The oracle is a handful of plain variables; after every step all ways of looking have to agree with it."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="control-"))
        self.path = self.folder / "state" / "control.db"
        self.clock = ManualClock(START)
        self.plane = ControlPlane(self.path, self.clock, actor="kim")

    def teardown(self):
        shutil.rmtree(self.folder)

    @initialize()
    def make(self):
        self.plane.create()
        self.stopped, self.reason, self.latch = True, "not yet released", None
        self.gate, self.until = "DRY_RUN", None
        self.version, self.broken, self.good = 0, False, {}
        self.actions = ["store.created"]

    # -- what people do ------------------------------------------------------------------------------------------

    @rule(reason=REASONS, actor=ACTORS)
    def engage(self, reason, actor):
        state = self.plane.engage(reason, actor=actor)
        assert state.stopped
        if self.broken:
            self.latch = reason
        else:
            self.stopped, self.reason = True, reason
            self.changed("stop.engaged")

    @rule(reason=REASONS, actor=ACTORS)
    def release(self, reason, actor):
        if self.broken:
            with pytest.raises(StoreUnusable):
                self.plane.release(reason, actor=actor)
            return
        self.plane.release(reason, actor=actor)
        self.stopped, self.reason, self.latch = False, reason, None
        self.changed("stop.released")

    @rule(gate=st.sampled_from(["MOCK_ONLY", "DRY_RUN"]), reason=REASONS)
    def shut(self, gate, reason):
        if self.broken:
            with pytest.raises(StoreUnusable):
                self.plane.set_gate(gate, reason)
            return
        self.plane.set_gate(gate, reason)
        self.gate, self.until = gate, None
        self.changed("gate.set")

    @rule(ttl_s=st.sampled_from([None, 1, 600, 8 * 3600]))
    def open(self, ttl_s):
        if self.broken:
            with pytest.raises(StoreUnusable):
                self.plane.set_gate("REAL_ENABLED", "r", ttl_s=ttl_s)
            return
        self.plane.set_gate("REAL_ENABLED", "r", ttl_s=ttl_s)
        self.gate, self.until = "REAL_ENABLED", self.now() + timedelta(seconds=ttl_s or 3600)
        self.changed("gate.set")

    @rule(system=st.sampled_from(["core", "web"]), kind=KINDS, name=NAMES)
    @precondition(lambda self: not self.broken)
    def mark_good(self, system, kind, name):
        self.plane.mark_good(system, kind, name, name[-1] * 64)
        self.good[system, kind] = name
        self.actions.append("good.marked")

    @rule(seconds=st.sampled_from([0.0004, 0.001, 1, 599.999, 3600, 100_000]))
    def time_passes(self, seconds):
        self.clock.sleep(seconds)

    # -- mistakes and accidents ----------------------------------------------------------------------------------

    @rule(reason=st.sampled_from(["", " ", "a\nb", "x" * 501]))
    def forget_the_reason(self, reason):
        with pytest.raises(UsageError):
            self.plane.release(reason)
        with pytest.raises(UsageError):
            self.plane.set_gate("MOCK_ONLY", reason)

    @rule(behind=st.integers(1, 3))
    @precondition(lambda self: not self.broken)
    def decide_on_an_older_state(self, behind):
        with pytest.raises(StoreConflict):
            self.plane.release("late", expected_version=self.version - behind)

    @rule()
    def touch_the_latch(self):
        latch_path(self.path).write_text("by hand\n")
        self.latch = "by hand"

    @rule()
    def remove_the_latch(self):
        latch_path(self.path).unlink(missing_ok=True)
        self.latch = None

    @rule()
    def start_anew(self):
        self.plane = ControlPlane(self.path, self.clock, actor="kim")

    @rule(mode=st.sampled_from([0o644, 0o600]))
    def permissions_change(self, mode):
        self.path.chmod(mode)
        self.broken = mode != 0o600

    # -- what has to hold ----------------------------------------------------------------------------------------

    def now(self):
        """What a record holds of the present: whole milliseconds."""
        now = self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def changed(self, action):
        self.version += 1
        self.actions.append(action)

    def in_force(self):
        if self.gate == "REAL_ENABLED" and not self.clock.now() < self.until:
            return "DRY_RUN"
        return self.gate

    @invariant()
    def every_way_of_looking_agrees(self):
        stopped = self.stopped or self.latch is not None or self.broken
        state, seen = self.plane.state(), read_control(self.path, self.clock.now())
        assert state.stopped == seen.stopped == stopped
        assert bool(state.problem) == bool(seen.problem) == self.broken
        if self.latch is not None:
            assert state.stop_reason == seen.stop_reason == self.latch
        elif not self.broken:
            assert state.stop_reason == self.reason
            assert seen.stop_reason == (self.reason if stopped else "")
        assert seen.gate == ("UNKNOWN" if self.broken else self.in_force())
        assert self.plane.gate() == (Gate.DRY_RUN if self.broken else self.in_force())

    @invariant()
    def permission_is_what_the_oracle_says(self):
        stopped = self.stopped or self.latch is not None or self.broken
        for drill in (True, False):
            wanted = not stopped and (self.in_force() == "REAL_ENABLED" or (drill and self.in_force() == "MOCK_ONLY"))
            found = self.plane.permission(drill)
            assert found.allowed == wanted
            assert bool(found.next_step) == (not wanted)
            if not self.broken:
                assert self.may_arm(drill) == wanted

    def may_arm(self, drill):
        try:
            with self.plane.permitted(drill):
                return True
        except Refused:
            return False

    @invariant()
    def every_change_has_its_row_and_nothing_else_has(self):
        if self.broken:
            return
        assert [row.action for row in self.plane.audit_rows()] == self.actions
        assert self.plane.verify_chain().rows == len(self.actions)
        assert self.plane.state().version == self.version
        for target in ("core", "web"):
            wanted = [self.good.get((target, kind)) for kind in ("release", "config")]
            assert [good and good.name for good in read_last_good(self.path, target)] == wanted
            assert [good and good.name for good in map(self.last_good(target), ("release", "config"))] == wanted

    def last_good(self, target):
        return lambda kind: self.plane.last_good(target, kind)


TestControlMachine = ControlMachine.TestCase
TestControlMachine.settings = settings(max_examples=len(sampled(range(12), 0.5)), stateful_step_count=20, deadline=None)
