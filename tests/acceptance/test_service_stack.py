"""The reference service on a real PostgreSQL and Redis, as a client with curl sees it; and that it leaves nothing."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import eventually, need_program

from ops_core.drill.ingest.callers import token_for
from ops_core.drill.ports import HOST, Reservation
from ops_core.drill.service_layout import INGEST, SERVICES
from ops_core.drill.service_stack import ServiceStack
from ops_core.errors import UsageError

OWNER = """
import sys
from pathlib import Path
from ops_core.drill.service_stack import ServiceStack
stack = ServiceStack(Path(sys.argv[1]))
stack.start()
print(stack.supervision.pid(), *(stack.process(one).pid for one in stack.ports), stack.layout.place, flush=True)
sys.stdin.read()
"""


def need_servers() -> None:
    from postgresql import program

    program("initdb")
    need_program("redis-server")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """One stack for all that leave it as it was."""
    need_servers()
    with ServiceStack(tmp_path_factory.mktemp("service") / "w") as running:
        yield running


@pytest.fixture
def key(stack):
    """What a caller brings."""
    return {"X-API-Key": stack.secret("API_KEY")}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def raw(stack, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """What comes back for bytes on the wire."""
    import socket

    with socket.create_connection((HOST, stack.ports[INGEST]), timeout=10) as line:
        line.sendall(request)
        response = http.client.HTTPResponse(line)
        response.begin()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def logged(stack, request_id: str) -> list[dict]:
    lines = [json.loads(line) for line in stack.layout.log_file.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("request_id") == request_id]


def test_items_come_in_and_are_read(stack, key):
    """A batch is stored whole, the newest come first, and anybody may read as many as the limit says."""
    assert stack.ask("/api/ingest", {"items": [{"n": 1}, {"n": 2}, {"n": 3}]}, key) == (202, {"accepted": 3})
    status, body = stack.ask("/api/items?limit=2")
    assert status == 200
    assert [item["payload"] for item in body["items"]] == [{"n": 3}, {"n": 2}]


def test_who_may_write(stack, key):
    """Who has the key or a token that the service signed; nobody else."""
    batch = {"items": [{}]}
    good = token_for("alice", stack.secret("JWT_SECRET"), time.time() + 60)
    assert stack.ask("/api/ingest", batch, {"Authorization": f"Bearer {good}"})[0] == 202
    old = token_for("alice", stack.secret("JWT_SECRET"), time.time() - 1)
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": f"Bearer {old}"}, {"Authorization": "Basic eDp5"}):
        status, body = stack.ask("/api/ingest", batch, headers)
        assert (status, body["error"]["code"]) == (401, "UNAUTHORIZED")


def test_what_is_larger_than_promised_is_refused(stack, key):
    """Bodies and batches, whether their length is announced or not, and before anything of them is stored."""
    most = stack.layout.good_settings(INGEST)
    items, size = int(most["INGEST_MAX_BATCH_ITEMS"]), int(most["MAX_REQUEST_BODY_BYTES"])
    assert stack.ask("/api/ingest", {"items": [{}] * items}, key)[0] == 202
    for body in ({"items": [{}] * (items + 1)}, {"items": [{"text": "x" * size}]}, b" " * (size + 1)):
        status, answer = stack.ask("/api/ingest", body, key)
        assert (status, answer["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    head = f"POST /api/ingest HTTP/1.1\r\nHost: x\r\nX-API-Key: {key['X-API-Key']}\r\n"
    announced = f"{head}Content-Length: {size + 1}\r\n\r\n".encode()
    chunk = b"%x\r\n%s\r\n" % (size // 2 + 1, b"x" * (size // 2 + 1))
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + 2 * chunk
    for request in (announced, chunked):
        status, _, answer = raw(stack, request)
        assert (status, json.loads(answer)["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


NOT_BATCHES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"items": 1}',
    b'{"items": [1]}',
    b'{"items": null}',
    b'{"items": [{"a": NaN}]}',
    b'{"items": [{"a": "\\u0000"}]}',
    b'{"items": [{"a": "\\ud800"}]}',
    b'{"items": [{"a": 1e400000}]}',
    b'{"items": [{"a": ' + b"9" * 5000 + b"}]}",
    b"[" * 60_000,
    b'{"items": [{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}]}",
    b"\xff\xfe\x00",
]


@pytest.mark.parametrize("body", NOT_BATCHES, ids=lambda body: repr(body[:24]))
def test_bad_input_is_the_callers_fault(stack, key, body):
    """Nothing that can be sent is answered with a 5xx."""
    status, answer = stack.ask("/api/ingest", body, key)
    assert 400 <= status < 500
    assert answer["error"]["code"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=٣", "limit=", "limit=1e3"])
def test_a_bad_limit_is_refused(stack, query):
    """A limit is a whole number in its range."""
    from urllib.parse import quote

    status, answer = stack.ask(f"/api/items?{quote(query, safe='=')}")
    assert (status, answer["error"]["code"]) == (422, "BAD_LIMIT")


def test_unknown_paths_and_methods_are_refused_in_the_same_form(stack):
    """With a code, and without becoming a series of their own."""
    assert stack.ask("/no/such")[1]["error"]["code"] == "NOT_FOUND"
    assert stack.ask("/api/items", b"")[1]["error"]["code"] == "METHOD_NOT_ALLOWED"
    page = stack.text("/metrics")
    assert 'path="other"' in page
    assert "/no/such" not in page


def test_an_id_goes_all_the_way(stack):
    """A caller's id comes back and is in the log; without a usable one the service makes one."""
    _, headers, _ = raw(stack, b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc.DEF-1\r\n\r\n")
    assert headers["x-request-id"] == "abc.DEF-1"
    eventually(lambda: len(logged(stack, "abc.DEF-1")) == 1, "the request is in the log")
    line = logged(stack, "abc.DEF-1")[0]
    assert (line["method"], line["path"], line["status"]) == ("GET", "/health/live", 200)
    for given in (b"", b"X-Request-Id: a b\r\n", b"X-Request-Id: " + b"x" * 65 + b"\r\n", b'X-Request-Id: "}\r\n'):
        _, headers, _ = raw(stack, b"GET /no HTTP/1.1\r\nHost: x\r\n" + given + b"\r\n")
        assert len(headers["x-request-id"]) == 16
        made = headers["x-request-id"]
        eventually(lambda made=made: len(logged(stack, made)) == 1, "the request is in the log")


def test_requests_are_measured(stack):
    """In the names that Prometheus expects: a counter by status, a histogram of seconds."""
    series = 'http_requests_total{method="GET",path="/health/live",status="200"}'

    def count() -> float:
        found = [line for line in stack.text("/metrics").splitlines() if line.startswith(series)]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    before = count()
    assert stack.status(INGEST, "/health/live") == 200
    assert count() == before + 1
    assert 'http_request_duration_seconds_bucket{le="0.4",method="GET",path="/health/live"}' in stack.text("/metrics")
    assert "process_start_time_seconds" in stack.text("/metrics")


def test_no_secret_is_in_the_log_or_in_a_process_list(stack, key):
    """Neither with a right key nor with a wrong one."""
    stack.ask("/api/ingest", b"x", key)
    stack.ask("/api/ingest", b"x", {"X-API-Key": "wrong-but-secret"})
    log = stack.layout.log_file.read_text()
    lists = [Path(f"/proc/{stack.process(one).pid}/cmdline").read_bytes().decode() for one in stack.ports]
    for secret in (*stack.secrets_environ().values(), "wrong-but-secret"):
        assert secret not in log
        assert not [line for line in lists if secret in line]


def test_without_redis_the_limit_is_stricter_and_readiness_says_so(stack, key):
    """Documented: each process counts for itself, a tenth; it heals by itself when Redis is back."""
    stack.deploy_config(INGEST, "2.env", {"RATE_LIMIT_PER_MINUTE": "50"})
    stack.restart(INGEST)
    try:
        stack.supervision.stop("redis")
        status, body = stack.ask("/health/ready")
        assert (status, body["status"], body["away"], body["documented"]) == (503, "degraded", ["redis"], True)
        # A new minute may begin meanwhile, and with it a new count.
        statuses = [stack.ask("/api/ingest", {"items": [{}]}, key)[0] for _ in range(12)]
        assert statuses[:5] == [202] * 5
        assert 429 in statuses
        stack.launch("redis")
        eventually(lambda: stack.ready() == (200, "ready"), "the service is ready again")
    finally:
        stack.make_good(INGEST)


def test_the_limit_is_kept_with_redis(stack, key):
    """Beyond it a caller is told when to come back; others are not affected."""
    stack.deploy_config(INGEST, "2.env", {"RATE_LIMIT_PER_MINUTE": "5"})
    stack.restart(INGEST)
    try:
        statuses = [stack.ask("/api/ingest", {"items": [{}]}, key)[0] for _ in range(11)]
        assert 429 in statuses
        token = token_for("bob", stack.secret("JWT_SECRET"), time.time() + 60)
        assert stack.ask("/api/ingest", {"items": [{}]}, {"Authorization": f"Bearer {token}"})[0] == 202
    finally:
        stack.make_good(INGEST)


def test_degraded_mode_refuses_writes_and_keeps_reading(stack, key):
    """And goes on refusing what is too large as such."""
    stack.deploy_config(INGEST, "2.env", {"DEGRADED_MODE": "1"})
    stack.restart(INGEST)
    try:
        status, body = stack.ask("/health/ready")
        assert (status, body["status"], body["away"]) == (503, "degraded", [])
        status, body = stack.ask("/api/ingest", {"items": [{}]}, key)
        assert (status, body["error"]["code"]) == (503, "DEGRADED")
        assert stack.ask("/api/items")[0] == 200
        assert stack.ask("/api/ingest", {"items": [{}] * 101}, key)[0] == 413
    finally:
        stack.make_good(INGEST)


def test_a_database_that_is_away_is_said_at_once(stack, key):
    """Neither readers nor writers wait for it."""
    stack.supervision.stop("database")
    try:
        assert stack.ready() == (503, "degraded")
        status, body = stack.ask("/api/ingest", {"items": [{}]}, key)
        assert (status, body["error"]["code"]) == (503, "DEGRADED")
    finally:
        stack.make_good("database")


def test_connections_from_before_a_restart_fail_nobody(stack):
    """Whoever asks first after the database came back is answered."""
    asked = ["/api/items"] * 8
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert {answer[0] for answer in pool.map(stack.ask, asked)} == {200}
        stack.supervision.stop("database")
        stack.launch("database")
        eventually(stack._database_answers, "the database answers")
        assert {answer[0] for answer in pool.map(stack.ask, asked)} == {200}


def test_all_of_it_is_real_and_on_this_machine_only(stack):
    """Three servers listen on loopback; PostgreSQL does not run as root and asks for the password."""
    import psycopg

    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(stack.layout.database_url(), password="wrong", connect_timeout=5).close()
    pid = stack.process("database").pid
    assert Path(f"/proc/{pid}").stat().st_uid != 0
    listening = {
        words[1].split(":")[0]
        for words in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        if words[3] == "0A" and int(words[1].split(":")[1], 16) in stack.ports.values()
    }
    assert listening == {"0100007F"}


def test_it_can_be_found_by_others(stack):
    """`attach` speaks to the same processes; a second stack in the same place is refused."""
    other = ServiceStack.attach(stack.work_dir)
    assert other.ports == stack.ports
    assert other.process("database").pid == stack.process("database").pid
    with pytest.raises(UsageError, match="another service stack runs there already"):
        ServiceStack(stack.work_dir).start()
    assert stack.ready() == (200, "ready")


@pytest.mark.parametrize("how", ["stop", "owner killed"])
def test_nothing_is_left_behind(tmp_path, how):
    """Neither processes nor PostgreSQL's files outside, also when the owner is killed."""
    need_servers()
    argv = [sys.executable, "-c", OWNER, str(tmp_path / "w")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        *pids, place = owner.stdout.readline().split()
        assert all(alive(int(pid)) for pid in pids)
        if how == "stop":
            ServiceStack.attach(tmp_path / "w").stop()
            assert not Path(place).exists()
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not any(alive(int(pid)) for pid in pids), "all of it ends")
    if how != "stop":
        # Nobody was left to remove the files: the next start does.
        with ServiceStack(tmp_path / "w") as again:
            assert again.ready() == (200, "ready")
        assert not Path(place).exists()


def test_it_stays_up_for_people_who_try_things(tmp_path):
    """`ops drill up service` leaves it running on the ports that ops.toml names; faults go in and out; `down` ends it."""
    need_servers()
    folders = {name: str(tmp_path / name) for name in ("CONTROL", "STATE", "REPORTS", "LOGS")}
    free = Reservation(None, SERVICES)
    ports = {spec.port_variable: str(free.ports[name]) for name, spec in SERVICES.items()}
    free.release()
    environ = {
        **os.environ,
        **ports,
        **{f"OPS_{name}_DIR": folder for name, folder in folders.items()},
        "OPS_SERVICE_DIR": str(tmp_path / "w"),
    }

    def drill(*words):
        argv = [sys.executable, "-P", "-m", "ops_core.cli", "drill", *words]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=120)

    try:
        up = drill("up", "service")
        assert up.returncode == 0, up.stderr
        assert "ops observe --suite service --profile service" in up.stdout
        told = json.loads(drill("status", "service", "--json").stdout)
        assert told["ports"] == {name: int(ports[spec.port_variable]) for name, spec in SERVICES.items()}
        stack = ServiceStack.attach(tmp_path / "w")
        assert drill("inject", "redis-stopped").returncode == 0
        assert stack.ready() == (503, "degraded")
        assert drill("withdraw", "redis-stopped").returncode == 0
        assert stack.ready() == (200, "ready")
    finally:
        down = drill("down", "service")
    assert (down.returncode, down.stdout) == (0, "the service stack is down\n")
    assert drill("status", "service").returncode == 64
