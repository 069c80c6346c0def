"""What a real supervisord says about real processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import eventually

from ops_core.errors import CannotLook
from ops_core.evidence import ProcessEvidence
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.process import ProcessInstrument, os_state, read_socket

CONF = """
[unix_http_server]
file=%(here)s/s.sock ; the socket
username=ops
password=correct-horse-battery
[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
nodaemon=true
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:runs]
command=sleep 600
startsecs=0
[program:ends]
command=sh -c "exit 3"
startsecs=0
autorestart=false
[program:broken]
command=/no/such/program
autostart=false
"""


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("s")
    conf = folder / "supervisord.conf"
    conf.write_text(CONF)
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    eventually(lambda: (folder / "s.sock").exists() or process.poll() is not None, "supervisord does not start")
    assert process.poll() is None
    yield conf
    process.terminate()
    process.wait(30)


def ask(lookout: Lookout, conf: Path, name: str) -> ProcessEvidence:
    return asyncio.run(asyncio.wait_for(ProcessInstrument(lookout).supervised(conf, name), 20))


def until(lookout: Lookout, conf: Path, name: str, wanted: Callable[[ProcessEvidence], bool]) -> ProcessEvidence:
    seen: list[ProcessEvidence] = []

    def so() -> bool:
        seen.append(ask(lookout, conf, name))
        return wanted(seen[-1])

    eventually(so, f"{name} does not come to be as wanted")
    return seen[-1]


def test_a_running_process_is_seen_running(lookout: Lookout, supervised: Path) -> None:
    """By its supervisor and by the system."""
    seen = until(lookout, supervised, "runs", lambda s: s.running)
    assert (seen.state, seen.running, seen.frozen) == ("RUNNING", True, False)
    assert seen.pid is not None
    assert seen.os_state in "SRD"
    assert seen.uptime_s is not None


def test_a_frozen_process_is_seen_frozen_although_its_supervisor_says_running(
    lookout: Lookout, supervised: Path
) -> None:
    """SIGSTOP is what supervisord cannot know."""
    pid = until(lookout, supervised, "runs", lambda s: s.running).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        seen = until(lookout, supervised, "runs", lambda s: s.frozen)
        assert (seen.state, seen.frozen) == ("RUNNING", True)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_process_that_ended_is_seen_with_its_exit_status(lookout: Lookout, supervised: Path) -> None:
    """Not running, and why."""
    seen = until(lookout, supervised, "ends", lambda s: s.state == "EXITED")
    assert (seen.state, seen.exit_status, seen.running, seen.pid) == ("EXITED", 3, False, None)
    assert "exit status 3" in seen.explain()


def test_a_process_that_was_not_started_or_is_not_known_is_not_running(lookout: Lookout, supervised: Path) -> None:
    """STOPPED; and what supervisord never heard of is something seen."""
    assert ask(lookout, supervised, "broken").state == "STOPPED"
    seen = ask(lookout, supervised, "nobody")
    assert (seen.state, seen.running) == ("UNKNOWN", False)


def test_the_password_of_the_supervisor_is_nowhere_to_be_seen(lookout: Lookout, supervised: Path) -> None:
    """Neither in evidence nor in actions."""
    seen = ask(lookout, supervised, "runs")
    assert "correct-horse" not in repr(seen) + repr(list(lookout.actions))


def test_a_wrong_password_means_could_not_look(lookout: Lookout, supervised: Path) -> None:
    """supervisord answers 401, and may close before that is read: neither says anything about the process."""
    wrong = supervised.with_name("wrong.conf")
    wrong.write_text(CONF.replace("correct-horse-battery", "other"))
    with pytest.raises(CannotLook, match=r"401|ConnectionReset"):
        ask(lookout, wrong, "runs")


def test_without_a_supervisor_nothing_can_be_seen(lookout: Lookout, tmp_path: Path) -> None:
    """No socket, no file, no section."""
    conf = tmp_path / "supervisord.conf"
    with pytest.raises(CannotLook, match="configuration cannot be used"):
        ask(lookout, conf, "runs")
    conf.write_text("[supervisord]\n")
    with pytest.raises(CannotLook, match="unix_http_server"):
        ask(lookout, conf, "runs")
    conf.write_text("[unix_http_server]\nfile=%(here)s/none.sock\n")
    with pytest.raises(CannotLook, match="No such file"):
        ask(lookout, conf, "runs")
    conf.write_bytes(b"\xff\xfe[unix")
    with pytest.raises(CannotLook, match="configuration cannot be used"):
        ask(lookout, conf, "runs")


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage" * 100,
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n<not xml",
        (
            b"HTTP/1.1 200 OK\r\n\r\n<?xml version='1.0'?><methodResponse><params><param><value><int>1</int></value></param>"
            b"</params></methodResponse>"
        ),
        b"HTTP/1.1 500 Oops\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 400_000,
    ],
    ids=["garbage", "nothing", "not-xml", "a-number", "500", "too-long"],
)
def test_whatever_a_broken_supervisor_answers_means_could_not_look(
    lookout: Lookout, tmp_path_factory: pytest.TempPathFactory, answer: bytes
) -> None:
    """One clear error, never another exception."""
    folder = tmp_path_factory.mktemp("b")
    conf = folder / "supervisord.conf"
    conf.write_text("[unix_http_server]\nfile=%(here)s/b.sock\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "b.sock"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(CannotLook):
            ask(lookout, conf, "runs")
        thread.join()


def test_the_socket_of_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As supervisord reads it: the folder and the environment expanded, comments taken off."""
    monkeypatch.setenv("OWN_DIR", "/own")
    conf = tmp_path / "s.conf"
    conf.write_text("[unix_http_server]\nfile = %(ENV_OWN_DIR)s/s.sock ; here\nusername=u\npassword=p;w\n")
    assert read_socket(conf) == ("/own/s.sock", ("u", "p;w"))
    conf.write_text("[unix_http_server]\nfile=%(here)s/s.sock\nusername=u\n")
    assert read_socket(conf) == (f"{tmp_path}/s.sock", None)


def test_the_state_of_a_process_in_the_system() -> None:
    """Our own runs; a dead one has none; a name with parentheses does not confuse."""
    assert os_state(os.getpid()) in "RS"
    process = subprocess.Popen(["true"])
    process.wait()
    assert os_state(process.pid) is None
