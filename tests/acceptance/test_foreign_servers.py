"""The shipped suite against servers that this project did not write: nginx, and an event stream on Starlette."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import need_program

from ops_core.clock import SystemClock
from ops_core.control.service import ControlPlane
from ops_core.observation.record import Observation, read_observation
from ops_core.verdict import Verdict

SECRET = "a-secret-of-nginx-4711"

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location = /healthz {{ return {health} "ok\\n"; }}
    location = /internal {{
      if ($http_x_internal_secret = "{secret}") {{ return 200 "in\\n"; }}
      return {refusal} "out\\n";
    }}
  }}
}}
"""

STARLETTE = """
import asyncio, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

async def events():
    while True:
        if sys.argv[2] == "talking":
            yield ": heartbeat\\n\\n"
        await asyncio.sleep(0.1)

async def stream(request):
    return StreamingResponse(events(), media_type="text/event-stream")

uvicorn.run(Starlette(routes=[Route("/events", stream)]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""

OPS_TOML = """
default_profile = "theirs"
[profiles.theirs.secrets]
NGINX_SECRET = {{ file = "secret" }}
[profiles.theirs.targets.nginx]
health_url = "http://127.0.0.1:{nginx}/healthz"
guard_url = "http://127.0.0.1:{nginx}/internal"
guard_secret = "NGINX_SECRET"
[profiles.theirs.targets.starlette]
stream_url = "http://127.0.0.1:{starlette}/events"
stream_window_s = 1.5
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, what


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


@dataclass
class Theirs:
    """The two servers and a repository that names them."""

    root: Path
    nginx_port: int
    starlette_port: int
    processes: dict[str, subprocess.Popen[bytes]]

    def start_nginx(self, *, health: int = 200, refusal: int = 401) -> None:
        conf = self.root / "nginx.conf"
        conf.write_text(
            NGINX.format(dir=self.root, port=self.nginx_port, health=health, refusal=refusal, secret=SECRET)
        )
        self.stop("nginx")
        argv = [need_program("nginx"), "-c", str(conf), "-e", str(self.root / "error.log")]
        self.processes["nginx"] = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        wait_for(lambda: answers(self.nginx_port), "nginx does not answer")

    def start_starlette(self, mood: str) -> None:
        self.stop("starlette")
        argv = [sys.executable, "-c", STARLETTE, str(self.starlette_port), mood]
        self.processes["starlette"] = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        wait_for(lambda: answers(self.starlette_port), "starlette does not answer")

    def stop(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def observe(self) -> tuple[Observation, int, str]:
        record = self.root / "record.json"
        record.unlink(missing_ok=True)
        argv = [sys.executable, "-m", "pytest", "checks/", "-m", "observe", f"--ops-record={record}"]
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPS_")}
        done = subprocess.run(argv, cwd=self.root, env=env, capture_output=True, text=True, timeout=90)
        assert record.is_file(), done.stdout + done.stderr
        assert SECRET not in record.read_text() + done.stdout + done.stderr
        return read_observation(record), done.returncode, done.stdout

    def findings(self) -> set[tuple[str, str | None]]:
        return {(finding.code, finding.target) for finding in self.observe()[0].findings}


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Theirs]:
    found = Theirs(tmp_path, free_port(), free_port(), {})
    (tmp_path / "checks").mkdir()
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "ops.toml").write_text(OPS_TOML.format(nginx=found.nginx_port, starlette=found.starlette_port))
    plane = ControlPlane(tmp_path / "state-control" / "control.db", SystemClock())
    plane.create()
    plane.release("a test")
    try:
        found.start_nginx()
        found.start_starlette("talking")
        yield found
    finally:
        for name in list(found.processes):
            found.stop(name)


def test_healthy_servers_are_seen_healthy(theirs: Theirs) -> None:
    """nginx with a guard and a Starlette stream with heartbeats: HEALTHY, exit 0, a verdict at the end."""
    observation, code, output = theirs.observe()
    assert (observation.verdict, code) == (Verdict.HEALTHY, 0), output
    assert {t for j in observation.judgements if j.judged == "good" for t in [j.target]} >= {"nginx", "starlette"}
    assert "VERDICT" in output.splitlines()[-3]


def test_broken_servers_are_told_apart(theirs: Theirs) -> None:
    """Each way to break them raises its own finding, and nothing else."""
    theirs.start_nginx(health=503)
    assert theirs.findings() == {("health.not_ok", "nginx")}
    theirs.start_nginx(refusal=200)
    assert theirs.findings() == {("guard.open", "nginx")}
    theirs.start_nginx()
    (theirs.root / "secret").write_text("another-secret")
    assert theirs.findings() == {("guard.rejects_secret", "nginx")}
    (theirs.root / "secret").write_text(SECRET)
    theirs.start_starlette("silent")
    assert theirs.findings() == {("stream.silent", "starlette")}


def test_servers_that_are_gone_or_frozen(theirs: Theirs) -> None:
    """A refused connection is seen to be bad; a frozen server is not seen at all; the verdict comes all the same."""
    theirs.stop("starlette")
    theirs.processes["nginx"].send_signal(signal.SIGSTOP)
    (theirs.root / "ops.toml").write_text(
        (theirs.root / "ops.toml").read_text() + "\n[profiles.theirs.budgets.probes]\nhealth = 1\nguard = 1\n"
    )
    observation, code, output = theirs.observe()
    assert {(f.code, f.target) for f in observation.findings} == {("stream.silent", "starlette")}
    assert set(observation.unknown) == {
        (code, "nginx") for code in ("health.not_ok", "health.slow", "guard.open", "guard.rejects_secret")
    }
    assert (observation.verdict, code) == (Verdict.UNHEALTHY, 1), output
