"""The rehearsal services by themselves, each as the script that is copied into releases."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.drill.layout import SERVICES, Layout
from ops_core.drill.ports import HOST, Reservation
from ops_core.drill.services import base
from ops_core.drill.waiting import wait_until

CLOCK = SystemClock()


class Running:
    """One service, started by hand."""

    def __init__(self, layout, name, port, *, stdin=subprocess.DEVNULL):
        self.layout, self.name, self.port = layout, name, port
        script = layout.release_link(name) / f"{name}.py"
        argv = [sys.executable, "-I", "-S", "-B", script, "--root", layout.root, "--name", name, "--port", str(port)]
        self.process = subprocess.Popen(argv, stdin=stdin, stderr=subprocess.PIPE, text=True)

    def ready(self):
        wait_until(lambda: self.get(SERVICES[self.name].health_path)[0], CLOCK, 20, "it does not answer")
        return self

    def get(self, path, method="GET", headers=(), timeout=10):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            connection.request(method, path, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def send(self, data):
        """What comes back for these bytes on a raw connection."""
        with socket.create_connection((HOST, self.port), timeout=10) as raw:
            raw.sendall(data)
            answer = b""
            while piece := raw.recv(65536):
                answer += piece
            return answer

    def end(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stderr):
            if stream:
                stream.close()


@pytest.fixture
def layout(tmp_path):
    """A work directory, laid out."""
    laid_out = Layout(tmp_path / "w")
    laid_out.lay_out(lambda: "s3cr3t")
    return laid_out


@pytest.fixture
def start(layout):
    """Start services by hand; they are ended with the test."""
    reservation, started = Reservation(), []

    def begin(name="core", **how):
        started.append(Running(layout, name, reservation.ports[name], **how))
        return started[-1]

    yield begin
    for service in started:
        service.end()
    reservation.release()


@pytest.mark.parametrize("name", SERVICES)
def test_scripts_need_nothing_of_ours(name):
    """What is copied into a release imports the standard library and its neighbour only."""
    source = (Path(base.__file__).parent / f"{name}.py").read_text()
    running = source.partition("if TYPE_CHECKING:")[2].partition("else:")[2]
    assert "ops_core" not in running
    assert "ops_core" not in Path(base.__file__).read_text().replace("`ops_core`", "")


def test_core_tells_who_it_is(start):
    """Health is 200 with status, release and configuration."""
    status, body = start().ready().get("/api/health")
    assert status == 200
    assert json.loads(body) == {
        "status": "ok",
        "service": "core",
        "release": "v1",
        "config": "1.env",
        "thoughts": 3,
    }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 401),
        ({"X-Internal-Secret": "WRONG"}, 401),
        ({"X-Internal-Secret": ""}, 401),
        ({"x-internal-secret": "s3cr3t"}, 200),
        ({"X-Internal-Secret": "s3cr3tt"}, 401),
        ({"X-Internal-Secret": "gehéim".encode("latin-1")}, 401),
    ],
)
def test_the_guard_lets_in_the_right_secret_only(start, headers, expected):
    """401 for a missing, wrong, empty or odd secret, 200 for the right one."""
    assert start().ready().get("/api/revalidate/status", headers=headers)[0] == expected


def test_the_stream_beats_at_once_and_carries_thoughts(start):
    """The first heartbeat comes with the headers, events come later, heartbeats in between."""
    core = start().ready()
    with socket.create_connection((HOST, core.port), timeout=20) as stream:
        stream.sendall(b"GET /api/thoughts/sse HTTP/1.1\r\n\r\n")
        seen = b""
        while b"event: thought" not in seen:
            piece = stream.recv(4096)
            assert piece
            seen += piece
    assert b"Content-Type: text/event-stream" in seen
    body = seen.partition(b"\r\n\r\n")[2]
    assert body.startswith(b": heartbeat\n\n")
    assert body.count(b": heartbeat") > 2


def test_soul_and_dashboard_answer(start):
    """The soul engine answers JSON, the dashboard a page."""
    assert json.loads(start("soul").ready().get("/health")[1])["status"] == "ok"
    status, page = start("dashboard").ready().get("/")
    assert (status, b"Release v1" in page) == (200, True)


@pytest.mark.parametrize(
    ("request_bytes", "status_line"),
    [
        (b"GET /nowhere HTTP/1.1\r\n\r\n", b"HTTP/1.1 404"),
        (b"POST /api/health HTTP/1.1\r\n\r\n", b"HTTP/1.1 405"),
        (b"HEAD /api/health HTTP/1.1\r\n\r\n", b"HTTP/1.1 200"),
        (b"GET /api/health?x=1 HTTP/1.0\n\n", b"HTTP/1.1 200"),
        (b"\x16\x03\x01\r\n\r\n", b"HTTP/1.1 400"),
        (b"\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET /api/health\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"HTTP/1.1 400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * base.REQUEST_BYTES_MAX, b"HTTP/1.1 400"),
    ],
)
def test_odd_requests_get_an_answer(start, request_bytes, status_line):
    """Whatever is sent, there is an HTTP answer and the service lives on."""
    core = start().ready()
    answer = core.send(request_bytes)
    assert answer.startswith(status_line)
    if request_bytes.startswith(b"HEAD"):
        assert answer.endswith(b"\r\n\r\n")
    assert core.get("/api/health")[0] == 200


def test_stuck_clients_harm_nobody(start):
    """Clients that connect and say nothing, or never read, do not keep others from being served."""
    core = start().ready()
    stuck = [socket.create_connection((HOST, core.port), timeout=10) for _ in range(50)]
    try:
        for number, client in enumerate(stuck):
            client.sendall(b"GET /api/thoughts/sse HTTP/1.1\r\n\r\n" if number % 2 else b"GET /api")
        assert core.get("/api/health")[0] == 200
    finally:
        for client in stuck:
            client.close()


def test_a_closed_stream_leaves_no_thread_behind(start):
    """A stream whose client went away ends, also while it is silent."""
    core = start().ready()
    core.layout.fault_file("core").write_text("silent")
    core.process.send_signal(signal.SIGUSR1)
    tasks = Path(f"/proc/{core.process.pid}/task")
    for _ in range(5):
        with socket.create_connection((HOST, core.port), timeout=10) as stream:
            stream.sendall(b"GET /api/thoughts/sse HTTP/1.1\r\n\r\n")
            assert stream.recv(100)
    wait_until(lambda: len(list(tasks.iterdir())) == 1, CLOCK, 20, "threads are left")


@pytest.mark.parametrize(
    ("word", "path", "status"),
    [("5xx", "/api/health", 500), ("5xx", "/api/revalidate/status", 503), ("5xx", "/api/thoughts/sse", 503)],
)
def test_a_degradation_comes_and_goes_by_signal(start, word, path, status):
    """SIGUSR1 degrades as the fault file says, SIGUSR2 ends it, without a restart."""
    core = start().ready()
    core.layout.fault_file("core").write_text(word)
    core.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: core.get(path)[0] == status, CLOCK, 20, "not degraded")
    core.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: core.get("/api/health")[0] == 200, CLOCK, 20, "still degraded")


@pytest.mark.parametrize("word", ["", "nonsense", None])
def test_an_unknown_degradation_is_none(start, word):
    """A fault file that is empty, unknown or missing degrades nothing."""
    core = start().ready()
    if word is not None:
        core.layout.fault_file("core").write_text(word)
    core.process.send_signal(signal.SIGUSR1)
    assert core.get("/api/health")[0] == 200


def test_a_service_ends_at_once_on_sigterm(start):
    """SIGTERM ends it cleanly, open streams or not."""
    core = start().ready()
    with socket.create_connection((HOST, core.port), timeout=10) as stream:
        stream.sendall(b"GET /api/thoughts/sse HTTP/1.1\r\n\r\n")
        assert stream.recv(10)
        core.process.terminate()
        assert core.process.wait(10) == 0


def test_a_service_may_start_again_at_once(start, layout):
    """The port is free for the next start although connections of the last one linger; each start is in the ledger."""
    for _ in range(3):
        core = start().ready()
        core.process.terminate()
        core.process.wait(10)
    lines = [json.loads(line) for line in layout.effects_log.read_text().splitlines()]
    assert [line["service"] for line in lines] == ["core"] * 3
    assert {(line["release"], line["config"]) for line in lines} == {("v1", "1.env")}
    assert len({line["pid"] for line in lines}) == 3


def test_a_taken_port_is_said(start):
    """The second of two services on one port ends and says why."""
    start().ready()
    second = start()
    assert second.process.wait(20) == base.EXIT_PORT
    assert "core: cannot listen on port" in second.process.stderr.read()


def test_a_missing_configuration_is_said(start, layout):
    """Without a configuration it does not start."""
    (layout.root / "config/core/1.env").unlink()
    core = start()
    assert core.process.wait(20) == base.EXIT_CONFIG
    assert "the configuration cannot be read" in core.process.stderr.read()


def test_a_wrong_setting_is_said_without_its_value(start, layout):
    """Seconds that are no number keep it from starting; the value is not repeated."""
    path = layout.root / "config/core/1.env"
    path.write_text("HEARTBEAT_S=s3cr3t\n")
    core = start()
    assert core.process.wait(20) == base.EXIT_CONFIG
    said = core.process.stderr.read()
    assert "HEARTBEAT_S is not a number of seconds" in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--root", "/tmp"],
        ["--root", "/tmp", "--name", "core", "--port"],
        ["--root", "/", "--name", "c", "--prot", "1"],
    ],
)
def test_a_wrong_command_line_is_said(arguments):
    """Usage is printed and nothing starts."""
    script = Path(base.__file__).parent / "core.py"
    ended = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, timeout=20)
    assert ended.returncode == 1
    assert ended.stderr.startswith("usage: ")


def test_a_bug_in_a_route_is_answered_with_500(start, layout):
    """A route that raises is answered with 500, and the log says where."""
    release = layout.release_link("core").resolve()
    source = (release / "core.py").read_text()
    (release / "core.py").write_text(source.replace("thoughts = self.thoughts()", "thoughts = self.thoughts()[9]"))
    core = start().ready()
    assert core.get("/api/health") == (500, b'{"error": "internal error"}\n')
    core.process.terminate()
    assert "IndexError" in core.process.stderr.read()


def test_the_access_log_stays_small(tmp_path, monkeypatch):
    """The access log is rotated once it is full, and never holds more than two files' worth."""
    monkeypatch.setattr(base, "ACCESS_LOG_BYTES_MAX", 500)
    (tmp_path / "logs").mkdir()
    service, exchange = base.Service(tmp_path, "core"), base.Exchange(socket.socket())
    exchange.connection.close()
    exchange.method, exchange.path, exchange.status = "GET", "/\x1b[31mred", 200
    for _ in range(100):
        service.log(exchange, 0.001)
    files = sorted(tmp_path.glob("logs/*"))
    assert [f.name for f in files] == ["core.access.log", "core.access.log.1"]
    assert all(f.stat().st_size < 700 for f in files)
    assert "\x1b" not in files[0].read_text()


def test_a_full_disk_does_not_take_the_service_down(tmp_path):
    """A log that cannot be written is done without."""
    service, exchange = base.Service(tmp_path / "gone", "core"), base.Exchange(socket.socket())
    exchange.connection.close()
    service.log(exchange, 0.001)


@pytest.mark.parametrize("stopped", [False, True], ids=["awake", "stopped"])
def test_a_service_goes_down_with_its_supervisor(start, stopped):
    """When the other end of its standard input is closed, the kernel kills it, awake or not."""
    core = start(stdin=subprocess.PIPE).ready()
    if stopped:
        os.kill(core.process.pid, signal.SIGSTOP)
    core.process.stdin.close()
    core.process.stdin = None
    assert core.process.wait(20) == -signal.SIGKILL


def test_a_release_is_the_one_behind_the_link(start, layout):
    """A service knows its release by where its script really lies, also when the link moves on."""
    shutil.copytree(layout.root / "releases/soul/v1", layout.root / "releases/soul/v7")
    (layout.root / "releases/soul/current").unlink()
    (layout.root / "releases/soul/current").symlink_to("v7")
    soul = start("soul").ready()
    (layout.root / "releases/soul/current").unlink()
    assert json.loads(soul.get("/health")[1])["release"] == "v7"
