"""Drivers and outcomes: what is the case now, by a real supervisor, real links and real commands."""

import os
import sys
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.drill.stack import EmbeddedStack
from ops_core.drill.waiting import wait_until
from ops_core.remediation.child import run_child
from ops_core.remediation.drivers import DriverUnanswered, driver_for
from ops_core.remediation.drivers.command import ask
from ops_core.remediation.drivers.supervisor import SupervisorDriver, read_socket
from ops_core.remediation.plan import CommandSays, LinkPointsTo, ProcessRunning, ProcessStopped
from ops_core.remediation.probing import Answer, look, never_begun
from ops_core.targets import Target

ROOT = Path("/")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with EmbeddedStack(tmp_path_factory.mktemp("drivers") / "w") as running:
        yield running


@pytest.fixture
def driver(stack):
    yield SupervisorDriver(stack.layout.supervisor_conf, "soul")
    stack.make_good("soul")


def run(step):
    return run_child(step.argv, timeout_s=step.timeout_s)


def test_the_supervisor_tells_and_its_steps_do(stack, driver):
    """Stop and start have their outcomes, and each outcome is seen where it holds and only there."""
    before = driver.state()
    assert (before.running, before.state) == (True, "RUNNING")
    assert before.pid == stack.process("soul").pid
    stop, start = driver.stop_step(before.pid), driver.start_step(before.pid)
    assert look(stop.outcome, ROOT).answer is Answer.HOLDS_NOT
    assert look(start.outcome, ROOT).answer is Answer.HOLDS_NOT, "the process that ran before does not count"
    assert run(stop).exit_code == 0
    assert driver.state().running is False
    assert look(stop.outcome, ROOT).answer is Answer.HOLDS
    assert run(start).exit_code == 0
    assert look(start.outcome, ROOT).answer is Answer.HOLDS
    assert look(stop.outcome, ROOT).answer is Answer.HOLDS_NOT
    assert driver.state().pid != before.pid


def test_what_was_never_begun_is_told_from_what_was(driver):
    """A process of the same number is the same process; a start shows even where its process is gone again."""
    # The supervisor's clock counts seconds: within the second of the last start nothing could be told.
    wait_until(lambda: driver.state().asked_at > driver.state().started_at, SystemClock(), 5.0, "no second passes")
    running = driver.state()
    stop, start = driver.stop_step(running.pid), driver.start_step(running.pid)
    mark = look(stop.outcome, ROOT).mark
    assert never_begun(mark, look(stop.outcome, ROOT))
    run(stop)
    stopped = look(start.outcome, ROOT)
    assert never_begun(stopped.mark, look(start.outcome, ROOT))
    run(start)
    run(stop)
    again = look(start.outcome, ROOT)
    assert again.answer is Answer.HOLDS_NOT
    assert not never_begun(mark, again)
    assert not never_begun(stopped.mark, again)


@pytest.mark.parametrize("changes", [{"pid": 8}, {"started_at": 11}, {"ended_at": 12}, {"state": "EXITED"}])
def test_any_trace_of_an_effect_counts(changes):
    """Whatever differs from the mark, it is not claimed that nothing happened."""
    outcome = look(LinkPointsTo(link="/nowhere", destination="x"), ROOT)
    mark = {"state": "RUNNING", "pid": 7, "started_at": 10, "ended_at": 9, "asked_at": 20}
    seen = type(outcome)(answer=Answer.HOLDS_NOT, detail="", mark={**mark, "asked_at": 21})
    assert never_begun(mark, seen)
    assert not never_begun(mark, type(outcome)(answer=Answer.HOLDS_NOT, detail="", mark={**seen.mark, **changes}))
    assert not never_begun(mark, type(outcome)(answer=Answer.CHANGING, detail="", mark=seen.mark))
    assert not never_begun({}, seen)


def test_a_start_in_the_second_of_the_mark_cannot_be_told():
    """Two starts within one second look the same: what cannot be told is not claimed."""
    mark = {"state": "EXITED", "pid": None, "started_at": 20, "ended_at": 20, "asked_at": 20}
    kind = type(look(LinkPointsTo(link="/nowhere", destination="x"), ROOT))
    seen = kind(answer=Answer.HOLDS_NOT, detail="", mark={**mark, "asked_at": 22})
    assert not never_begun(mark, seen)
    assert never_begun(
        {**mark, "started_at": 19}, kind(answer=Answer.HOLDS_NOT, detail="", mark={**seen.mark, "started_at": 19})
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[supervisord]\n", "no 'unix_http_server' in it"),
        ("[unix_http_server]\nchmod=0700\n", "no 'file' in it"),
        ("no section\n", "cannot be used"),
        ("[unix_http_server]\nfile=%(nonsense)s\n", "no 'nonsense' in it"),
        (f"[unix_http_server]\nfile=/{'x' * 120}\n", "socket is too long"),
        ("[unix_http_server]\nfile=%(here)s/none.sock\n", "No such file or directory"),
    ],
)
def test_a_supervisor_that_cannot_be_asked_is_no_answer(tmp_path, text, message):
    """Nothing is known about its processes, and that is what is said."""
    (tmp_path / "s.conf").write_text(text)
    driver = SupervisorDriver(tmp_path / "s.conf", "core")
    with pytest.raises(DriverUnanswered) as caught:
        driver.state()
    assert message in caught.value.what
    seen = look(driver.stop_step(1).outcome, ROOT)
    assert (seen.answer, seen.mark) == (Answer.CANNOT_TELL, {})


def test_a_program_that_the_supervisor_does_not_know_is_no_answer(stack):
    """A typing mistake in the configuration never looks like a stopped process."""
    with pytest.raises(DriverUnanswered, match="BAD_NAME"):
        SupervisorDriver(stack.layout.supervisor_conf, "typo").state()


def test_the_socket_is_read_as_supervisord_reads_it(tmp_path, monkeypatch):
    """Comments, `%(here)s`, doubled percent signs and the environment; a password where there is one."""
    monkeypatch.setenv("RUN", "/run")
    conf = tmp_path / "s.conf"
    conf.write_text("[unix_http_server]\nfile=%(here)s/a%%b.sock ; where\n")
    assert read_socket(conf) == (f"{tmp_path}/a%b.sock", None)
    conf.write_text("[unix_http_server]\nfile=%(ENV_RUN)s/s.sock\nusername=kim\npassword=pw\n")
    assert read_socket(conf) == ("/run/s.sock", ("kim", "pw"))


def test_links_are_compared_by_their_text(tmp_path):
    """What a link holds counts, whether it leads anywhere or not; a file in its place is no answer."""
    link, wanted = tmp_path / "current", LinkPointsTo(link=str(tmp_path / "current"), destination="v1")
    assert look(wanted, ROOT).answer is Answer.HOLDS_NOT
    assert not never_begun(look(wanted, ROOT).mark, look(wanted, ROOT)), "a link that is missing proves nothing"
    link.symlink_to("v2")
    mark = look(wanted, ROOT).mark
    assert never_begun(mark, look(wanted, ROOT))
    link.unlink()
    link.symlink_to("v1")
    assert look(wanted, ROOT).answer is Answer.HOLDS
    link.unlink()
    link.symlink_to("v2")
    assert not never_begun(mark, look(wanted, ROOT)), "it was swapped and swapped back meanwhile"
    link.unlink()
    link.write_text("v1")
    assert look(wanted, ROOT).answer is Answer.CANNOT_TELL


def test_a_command_says_yes_or_no(tmp_path):
    """0 is yes, 1 to 125 is no, and nothing else is an answer."""
    assert ask(("true",), tmp_path) is True
    assert ask(("false",), tmp_path) is False
    assert ask(("sh", "-c", "exit 125"), tmp_path) is False
    for argv in (("sh", "-c", "exit 126"), ("no-such-program",), ("sh", "-c", "kill -9 $$")):
        with pytest.raises(DriverUnanswered, match="says neither yes nor no"):
            ask(argv, tmp_path)
    with pytest.raises(DriverUnanswered, match="not done within"):
        ask(("sleep", "60"), tmp_path, limit_s=0.2)
    seen = look(CommandSays(argv=("false",), yes=False), tmp_path)
    assert (seen.answer, seen.mark) == (Answer.HOLDS, {})
    assert not never_begun(seen.mark, look(CommandSays(argv=("false",), yes=True), tmp_path))
    assert look(CommandSays(argv=("no-such",), yes=True), tmp_path).answer is Answer.CANNOT_TELL


def test_commands_of_a_target_are_run_beside_its_configuration(tmp_path):
    """A relative program means the one in the folder of ops.toml."""
    (tmp_path / "running").write_text("#!/bin/sh\ntest -e up\n")
    (tmp_path / "running").chmod(0o755)
    target = Target(
        name="a", driver="command", start_argv=("touch", "up"), stop_argv=("rm", "up"), running_argv=("./running",)
    )
    driver = driver_for(target, tmp_path)
    assert driver.state().running is False
    assert look(driver.start_step(None).outcome, tmp_path).answer is Answer.HOLDS_NOT
    run_child(driver.start_step(None).argv, timeout_s=10, cwd=tmp_path)
    assert driver.state().running is True
    assert look(driver.start_step(None).outcome, tmp_path).answer is Answer.HOLDS


def test_supervisorctl_is_not_taken_from_the_current_folder(tmp_path, stack):
    """A file called supervisor.py lying around changes nothing."""
    (tmp_path / "supervisor.py").write_text("raise SystemExit('not me')\n")
    step = SupervisorDriver(stack.layout.supervisor_conf, "soul").stop_step(None)
    status = [word if word != "stop" else "status" for word in step.argv]
    ended = run_child(status, timeout_s=30, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ""})
    assert "RUNNING" in ended.output, ended.output
    assert status[0] == sys.executable


def test_outcomes_of_processes_name_who_is_meant():
    """The process that is to be gone, and the one that does not count as started, stand in the plan."""
    driver = SupervisorDriver(Path("/w/s.conf"), "core")
    assert driver.stop_step(7).outcome == ProcessStopped(conf="/w/s.conf", name="core", pid=7)
    assert driver.start_step(7).outcome == ProcessRunning(conf="/w/s.conf", name="core", not_pid=7)
