"""A real Prometheus sees a target go down, a real Alertmanager says so, and an incident has its evidence and decision."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.control.opening import plane_of
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.store import Incidents
from tests.hostile import free_port
from tests.operating import Site
from tests.support import ROOT, eventually, need_program

pytestmark = pytest.mark.slow
SHIPPED = ROOT / "deploy" / "prometheus"
PATH = "/api/ops/alerts/alertmanager"
LIMIT_S = 60.0


class _Target(BaseHTTPRequestHandler):
    """A service with a health endpoint and metrics."""

    def do_GET(self) -> None:
        body = b"ready" if self.path == "/health" else b"http_requests_total 1\n"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        pass


class _Recorder(BaseHTTPRequestHandler):
    """Keeps what Alertmanager sends, byte for byte."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        pass


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], port: int) -> Iterator[None]:
    """A server of that kind on that port, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running(folder: Path, *argv: str) -> Iterator[None]:
    """A program, until the block ends; what it says lies in a file."""
    with (folder / f"{Path(argv[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


@dataclass
class Bench:
    """A repository that is served, and what was sent to it."""

    site: Site
    url: str
    token: str
    bodies: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = load_settings(self.site.root / "ops.toml", environ={})
        self.plane = plane_of(settings, SystemClock(), "tests")
        self.incidents = Incidents(self.plane, SystemClock(), "tests")

    def events(self) -> tuple[Event, ...]:
        """Of the one incident that people handle; none where there is none yet."""
        found = [one for one in self.incidents.listed() if one.of_people]
        assert len(found) < 2
        return self.incidents.events(found[0].id) if found else ()

    def notes(self) -> list[Any]:
        """What the monitoring system and its look had to say."""
        return [event.data for event in self.events() if event.kind is Kind.NOTED]

    def send(self, body: bytes) -> httpx.Response:
        """Send what Alertmanager sent, as it sent it."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        return httpx.post(self.url + PATH, content=body, headers=headers, timeout=30, trust_env=False)


def monitoring(folder: Path, bench: Bench, *, target: int, recorder: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The shipped configuration, quicker and on free ports: the command lines of both programs."""
    folder.mkdir()
    (folder / "runbook.token").write_text(bench.token + "\n")
    (folder / "runbook.token").chmod(0o600)
    ports = free_port(), free_port()

    def copied(name: str, *changes: tuple[str, str]) -> str:
        text = (SHIPPED / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
        return f"--config.file={folder / name}"

    copied("runbook.rules.yml", ("for: 30s", "for: 0s"))
    prometheus = copied(
        "prometheus.yml", ("15s", "1s"), ("127.0.0.1:9093", f"127.0.0.1:{ports[1]}"), ("127.0.0.1:8100", f"127.0.0.1:{target}"),
    )  # fmt: skip
    alertmanager = copied(
        "alertmanager.yml", ("http://127.0.0.1:8000", bench.url), ("/etc/prometheus/runbook.token", str(folder / "runbook.token")),
        ("group_wait: 10s", "group_wait: 0s"), ("group_interval: 1m", "group_interval: 1s"),
        ("    webhook_configs:\n", f"    webhook_configs:\n      - url: http://127.0.0.1:{recorder}/\n        max_alerts: 50\n"),
    )  # fmt: skip
    return (
        (need_program("prometheus"), prometheus, f"--storage.tsdb.path={folder / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{ports[0]}", "--log.level=warn"),
        (need_program("prometheus-alertmanager"), alertmanager, f"--storage.path={folder / 'alerts'}",
         f"--web.listen-address=127.0.0.1:{ports[1]}", "--cluster.listen-address=", "--log.level=warn"),
    )  # fmt: skip


def repository(root: Path, target: int) -> Site:
    """A repository whose suite `observe` looks at the target."""
    site = Site(root).write()
    text = (root / "ops.toml").read_text(encoding="utf-8").replace('suites = ["daily"', 'suites = ["observe", "daily"')
    text += f'\n[profiles.site.targets.ingest]\nhealth_url = "http://127.0.0.1:{target}/health"\n'
    (root / "ops.toml").write_text(text, encoding="utf-8")
    site.release()
    site.add_person("alertmanager", "alert")
    return site


def test_from_a_rule_to_a_decision(tmp_path: Path) -> None:
    """Fires: incident, evidence, decision, no remedy. Over: noted, still open. Sent again, byte for byte: nothing."""
    need_program("prometheus"), need_program("prometheus-alertmanager")
    target, recorder = free_port(), free_port()
    site = repository(tmp_path / "site", target)
    with ExitStack() as up:
        served = up.enter_context(site.serving())
        bench = Bench(site=site, url=served.url, token=site.tokens["alertmanager"])
        up.enter_context(listening(type("Kept", (_Recorder,), {"bodies": bench.bodies}), recorder))
        for argv in reversed(monitoring(tmp_path / "monitoring", bench, target=target, recorder=recorder)):
            up.enter_context(running(tmp_path / "monitoring", *argv))
        # The target is down from the beginning: nobody listens on its port.
        eventually(lambda: any("the suite" in note["text"] for note in bench.notes()), "a look was taken", LIMIT_S)
        assert any("looked at" in note["text"] for note in bench.notes()), bench.notes()
        events = bench.events()
        declared = events[0].data
        assert (declared["severity"], declared["affected"], declared["source"]) == ("SEV-1", ["ingest"], "alertmanager")
        assert "TargetDown: ingest does not answer" in declared["title"]
        (attached,) = [event.data["run"] for event in events if event.kind is Kind.ATTACHED]
        looked = bench.incidents.events(attached)
        assert {one.kind for one in looked} >= {Kind.OPENED, Kind.DECIDED}
        bad = [(one["code"], one["target"]) for one in looked[0].data["look"]["bad"]]
        assert ("health.not_ok", "ingest") in bad
        decided = next(event for event in looked if event.kind is Kind.DECIDED)
        assert any(one["target"] == "ingest" and one["evidence"] for one in decided.data["decisions"])
        with listening(_Target, target):
            eventually(lambda: any(note["cleared"] for note in bench.notes()), "it is told to be over", LIMIT_S)
        actions = [row.action for row in bench.plane.audit_rows()]
        assert "step.armed" not in actions
        assert actions.count("alert.look_begun") == actions.count("alert.look_ended") == 1
        assert [one.state for one in bench.incidents.listed() if one.of_people] == [State.OPEN]
        replayed(bench)


def replayed(bench: Bench) -> None:
    """Whatever was sent is sent again: it is known, and nothing has changed; without the token it is nothing."""
    firing = [body for body in bench.bodies if json.loads(body)["status"] == "firing"]
    over = [body for body in bench.bodies if json.loads(body)["status"] == "resolved"]
    assert firing
    assert over
    before = [row.hash for row in bench.plane.audit_rows()], bench.events()
    for body in (firing[0], over[-1], firing[0]):
        answer = bench.send(body)
        assert (answer.status_code, answer.json()["status"]) == (202, "known")
    assert ([row.hash for row in bench.plane.audit_rows()], bench.events()) == before
    forged = httpx.post(
        bench.url + PATH, content=firing[0], headers={"content-type": "application/json"}, trust_env=False
    )
    assert forged.status_code == 401
    assert ([row.hash for row in bench.plane.audit_rows()], bench.events()) == before


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("promtool", ("check", "rules", "runbook.rules.yml")),
        ("promtool", ("check", "config", "prometheus.yml")),
        ("amtool", ("check-config", "alertmanager.yml")),
    ],
)
def test_what_is_shipped_is_in_order(program: str, words: tuple[str, ...]) -> None:
    """As the tools of both programs see it."""
    done = subprocess.run(
        [need_program(program), *words], cwd=SHIPPED, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
