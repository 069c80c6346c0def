"""The embedded stack as a whole: real processes, real faults, and nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from embedded import get, guard, well

from ops_core.clock import ManualClock, SystemClock
from ops_core.config import load_settings, read_secret
from ops_core.drill import sessions
from ops_core.drill.faults import FAULTS
from ops_core.drill.layout import SERVICES
from ops_core.drill.ports import HOST, PortTaken
from ops_core.drill.stack import EmbeddedStack
from ops_core.drill.waiting import Overdue, wait_until
from ops_core.errors import OpsError, UsageError

CLOCK = SystemClock()
REPOSITORY = Path(__file__).parents[2]
OWNER = """
import sys, threading
from pathlib import Path
from ops_core.drill.faults import FAULTS
from ops_core.drill.stack import EmbeddedStack
stack = EmbeddedStack(Path(sys.argv[1]))
stack.start(detached="detached" in sys.argv)
for name in sys.argv[2:]:
    if name in FAULTS:
        FAULTS[name].inject(stack)
print(stack.supervision.pid(), *(stack.process(name).pid for name in stack.ports), flush=True)
if "detached" not in sys.argv:
    threading.Event().wait()
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """One stack for the tests that leave it as they found it."""
    with EmbeddedStack(tmp_path_factory.mktemp("embedded") / "w") as running:
        yield running


def run_owner(work_dir, *words):
    """A process of its own that starts a stack, and the pids of what it started, supervisord's first."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(work_dir), *words], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    with owner.stdout:
        pids = [int(word) for word in owner.stdout.readline().split()]
    assert len(pids) == 1 + len(SERVICES), "the owner did not start its stack"
    return owner, pids


def gone(pids):
    """Whether none of these processes lives."""
    return all(sessions.state(pid) in ("X", "Z") for pid in pids)


def test_a_deployment_counts_after_the_restart(stack):
    """What is deployed is on disk at once, in the process after the restart; each start is in the ledger."""
    before = len(stack.effects("soul"))
    stack.deploy_config("soul", "2.env", {"SLOW_HEALTH_S": "2"})
    stack.deploy_release("soul", "v2", {'"status": "ok"': '"status": "fine"'})
    assert stack.layout.in_force("soul") == ("v2", "2.env")
    assert len(stack.effects("soul")) == before
    stack.restart("soul")
    started = stack.effects("soul")[before:]
    assert [(e.service, e.release, e.config, e.pid) for e in started] == [
        ("soul", "v2", "2.env", stack.process("soul").pid)
    ]
    stack.make_good("soul")
    assert [(e.release, e.config) for e in stack.effects("soul")[before + 1 :]] == [("v1", "1.env")]


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"no such passage": ""}, "occurs 0 times"),
        ({"self": ""}, "occurs "),
        ({"import sys\n": "import\n"}, "not Python"),
    ],
)
def test_a_release_that_is_none_is_not_deployed(stack, patch, message):
    """A patch that does not fit, or makes no Python of it, leaves everything as it was."""
    with pytest.raises(UsageError, match=message):
        stack.deploy_release("core", "v2", patch)
    assert stack.layout.versions_good("core")
    assert not (stack.work_dir / "releases/core/v2").exists()


def test_child_processes_find_the_stack(stack, monkeypatch):
    """With the variables of `environ`, the shipped ops.toml means this stack, and its secret opens the guard."""
    environ = stack.environ()
    settings = load_settings(Path(environ["OPS_CONFIG"]), environ=environ)
    assert settings.profile == "embedded"
    assert settings.drill
    core = settings.target("core-api")
    assert core.health_url == stack.url("core")
    assert core.stream_window_s == 3
    assert read_secret(settings, core.guard_secret, environ={}) == stack.secret
    for spec in SERVICES.values():
        target = settings.target(spec.target)
        assert target.supervisor_conf == stack.layout.supervisor_conf
        assert target.process == spec.name
        assert target.release_link == stack.layout.release_link(spec.name)
        assert target.config_link == stack.layout.config_link(spec.name)
    assert settings.state_dir == stack.state_dir
    assert settings.reports_dir == stack.reports_dir


def test_the_secret_is_in_no_log_and_no_command_line(stack):
    """Besides the operator's copy and core's configuration the secret is nowhere."""
    guard(stack)
    holders = {p for p in stack.work_dir.rglob("*") if p.is_file() and stack.secret.encode() in p.read_bytes()}
    links = {stack.layout.config_link("core"), stack.work_dir / "config/core/1.env"}
    assert holders == {stack.layout.secret_file, *links}
    for pid in (stack.supervision.pid(), *(stack.process(service).pid for service in SERVICES)):
        for file in ("cmdline", "environ"):
            assert stack.secret.encode() not in Path(f"/proc/{pid}/{file}").read_bytes()


def test_services_do_not_inherit_the_operators_environment(tmp_path, monkeypatch):
    """What the operator has in the environment stays there."""
    monkeypatch.setenv("OPERATORS_TOKEN", "t0ken")
    with EmbeddedStack(tmp_path / "w") as stack:
        for pid in (stack.supervision.pid(), *(stack.process(service).pid for service in SERVICES)):
            assert b"t0ken" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_everything_is_on_loopback(stack):
    """No service listens where another machine could reach it."""
    inodes = set()
    for service in SERVICES:
        for descriptor in Path(f"/proc/{stack.process(service).pid}/fd").iterdir():
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    tables = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    sockets = [words for words in (line.split() for line in tables) if words[9] in inodes and words[3] == "0A"]
    listening = [words[1].rpartition(":")[0] for words in sockets]
    assert listening == ["0100007F"] * len(SERVICES)


def test_supervisorctl_understands_the_configuration(stack):
    """The supervisor's own tool works with the stack, as runbooks and drivers use it."""
    argv = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(stack.layout.supervisor_conf), "status"]
    shown = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert shown.returncode == 0
    assert [line.split()[:2] for line in shown.stdout.splitlines()] == [[s, "RUNNING"] for s in sorted(SERVICES)]


def test_stopping_leaves_nothing_behind(tmp_path):
    """After stop there is no process and no listener; stopping again is no error, and neither is starting again."""
    stack = EmbeddedStack(tmp_path / "w")
    stack.stop()
    for _ in range(2):
        stack.start()
        pids = [stack.supervision.pid(), *(stack.process(service).pid for service in SERVICES)]
        ports = stack.ports
        stack.stop()
        stack.stop()
        assert gone(pids)
        assert not stack.running
        for port in ports.values():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((HOST, port), timeout=3)


def test_stopping_is_quick_also_with_a_frozen_service(tmp_path):
    """A service that was stopped by a signal is woken to hear that it is to end."""
    stack = EmbeddedStack(tmp_path / "w")
    stack.start()
    FAULTS["frozen"].inject(stack)
    pids = [stack.supervision.pid(), *(stack.process(service).pid for service in SERVICES)]
    stack.stop()
    assert gone(pids)


def test_a_hanging_supervisor_is_ended_all_the_same(tmp_path):
    """A stopped supervisord is woken, and a dead one is no obstacle."""
    for harm in (signal.SIGSTOP, signal.SIGKILL):
        stack = EmbeddedStack(tmp_path / "w")
        stack.start()
        pids = [stack.supervision.pid(), *(stack.process(service).pid for service in SERVICES)]
        os.kill(pids[0], harm)
        stack.stop()
        assert gone(pids)


@pytest.mark.parametrize("fault", ["", "frozen", "secret-missing"])
def test_nothing_survives_an_owner_that_is_killed(tmp_path, fault):
    """When the process that started a stack dies by SIGKILL, supervisord and all services go down with it."""
    owner, pids = run_owner(tmp_path / "w", fault)
    assert not gone(pids)
    owner.kill()
    owner.wait()
    wait_until(lambda: gone(pids), CLOCK, 20, "orphans survive")
    with EmbeddedStack(tmp_path / "w") as again:
        assert well(again)


def test_nothing_survives_while_the_supervisor_hangs(tmp_path):
    """The kernel does the ending: a supervisord that is stopped cannot and need not do anything for it."""
    owner, pids = run_owner(tmp_path / "w")
    os.kill(pids[0], signal.SIGSTOP)
    owner.kill()
    owner.wait()
    wait_until(lambda: gone(pids), CLOCK, 20, "orphans survive")


@pytest.mark.parametrize("fault", ["", "frozen"])
def test_services_do_not_survive_a_supervisor_that_is_killed(tmp_path, fault):
    """When supervisord dies by SIGKILL, the kernel ends the services, awake or not, at once."""
    owner, pids = run_owner(tmp_path / "w", fault)
    try:
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: gone(pids), CLOCK, 20, "orphans survive")
    finally:
        owner.kill()
        owner.wait()


def test_a_stack_outlives_the_thread_that_started_it(tmp_path):
    """A stack belongs to its process, not to the thread that happened to start it."""
    stack = EmbeddedStack(tmp_path / "w")
    starter = threading.Thread(target=stack.start)
    starter.start()
    starter.join()
    try:
        # The kernel's end of the thread, which is what a death signal would go by, comes after join.
        task = Path(f"/proc/self/task/{starter.native_id}")
        wait_until(lambda: not task.exists(), CLOCK, 20, "the thread does not end")
        # Had it been told to end, it would do so when it is woken.
        stack.supervision.nudge()
        assert stack.running
        assert well(stack)
    finally:
        stack.stop()


def test_a_detached_stack_stays_until_it_is_taken_down(tmp_path):
    """A detached stack outlives its starter; another process finds it, breaks it, heals it and takes it down."""
    owner, pids = run_owner(tmp_path / "w", "detached")
    try:
        assert owner.wait(20) == 0
        stack = EmbeddedStack.attach(tmp_path / "w")
        assert stack.running
        assert well(stack)
        FAULTS["killed"].inject(stack)
        FAULTS["killed"].withdraw(stack)
        with pytest.raises(UsageError, match="runs there already"):
            EmbeddedStack(tmp_path / "w").start()
        assert well(stack)
        stack.stop()
        assert gone(pids)
        stack.stop()
    finally:
        sessions.send(pids[0], tmp_path, signal.SIGKILL)
    with pytest.raises(UsageError, match="no embedded stack runs there"):
        EmbeddedStack.attach(tmp_path / "w")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "socket": "/nowhere", "ports": {}}'])
def test_a_damaged_note_about_the_stack_is_no_stack(tmp_path, text):
    """Whatever stands in stack.json, attaching says that none runs there."""
    (tmp_path / "stack.json").write_text(text)
    with pytest.raises(UsageError, match="no embedded stack runs there"):
        EmbeddedStack.attach(tmp_path)


def test_up_says_who_has_a_declared_port(tmp_path):
    """When a declared port is taken, the error names target, port, holder and the way out, and nothing was started."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            EmbeddedStack.up(tmp_path / "w", environ={"OPS_SOUL_PORT": str(port), "OPS_CORE_PORT": "18410"})
    assert f"port {port} of soul-engine cannot be used: Address already in use" in str(caught.value)
    assert f"held by process {os.getpid()} " in caught.value.where
    assert caught.value.next_step == "stop its holder, or choose another port: export OPS_SOUL_PORT=…"
    assert not (tmp_path / "w/stack.json").exists()


def test_up_uses_the_declared_ports(tmp_path):
    """The stack answers on the ports that the environment declares."""
    with EmbeddedStack(tmp_path / "probe") as free:
        ports = free.ports
    environ = {spec.port_variable: str(ports[name]) for name, spec in SERVICES.items()}
    with EmbeddedStack.up(tmp_path / "w", environ=environ) as stack:
        assert stack.ports == ports
        assert well(stack)


def test_two_stacks_run_side_by_side(tmp_path):
    """Stacks started at the same time in different directories know nothing of each other."""
    stacks = [EmbeddedStack(tmp_path / name) for name in ("a", "b")]
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda s: s.start(), stacks))
        assert not set(stacks[0].ports.values()) & set(stacks[1].ports.values())
        assert stacks[0].secret != stacks[1].secret
        FAULTS["secret-missing"].inject(stacks[0])
        assert well(stacks[1])
        assert get(stacks[1], "/api/revalidate/status", stacks[0].secret) == 401
        stacks[0].stop()
        assert well(stacks[1])
    finally:
        for stack in stacks:
            stack.stop()


def test_one_directory_holds_one_stack(tmp_path):
    """A second start in the same directory is refused and does not disturb the first."""
    with EmbeddedStack(tmp_path / "w") as first:
        with pytest.raises(UsageError, match="runs there already"):
            EmbeddedStack(tmp_path / "w").start()
        with pytest.raises(UsageError, match="runs there already"):
            first.start()
        assert well(first)


@pytest.mark.parametrize("folder", ["with space", "100%", "it's", "한국어", "a" * 120, "#1 (x)"])
def test_the_directory_may_be_called_anything(tmp_path, folder):
    """Odd names and paths too long for a unix socket work, and no folder for temporary files is left."""
    with EmbeddedStack(tmp_path / folder) as stack:
        assert well(stack)
        stack.restart("core")
        assert well(stack)
        socket_path = stack.supervision.path
        assert socket_path.exists()
    assert not socket_path.exists()
    assert socket_path.parent == stack.work_dir or not socket_path.parent.exists()


def test_what_a_killed_stack_left_is_removed_by_the_next(tmp_path):
    """A socket outside the directory, left by a stack that was killed, goes when the next one starts."""
    work_dir = tmp_path / ("a" * 120)
    owner, pids = run_owner(work_dir)
    left = EmbeddedStack.attach(work_dir).supervision.path.parent
    owner.kill()
    owner.wait()
    wait_until(lambda: gone(pids), CLOCK, 20, "orphans survive")
    assert left.exists()
    with EmbeddedStack(work_dir) as again:
        assert again.supervision.path.parent != left
        assert not left.exists()


def test_a_service_that_does_not_come_up_is_named(tmp_path, monkeypatch):
    """When a service never answers, the error names it and its log, and nothing is left running."""
    from ops_core.drill import layout

    monkeypatch.setattr(layout.Layout, "shipped_source", staticmethod(lambda module: "import time\ntime.sleep(60)\n"))
    stack = EmbeddedStack(tmp_path / "w", clock=ManualClock(datetime(2026, 1, 4, tzinfo=UTC)))
    with pytest.raises(Overdue, match="core does not answer 200 within 20 seconds") as caught:
        stack.start()
    assert caught.value.where == str(tmp_path / "w" / "logs")
    assert not stack.running


def test_a_supervisor_that_does_not_start_is_said(tmp_path, monkeypatch):
    """When supervisord ends at once, so does the waiting, and the error says where to look."""
    from ops_core.drill.layout import Layout

    monkeypatch.setattr(Layout, "supervisor_text", lambda *_: "nonsense")
    with pytest.raises(OpsError, match="supervisord ended at once"):
        EmbeddedStack(tmp_path / "w").start()
