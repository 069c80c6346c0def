"""The runner: arm, act, record; and cut off anywhere in between, each step still has its effect exactly once."""

from pathlib import Path

import pytest

from ops_core.clock import ManualClock, SystemClock
from ops_core.control.model import Permission
from ops_core.remediation.guard import GuardRefused
from ops_core.remediation.plan import CommandSays, LinkPointsTo, Step
from ops_core.remediation.runner import Recorded, Result, Runner, StepState


class Cut(BaseException):
    """The program is killed here."""


class MemoryLedger:
    """A ledger that keeps its promises, until it is told to be the place where the program is killed."""

    def __init__(self):
        self.rows = {}
        self.events = []
        self.cut_at = None
        self.refuse = ""
        self.passed = 0

    def recorded(self, index):
        return self.rows.get(index, Recorded(state=StepState.PLANNED, mark={}))

    def arm(self, index, *, mark, again):
        if self.refuse:
            raise GuardRefused(Permission(allowed=False, code=self.refuse, reason=f"refused: {self.refuse}"))
        self.point("before arming")
        assert self.recorded(index).state is (StepState.ARMED if again else StepState.PLANNED)
        self.rows[index] = Recorded(state=StepState.ARMED, mark=mark)
        self.events.append(("armed", index, again))
        self.point("armed")

    def finish(self, index, state, *, detail, elapsed_s):
        self.point("before recording")
        assert self.recorded(index).state in {StepState.PLANNED, StepState.ARMED}
        self.rows[index] = Recorded(state=state, mark={})
        self.events.append((state.value, index, detail))
        self.point("recorded")

    def point(self, _what):
        self.passed += 1
        if self.passed == self.cut_at:
            raise Cut


@pytest.fixture
def world(tmp_path):
    """A link to swap, a flag to set, and a ledger of effects that every command writes to."""
    (tmp_path / "current").symlink_to("v2")
    return tmp_path


def effects(world):
    path = world / "effects"
    return path.read_text().split() if path.exists() else []


def script(world, name, text):
    return ("sh", "-c", f"echo {name} >> {world}/effects; {text}")


def swap(world, to="v1", timeout_s=10.0):
    text = f"ln -s -f -T {to} {world}/.next && mv -f -T {world}/.next {world}/current"
    outcome = LinkPointsTo(link=str(world / "current"), destination=to)
    return Step(name="swap", argv=script(world, f"swap-{to}", text), timeout_s=timeout_s, outcome=outcome)


def prepare(world):
    outcome = LinkPointsTo(link=str(world / "draft"), destination="v1")
    return Step(
        name="prepare",
        argv=("ln", "-s", "-f", "-T", "v1", str(world / "draft")),
        timeout_s=10.0,
        outcome=outcome,
        repeatable=True,
    )


def flag(world, text="touch {}/flag", timeout_s=10.0):
    outcome = CommandSays(argv=("test", "-e", str(world / "flag")), yes=True)
    return Step(name="flag", argv=script(world, "flag", text.format(world)), timeout_s=timeout_s, outcome=outcome)


def runner(world, **changes):
    fields = {"clock": SystemClock(), "folder": world, "must_end": lambda: "", "redact": lambda text: text}
    return Runner(**{**fields, **changes})


def test_steps_are_carried_out_in_order(world):
    """Each is armed before it acts and recorded after it; the result says that all are done."""
    ledger = MemoryLedger()
    assert runner(world).apply((swap(world), flag(world)), ledger).result is Result.DONE
    assert effects(world) == ["swap-v1", "flag"]
    assert [event[0] for event in ledger.events] == ["armed", "done", "armed", "done"]


def test_what_is_so_already_is_not_done(world):
    """A step whose outcome is there is recorded as done, and neither armed nor run."""
    ledger = MemoryLedger()
    assert runner(world).apply((swap(world, to="v2"),), ledger).result is Result.DONE
    assert effects(world) == []
    assert ledger.events[0][0] == "done"
    assert "already so" in ledger.events[0][2]


@pytest.mark.parametrize("second", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("first", range(1, 13))  # four points for each of three steps
def test_wherever_it_is_cut_off_every_step_has_its_effect_once(world, first, second):
    """Killed at any point, once or twice, then gone on with: all outcomes are there, and each effect exactly once."""
    steps, ledger = (prepare(world), swap(world), flag(world)), MemoryLedger()
    for cut_at in (first, None if second is None else first + second, None):
        ledger.cut_at = cut_at
        try:
            found = runner(world).apply(steps, ledger)
            break
        except Cut:
            continue
    if found.result is Result.UNKNOWN:
        # A command says yes or no only: armed and not yet run is not to be told from run without success.
        assert ledger.recorded(2).state is StepState.UNKNOWN
        assert effects(world) == ["swap-v1"]
        return
    assert found.result is Result.DONE
    assert effects(world) == ["swap-v1", "flag"]
    assert [ledger.recorded(index).state for index in range(3)] == [StepState.DONE] * 3


def test_a_blind_runner_would_be_caught(world):
    """The test above can fail: acting again without a look shows in the effects."""
    ledger = MemoryLedger()
    steps = (swap(world),)
    ledger.cut_at = 3
    with pytest.raises(Cut):
        runner(world).apply(steps, ledger)
    blind = runner(world)
    blind._act(0, steps[0], ledger, {}, again="blindly")
    assert effects(world) == ["swap-v1", "swap-v1"]


def test_a_step_that_was_swapped_back_by_somebody_is_left_to_them(world):
    """It was armed, and the link says what it said before, but is another file: somebody was there."""
    ledger = MemoryLedger()
    ledger.cut_at = 3
    with pytest.raises(Cut):
        runner(world).apply((swap(world),), ledger)
    (world / "current").unlink()
    (world / "current").symlink_to("v2")
    ledger.cut_at = None
    found = runner(world).apply((swap(world),), ledger)
    assert found.result is Result.UNKNOWN
    assert "nobody can tell whether it had its effect" in found.reason
    assert effects(world) == ["swap-v1"]
    again = runner(world).apply((swap(world),), ledger)
    assert again.result is Result.UNKNOWN, "what is unknown stays so until a person has looked"


def test_a_second_arming_gives_its_reason(world):
    """That a step was begun again is recorded, and why that was safe."""
    ledger = MemoryLedger()
    ledger.cut_at = 2
    with pytest.raises(Cut):
        runner(world).apply((swap(world),), ledger)
    ledger.cut_at = None
    assert runner(world).apply((swap(world),), ledger).result is Result.DONE
    assert [event for event in ledger.events if event[0] == "armed"] == [
        ("armed", 0, ""),
        ("armed", 0, "interrupted before it had any effect"),
    ]


def test_a_step_without_its_effect_has_failed(world):
    """The outcome counts and not the exit code; what the command said is kept, without secrets and bounded."""
    ledger = MemoryLedger()
    lying = Step(name="lie", argv=("echo", "token=hunter2 " + "x" * 900), timeout_s=5.0, outcome=swap(world).outcome)
    found = runner(world, redact=lambda text: text.replace("hunter2", "[redacted]")).apply((lying, flag(world)), ledger)
    assert (found.result, found.step) == (Result.FAILED, 1)
    assert "hunter2" not in found.reason
    assert "[redacted]" in found.reason
    assert len(found.reason) < 500
    assert effects(world) == [], "nothing follows a step that failed"
    assert runner(world).apply((lying,), ledger).result is Result.FAILED


def test_a_failing_command_with_its_effect_is_done(world):
    """supervisorctl complains about stopping what has stopped; what matters is that it has."""
    ledger = MemoryLedger()
    complaining = flag(world, "touch {}/flag; echo late >&2; exit 7")
    assert runner(world).apply((complaining,), ledger).result is Result.DONE
    assert "exit 7; late" in ledger.events[-1][2]


def test_a_command_may_take_its_time_to_show(world):
    """It ended with 0 and its effect comes a moment later: that is waited for, within the step's time."""
    slow = flag(world, "(sleep 0.3; touch {}/flag) > /dev/null 2>&1 &")
    assert runner(world).apply((slow,), MemoryLedger()).result is Result.DONE
    (world / "flag").unlink()
    never = flag(world, "true", timeout_s=0.3)
    assert runner(world).apply((never,), MemoryLedger()).result is Result.FAILED


def test_a_program_that_is_missing_has_failed(world):
    """There was no effect, so there is nothing unknown about it."""
    step = Step(name="x", argv=("no-such-program",), timeout_s=5.0, outcome=swap(world).outcome)
    found = runner(world).apply((step,), MemoryLedger())
    assert found.result is Result.FAILED
    assert "No such file or directory" in found.reason


def test_what_cannot_be_looked_at_is_unknown(world):
    """An outcome that nobody can see is neither done nor failed. The clock is ours, so nobody waits for real."""
    clock = ManualClock(SystemClock().now())
    outcome = CommandSays(argv=("no-such-program",), yes=True)
    step = Step(name="x", argv=script(world, "x", "true"), timeout_s=2.0, outcome=outcome)
    found = runner(world, clock=clock).apply((step,), MemoryLedger())
    assert found.result is Result.UNKNOWN
    assert clock.elapsed_s > 1
    assert effects(world) == ["x"]


@pytest.mark.parametrize("code", ["stopped", "dry_run", "mock_only"])
def test_a_refusal_at_the_moment_of_use_counts(world, code):
    """The guard is asked when a step is armed; where it says no, the step is not begun and nothing after it."""
    ledger = MemoryLedger()
    ledger.refuse = code
    found = runner(world).apply((swap(world), flag(world)), ledger)
    assert (found.result, found.code, found.step) == (Result.REFUSED, code, 1)
    assert effects(world) == []
    assert ledger.events == []


def test_a_stop_in_the_middle_ends_everything(world):
    """The step is killed, what became of it is looked at, and nothing follows."""
    ledger = MemoryLedger()
    hanging = Step(name="hang", argv=script(world, "hang", "sleep 60"), timeout_s=60.0, outcome=swap(world).outcome)
    found = runner(world, must_end=lambda: "pulled" if effects(world) else "").apply((hanging, flag(world)), ledger)
    assert (found.result, found.code, found.reason) == (Result.STOPPED, "stopped", "pulled")
    assert ledger.recorded(0).state is StepState.UNKNOWN
    assert effects(world) == ["hang"]


def test_a_stop_after_the_effect_leaves_it_recorded_as_done(world):
    """Killed or not: an effect that is there is there, and the record says so."""
    ledger = MemoryLedger()
    late = flag(world, "touch {}/flag; sleep 60", timeout_s=60.0)
    flagged = Path(world / "flag")
    found = runner(world, must_end=lambda: "pulled" if flagged.exists() else "").apply((late,), ledger)
    assert found.result is Result.STOPPED
    assert ledger.recorded(0).state is StepState.DONE


def test_settling_looks_and_begins_nothing(world):
    """Steps that were found armed get what became of them; those that were not begun stay planned."""
    for cut_at, state in ((2, StepState.UNKNOWN), (3, StepState.DONE)):
        ledger = MemoryLedger()
        ledger.cut_at = cut_at
        steps = (swap(world), flag(world))
        with pytest.raises(Cut):
            runner(world).apply(steps, ledger)
        done = effects(world)
        ledger.cut_at = None
        runner(world).settle(steps, ledger)
        assert ledger.recorded(0).state is state
        assert ledger.recorded(1).state is StepState.PLANNED
        assert effects(world) == done


def test_what_happens_is_said(world):
    """A person who watches sees each step as it begins."""
    said = []
    runner(world, say=said.append).apply((swap(world), flag(world)), MemoryLedger())
    assert [line.split(":")[0] for line in said] == ["step 1", "step 2"]
