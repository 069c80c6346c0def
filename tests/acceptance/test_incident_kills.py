"""The loop is killed at random moments, again and again: no step acts twice, and every incident comes to its end.

What really happened is read from the effect ledger, which the services write themselves whenever they are started.
"""

import os
import random
import re
import select
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import sampled

from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.control.service import ControlPlane
from ops_core.drill.faults import FAULTS
from ops_core.drill.stack import EmbeddedStack
from ops_core.drill.waiting import wait_until
from ops_core.incident.lock import is_held
from ops_core.incident.loop import incident_view, list_incidents, shown_state
from ops_core.incident.progress import State
from ops_core.incident.store import Incidents
from ops_core.remediation.runner import StepState

pytestmark = pytest.mark.slow

CLOCK = SystemClock()
SEED = 20260104
KILLS = 56 if os.environ.get("KILLS") == "all" else len(sampled(range(20), 0.4))  # `make kills` takes all
RUN_LIMIT_S = 60.0
LOOP = [sys.executable, "-m", "ops_core.incident", "run", "--verify-s", "10"]
# Runs armed steps again without a look at their outcome: what the runner must never do.
BLIND = """
import sys
from ops_core.incident.__main__ import main
from ops_core.remediation.runner import Runner
Runner._resume = lambda self, index, step, ledger, mark: self._act(index, step, ledger, mark, again="blindly")
sys.exit(main())
"""
# A restart in one step: not done, done, or with the process stopped in between. Running it twice starts twice. Its
# command lingers after its effect, as many do: who kills as soon as the effect is seen hits it while it is under way.
RESTART_IN_ONE = '''
"""Restart in one step."""
import dataclasses
import sys
from ops_core.remediation import Plan, PlanContext, remediation


@remediation("restart_service")
def restart(context: PlanContext) -> Plan:
    start = context.restart_steps()[-1]
    argv = tuple("restart" if word == "start" else word for word in start.argv)
    lingering = "import subprocess, sys, time; code = subprocess.call(sys.argv[1:]); time.sleep(0.5); sys.exit(code)"
    argv = (sys.executable, "-c", lingering, *argv)
    step = dataclasses.replace(start, argv=argv)
    words = {"en": "restart in one step"}
    return Plan(
        remediation="restart_service", target=context.target.name, findings=context.findings, steps=(step,),
        summary=words, no_undo=words,
    )
'''


@dataclass
class Rig:
    """A stack to break, and the loop to kill."""

    stack: EmbeddedStack
    argv: list = field(default_factory=lambda: LOOP)

    def __post_init__(self):
        self.env = {**os.environ, **self.stack.environ()}
        self.settings = load_settings(self.stack.config, environ=self.stack.environ())
        self.plane = ControlPlane(self.settings.control_store, CLOCK, actor="test")

    @property
    def starts(self):
        """How many services were started so far. Lines are counted: one may be half written at this moment."""
        return self.stack.layout.effects_log.read_bytes().count(b"\n")

    @property
    def log(self):
        return self.settings.reports_dir / "incidents" / "incidents.log"

    def permit(self):
        self.plane.create()
        self.plane.release("rehearsal")
        self.plane.set_gate("MOCK_ONLY", "rehearsal")
        # Whatever is seen good now is what there is to go back to.
        assert self.run() == (0, "")

    def run(self, killed_when=None):
        """Run the loop; the exit code, and the output if it was killed when `killed_when(seconds, output)` said so."""
        process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env)
        begun, output = CLOCK.monotonic(), b""
        with process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            while True:
                if select.select([process.stdout], [], [], 0.002)[0]:
                    piece = process.stdout.read()
                    if piece == b"":
                        break
                    output += piece or b""
                seconds = CLOCK.monotonic() - begun
                assert seconds < RUN_LIMIT_S, output.decode()
                if killed_when is not None and killed_when(seconds, output.decode()):
                    process.kill()
                    process.wait()
                    return -9, output.decode()
            process.wait()
        return process.returncode, "" if killed_when is None else output.decode()

    def incidents(self):
        return list_incidents(self.plane, CLOCK, self.settings.profile)

    def steps(self, incident):
        return Incidents(self.plane, CLOCK, "test").steps(incident.id)

    def after_a_kill(self):
        """What has to hold at once when the loop is gone: nothing of it runs, and what is open is shown interrupted."""
        wait_until(lambda: not is_held(self.settings.state_dir), CLOCK, 5.0, "the lock is still held")
        # They were killed with it: they are gone as soon as they get a place on a processor.
        wait_until(lambda: not children_of(self.stack.work_dir), CLOCK, 2.0, "a step outlives the loop that was killed")
        found = [one for one in self.incidents() if one.state is State.OPEN]
        assert [shown_state(self.settings, one) for one in found] == [State.INTERRUPTED] * len(found)
        for one in found:
            assert incident_view(self.settings, self.plane, CLOCK, one.id).state == "interrupted"
        return any(row.state is StepState.ARMED for one in found for row in self.steps(one))


def children_of(work_dir):
    """Processes that change something about the stack."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            argv = (path / "cmdline").read_bytes().split(b"\0") if path.name.isdecimal() else []
        except OSError:
            continue
        if any(os.fsencode(work_dir) in word for word in argv) and {b"supervisor.supervisorctl", b"mv", b"ln"} & {
            *argv
        }:
            found.append(argv)
    return found


def moments(rng, rig, usual_s):
    """A random choice of when to kill: at a time, shortly after a step was begun, or as soon as it has its effect."""
    at_s = rng.uniform(0.0, usual_s)
    kind = rng.random()
    if kind < 0.3:
        return lambda seconds, _: seconds >= at_s
    if kind < 0.7:
        sooner = after_a_step(rng.randint(1, 4), rng.uniform(0.0, 0.2))
    else:
        sooner = on_effect(rig, rng.choice((0.0, 0.0, rng.uniform(0.0, 0.1))))
    # What one waits for may have happened before this run.
    later_s = max(at_s, 0.6 * usual_s)
    return lambda seconds, output: sooner(seconds, output) or seconds >= later_s


def on_effect(rig, delay_s):
    before, seen_at = rig.starts, []

    def when(seconds, _output):
        if rig.starts > before:
            seen_at.append(seconds)
        return bool(seen_at) and seconds >= seen_at[0] + delay_s

    return when


def after_a_step(number, delay_s):
    seen_at = []

    def when(seconds, output):
        if re.search(rf"^step {number}: .*\n", output, re.MULTILINE):
            seen_at.append(seconds)
        return bool(seen_at) and seconds >= seen_at[0] + delay_s

    return when


def events_of(rig, incident):
    view = incident_view(rig.settings, rig.plane, CLOCK, incident)
    return "\n".join(f"{entry.at} {entry.kind} {dict(entry.params)}" for entry in view.timeline)


def check_the_end(rig, fault, starts_before, incidents_before):
    """What has to be so when the loop has come to its end."""
    starts = [one for one in rig.stack.effects() if one.service == fault.service][starts_before:]
    new = rig.incidents()[: len(rig.incidents()) - incidents_before]
    assert len(new) == 1, [events_of(rig, one.id) for one in new]
    view = incident_view(rig.settings, rig.plane, CLOCK, new[0].id)
    assert len(starts) <= 1, f"{fault.name} was acted on {len(starts)} times: {events_of(rig, view.id)}"
    assert view.state in {"recovered", "escalated"}
    if view.state == "recovered":
        assert len(starts) == 1
        assert rig.stack.status(fault.service) == 200
        assert not fault.in_force(rig.stack)
    else:
        assert view.timeline[-1].kind == "escalated"
        assert "whether it had its effect" in view.timeline[-1].params["reason"]
    folder = rig.settings.reports_dir / "incidents" / view.id
    assert {path.name for path in folder.iterdir()} >= {"incident.md", "postmortem.md", "incident.json"}
    ending = "RECOVERY" if view.state == "recovered" else "INCIDENT"
    lines = [line for line in rig.log.read_text().splitlines() if view.id in line]
    assert [line.split()[1] for line in lines] == ["INCIDENT", ending]
    assert [line.rpartition(", ")[2] for line in lines] == ["open", view.state]
    rig.plane.verify_chain()
    assert Incidents(rig.plane, CLOCK, "test").unfinished(rig.settings.profile, "observe") == ()
    return view


@dataclass
class Tally:
    """What a series of kills came to."""

    kills: int = 0
    armed: int = 0
    states: list = field(default_factory=list)


def break_and_kill(rig, fault, rng, usual_s, tally, kills):
    """Break the stack, kill the loop up to `kills` times on its way, let it come to its end, and check that."""
    fault.inject(rig.stack)
    starts = len(rig.stack.effects(fault.service))
    incidents = len(rig.incidents())
    for _ in range(kills):
        code, _ = rig.run(moments(rng, rig, usual_s))
        if code != -9:
            break
        tally.kills += 1
        tally.armed += rig.after_a_kill()
    else:
        code, _ = rig.run()
    assert code in {0, 1}
    view = check_the_end(rig, fault, starts, incidents)
    tally.states.append(view.state)
    fault.withdraw(rig.stack)
    return view


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with EmbeddedStack(tmp_path_factory.mktemp("kills") / "w") as running:
        yield running


@pytest.fixture
def one_step(stack, tmp_path):
    """The same stack in a repository whose own restart is one step; its own state and reports."""
    shutil.copy(content_dir() / "ops.toml", tmp_path / "ops.toml")
    (tmp_path / "remediations").mkdir()
    (tmp_path / "remediations" / "restart_service.py").write_text(RESTART_IN_ONE)
    before = stack.config, stack.state_dir, stack.reports_dir
    stack.config, stack.state_dir, stack.reports_dir = tmp_path / "ops.toml", tmp_path / "state", tmp_path / "reports"
    yield Rig(stack)
    stack.config, stack.state_dir, stack.reports_dir = before


def test_a_runner_that_acts_blindly_is_caught(one_step):
    """The harness finds the bug it is there for: armed steps run again without a look show as two starts."""
    one_step.permit()
    one_step.argv = [sys.executable, "-c", BLIND, *LOOP[3:]]
    fault = FAULTS["answering-5xx"]
    with pytest.raises(AssertionError, match="acted on 2 times"):
        kill_on_effect(one_step, fault, tries=8)
    fault.withdraw(one_step.stack)


def kill_on_effect(rig, fault, tries):
    """Kill the loop as soon as it had an effect, before it can record that it had."""
    for _ in range(tries):
        fault.inject(rig.stack)
        starts, incidents = len(rig.stack.effects("core")), len(rig.incidents())
        code, _ = rig.run(on_effect(rig, 0.0))
        assert code == -9
        rig.after_a_kill()
        rig.run()
        check_the_end(rig, fault, starts, incidents)


def test_a_restart_in_one_step_is_never_repeated(one_step):
    """A step that was cut off is looked at: done, begun anew where nothing happened, else for a person."""
    one_step.permit()
    rng, tally = random.Random(SEED), Tally()
    fault = FAULTS["answering-5xx"]
    for number in range(4):
        fault.inject(one_step.stack)
        starts, incidents = len(one_step.stack.effects("core")), len(one_step.incidents())
        moment = after_a_step(1, rng.uniform(0.0, 0.3)) if number % 2 else on_effect(one_step, 0.0)
        if one_step.run(moment)[0] == -9:
            tally.armed += one_step.after_a_kill()
        assert one_step.run()[0] in {0, 1}
        tally.states.append(check_the_end(one_step, fault, starts, incidents).state)
        fault.withdraw(one_step.stack)
    assert tally.armed >= 2
    assert "recovered" in tally.states


def test_whenever_the_loop_is_killed_nothing_acts_twice(stack):
    """More than fifty kills, several on the way of one incident: each ends recovered, after exactly one start."""
    rig = Rig(stack)
    rig.permit()
    rng, tally = random.Random(SEED), Tally()
    FAULTS["secret-missing"].inject(stack)
    begun, starts = CLOCK.monotonic(), len(stack.effects("core"))
    assert rig.run() == (0, "")
    usual_s = CLOCK.monotonic() - begun
    check_the_end(rig, FAULTS["secret-missing"], starts, 0)
    names = ["secret-missing", "answering-5xx", "bad-release", "killed"]
    while tally.kills < KILLS:
        name = rng.choice((*names, "secret-missing"))
        break_and_kill(rig, FAULTS[name], rng, usual_s, tally, rng.randint(3, 6))
    assert set(tally.states) == {"recovered"}
    assert tally.armed >= KILLS // 8, "too few kills hit a step that was under way"
