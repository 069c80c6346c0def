"""Faults of a matrix run in processes of their own: whatever one of them does, the others and the run go on."""

import os
import sys
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.drill.fault import Fault
from ops_core.drill.matrix.results import Status, load_run
from ops_core.drill.matrix.running import begin_run, hold_all, in_order, left_to_hold, resumed_run, usual_jobs
from ops_core.errors import Refused, UsageError

# What stands for a drill: it does what the name of its fault says.
DRILL = """
import os, signal, subprocess, sys, time
from pathlib import Path
from ops_core.drill.matrix.results import FaultResult, held_folder, write_result
folder, name = Path(sys.argv[1]), sys.argv[2]
print("this is", name, flush=True)
what = name.split("-")[0]
if what in ("hangs", "leaves"):
    # Who has a session of its own is no child of a process group that one could end.
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (held_folder(folder, name) / "pid").write_text(str(child.pid))
if what == "hangs":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
if what == "crashes":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "exits":
    sys.exit(7)
if what == "garbles":
    (folder / "faults").mkdir(exist_ok=True)
    (folder / "faults" / f"{name}.json").write_text("{")
    sys.exit(0)
at = "2026-01-04T09:05:00.000Z"
status = {"fails": "failed", "skips": "skipped"}.get(what, "passed")
write_result(folder, FaultResult(fault=name, stack="embedded", driver="process", suite="observe", seed=1,
    begun_at=at, ended_at=at, status=status, problems=("it was not found",) if what == "fails" else ()))
"""


def fault(name):
    """A fault that nothing here injects."""
    return Fault(
        name=name, description={"en": name}, findings=(), remediation=None, do=lambda *_: None, holds=lambda *_: False
    )


class Told:
    """What a run tells while it goes on."""

    def __init__(self, stop_after=None):
        self.lines = []
        self.stop_after = stop_after

    def begin(self, total, jobs):
        self.lines.append(("begin", total, jobs))

    def started(self, name):
        self.lines.append(("started", name))

    def ended(self, result):
        self.lines.append(("ended", result.fault, result.status))
        if self.stop_after == result.fault:
            raise KeyboardInterrupt

    def tick(self):
        pass


@pytest.fixture
def begin(tmp_path):
    """Begin a run of faults of these names."""

    def begun(*names):
        return begin_run([fault(name) for name in names], reports_dir=tmp_path, seed=1, clock=SystemClock())

    return begun


def hold(begun, told=None, *, jobs=3, limit_s=60.0):
    """Hold what is left of a run."""
    return hold_all(
        begun,
        [fault(name) for name in begun.head.faults],
        command=lambda one: [sys.executable, "-c", DRILL, str(begun.folder), one.name],
        jobs=jobs,
        clock=SystemClock(),
        progress=told or Told(),
        limit_s=limit_s,
        patience_s=0.3,
    )


def runs(pid_file):
    """Whether the process whose number is in a file runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid_file.read_text()}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_seed_draws_the_same_order_from_whatever_order():
    """The order belongs to the seed and the names, not to the order in which they are given."""
    names = [f"fault-{number}" for number in range(20)]
    assert in_order(names, 5) == in_order(names[::-1], 5)
    assert in_order(names, 5) != in_order(names, 6)
    assert sorted(in_order(names, 5)) == sorted(names)


def test_there_is_work_for_every_core_and_for_one_at_least():
    """Without a word the jobs are the cores that this process may use."""
    assert usual_jobs() == len(os.sched_getaffinity(0))


def test_each_fault_has_its_result_whatever_its_process_does(begin):
    """Crashed, garbled, ended early: told as not held with what was said last; the others are not harmed."""
    told = Told()
    run = hold(begin("good", "crashes", "exits", "garbles", "fails", "skips"), told)
    by_name = {result.fault: result for result in run.results}
    assert {name: result.status for name, result in by_name.items()} == {
        "good": "passed", "crashes": "error", "exits": "error", "garbles": "error", "fails": "failed", "skips": "skipped",
    }  # fmt: skip
    assert by_name["crashes"].reason == "its process was killed by SIGKILL; it said last: this is crashes"
    assert by_name["exits"].reason == "its process ended with 7; it said last: this is exits"
    assert by_name["garbles"].reason.startswith(
        "its process ended with 0, and what it wrote is damaged: it is not JSON"
    )
    assert told.lines[0] == ("begin", 6, 3)
    assert len([line for line in told.lines if line[0] == "started"]) == 6
    assert run.missing == ()


def test_a_drill_that_hangs_is_ended_with_all_that_it_started(begin):
    """It has its time; then it goes, deaf to SIGTERM or not, with a process in a session of its own."""
    begun = begin("hangs", "good")
    pid = begun.folder / "held" / "hangs" / "pid"
    run = hold(begun, limit_s=1.5)
    result = run.of(Status.ERROR)[0]
    assert result.reason.startswith("it did not come to an end within 1.5 s")
    assert pid.read_text().isdecimal()
    assert not runs(pid)
    assert [one.fault for one in run.of(Status.PASSED)] == ["good"]


def test_what_a_drill_leaves_behind_is_ended(begin):
    """Also where it ended well itself."""
    begun = begin("leaves")
    assert [one.status for one in hold(begun).results] == ["passed"]
    assert not runs(begun.folder / "held" / "leaves" / "pid")


def test_a_run_that_was_ended_goes_on_with_what_is_missing(begin):
    """Everything that was started has ended, what came is kept, and nothing of it is held again."""
    begun = begin("good", "fine", "skips", "hangs")
    order = begun.head.faults
    before = next(name for name in order if name != "hangs")
    with pytest.raises(KeyboardInterrupt):
        hold(begun, Told(stop_after=before), jobs=2)
    hung = begun.folder / "held" / "hangs" / "pid"
    assert not hung.exists() or not runs(hung)
    cut = load_run(begun.folder)
    assert before in {result.fault for result in cut.results}
    assert cut.missing
    told = Told()
    run = hold(resumed_run(begun.folder), told, limit_s=1.5)
    again = {line[1] for line in told.lines if line[0] == "started"}
    assert again == set(left_to_hold(cut))
    assert again.isdisjoint({result.fault for result in cut.of(Status.PASSED)})
    assert run.missing == ()
    assert [result.fault for result in run.results] == list(order)


def test_what_could_not_be_held_or_was_skipped_is_tried_again(begin):
    """A failure is an answer; an error and a skip are none."""
    begun = begin("good", "fails", "exits", "skips")
    assert set(left_to_hold(hold(begun))) == {"exits", "skips"}


def test_two_processes_do_not_hold_one_run(begin):
    """The second is refused while the first is at it."""
    begun = begin("good", "fine")

    class Second(Told):
        def started(self, name):
            with pytest.raises(Refused, match="another process"):
                hold(begun)
            super().started(name)

    assert len(hold(begun, Second(), jobs=1).results) == 2


def test_a_run_whose_fault_is_gone_is_not_gone_on_with(begin):
    """What the run set out to do cannot be done any more; the message says which."""
    begun = begin("good", "fine")
    with pytest.raises(UsageError, match="'fine'"):
        hold_all(begun, [fault("good")], command=list, jobs=1, clock=SystemClock(), progress=Told())


def test_nothing_to_hold_is_no_run(tmp_path):
    """Green on nothing is a defect."""
    with pytest.raises(UsageError, match="no fault"):
        begin_run([], reports_dir=tmp_path, seed=1, clock=SystemClock())
    assert list(tmp_path.iterdir()) == []


def test_a_drill_has_no_settings_of_ours(begin, monkeypatch, tmp_path):
    """A variable that names somebody's store or profile does not reach it; its temporary files have a place of their own."""
    monkeypatch.setenv("OPS_CONTROL_DIR", "/somebody/else")
    begun = begin("good")
    seen = tmp_path / "environ"
    script = f"import os, json; json.dump(dict(os.environ), open({str(seen)!r}, 'w'))"
    hold_all(
        begun,
        [fault("good")],
        command=lambda _: [sys.executable, "-c", script],
        jobs=1,
        clock=SystemClock(),
        progress=Told(),
    )
    text = seen.read_text()
    assert "/somebody/else" not in text
    assert "OPS_WORK" in text
    assert "ops-matrix-" in text


def test_a_second_run_has_another_name(begin):
    """Runs lie beside each other."""
    first, second = begin("good"), begin("good")
    assert first.folder != second.folder
