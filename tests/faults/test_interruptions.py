"""However a run is cut short, what was seen is not lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import hostile
import pytest
from hostile import HostileServer
from observing import Project, Ran
from support import eventually

from ops_core.observation.record import read_observation
from ops_core.verdict import Judged, Verdict

Serve = Callable[..., HostileServer]


@pytest.fixture
def waiting(project: Project, serve: Serve) -> Project:
    """Half of the targets answer, half hang for the length of a long budget."""
    fine, hanging = serve(hostile.healthy), serve(hostile.never_answers)
    project.suites, project.budgets = ("observe",), {"total_s": 60, "health": 50}
    for number in range(3):
        project.target(f"a-fine-{number}", health_url=fine.url())
        project.target(f"hangs-{number}", health_url=hanging.url())
    return project


def start(project: Project, *more: str) -> subprocess.Popen[str]:
    """A run that has seen what there is to see and waits for the rest."""
    process = project.start("-m", "observe", "-k", "answers_200", *more)
    eventually(lambda: seen_in_journal(project) >= 3, "nothing is seen")
    return process


def seen_in_journal(project: Project) -> int:
    return sum(text.count('"seen":true') for text in (p.read_text() for p in project.root.glob("reports/*/*.jsonl")))


def assert_short_but_whole(ran: Ran, said: str) -> None:
    observation = ran.observation
    assert said in observation.interrupted
    judged = ran.judged("check_health_answers_200")
    assert {judged[f"hangs-{number}"] for number in range(3)} == {Judged.UNKNOWN}
    assert len(judged) == 6
    assert observation.verdict is Verdict.UNKNOWN
    assert {record.id for record in observation.evidence if record.seen} == {f"health[a-fine-{n}]" for n in range(3)}
    assert all(said in record.reason for record in observation.evidence if not record.seen)
    assert ran.exit_code == 2
    assert "VERDICT" in ran.output
    assert "Traceback" not in ran.output
    assert read_observation(ran.record_path.with_name("latest.json")) == observation


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "interrupted from the keyboard"),
        (signal.SIGTERM, "ended by SIGTERM"),
        (signal.SIGHUP, "ended by SIGHUP"),
    ],
)
def test_a_stop_signal_leaves_a_whole_record(waiting: Project, number: signal.Signals, said: str) -> None:
    """Judged is what was judged, the rest is unknown, and the record says why it is short."""
    process = start(waiting)
    os.kill(process.pid, number)
    assert_short_but_whole(waiting.ended(process, limit_s=30), said)


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGINT, "interrupted from the keyboard")]
)
def test_signals_in_quick_succession_leave_a_whole_record(waiting: Project, number: signal.Signals, said: str) -> None:
    """Impatience does not break the record."""
    process = start(waiting)
    for _ in range(50):
        os.kill(process.pid, number)
        # Each of them is to arrive: one that waits already swallows those behind it.
        os.sched_yield()
    ran = waiting.ended(process, limit_s=30)
    assert said in ran.observation.interrupted
    assert len(ran.observation.judgements) == 6


@pytest.mark.slow
def test_a_hang_up_that_is_to_be_ignored_is_ignored(waiting: Project) -> None:
    """nohup."""
    waiting.budgets = {"total_s": 4, "health": 3}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start(waiting)
    finally:
        signal.signal(signal.SIGHUP, before)
    os.kill(process.pid, signal.SIGHUP)
    ran = waiting.ended(process, limit_s=30)
    assert not ran.observation.interrupted


def test_a_killed_run_leaves_the_journal(waiting: Project) -> None:
    """Whole lines: which run it is, and what was seen until then."""
    process = start(waiting)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    lines = [json.loads(line) for line in next(waiting.root.glob("reports/*/*.jsonl")).read_text().splitlines()]
    assert lines[0]["type"] == "run"
    assert lines[0]["pairs"] == 6
    assert {line["id"] for line in lines[1:]} == {f"health[a-fine-{number}]" for number in range(3)}
    assert not list(waiting.root.glob("reports/*/latest.json"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_with_xdist_leaves_a_whole_record(waiting: Project, number: signal.Signals) -> None:
    """The controller records; what the workers had not judged is unknown."""
    process = waiting.start("-m", "observe", "-k", "answers_200", "-n", "2", PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    # Until then only the workers know what is to be judged.
    assert any("items]" in line for line in process.stdout)
    eventually(lambda: seen_in_journal(waiting) >= 3, "nothing is seen")
    os.kill(process.pid, number)
    ran = waiting.ended(process, limit_s=60)
    observation = ran.observation
    assert observation.interrupted
    assert len(observation.judgements) == 6, ran.output
    assert observation.verdict is Verdict.UNKNOWN


def test_ctrl_c_reaches_the_whole_group(waiting: Project) -> None:
    """As a terminal sends it: to every process of the run."""
    process = start(waiting)
    os.killpg(process.pid, signal.SIGINT)
    assert_short_but_whole(waiting.ended(process, limit_s=30), "interrupted from the keyboard")


def test_a_full_disk_costs_the_journal_and_not_the_verdict(waiting: Project, tmp_path: Path) -> None:
    """What cannot be noted is told."""
    waiting.budgets = {"total_s": 3, "health": 1}
    waiting.write(
        "conftest.py",
        """
        import os
        real = os.write
        def write(fd, data):
            if b'"type":"evidence"' in data:
                raise OSError(28, "No space left on device")
            return real(fd, data)
        os.write = write
        """,
    )
    ran = waiting.run("-m", "observe", "-k", "answers_200")
    assert len(ran.observation.judgements) == 6
    assert "the journal is incomplete" in ran.output
    assert "No space left" in ran.output
