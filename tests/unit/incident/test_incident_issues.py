"""Issues about incidents: made once, only where real effects are permitted, and never again by themselves."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from incident_world import World
from support import eventually

from ops_core.config import load_settings
from ops_core.errors import OpsError, Refused, UsageError
from ops_core.incident import changelogs, issues, opening
from ops_core.incident.events import Kind
from ops_core.incident.handling import Responses, Saying
from ops_core.incident.loop import incident_view
from ops_core.incident.severity import Scenario, Severity

TOKEN = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
MADE = {"number": 7, "html_url": "https://github.example/o/r/issues/7"}


class Github:
    """A server that stands in for api.github.com, and keeps what it was asked."""

    def __init__(self):
        outer = self
        self.asked = []
        self.hold = threading.Event()
        self.hold.set()
        self.answer = (201, json.dumps(MADE).encode())

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((self.path, dict(self.headers), body))
                code, answer = outer.answer
                outer.hold.wait(30)
                if code == 0:
                    self.connection.close()
                    return
                with contextlib.suppress(OSError):
                    self.send_response(code)
                    self.send_header("content-length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def server():
    github = Github()
    yield github
    github.close()


@pytest.fixture
def github(server):
    server.asked.clear()
    server.answer = (201, json.dumps(MADE).encode())
    return server


@pytest.fixture
def world(tmp_path, github):
    world = World(tmp_path)
    config = tmp_path / "ops.toml"
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    table = f'[profiles.default.issues]\nurl = "{github.url}"\nrepository = "o/r"\ntoken = "GITHUB"\n'
    secrets = f'[profiles.default.secrets]\nGITHUB = {{ file = "{secret}" }}\n'
    config.write_text(config.read_text() + table + secrets)
    world.settings = load_settings(config, environ={})
    return world


def opened(world, **changes):
    fields = {"title": f"orders fail {TOKEN}", "severity": Severity.SEV2, "scenario": Scenario.RELEASE}
    facts = {"source": "hand", "key": "", "affected": ("/api",), "version": "1.4.2", "actor": "kim"}
    return opening.open_incident(world.settings, world.plane, world.clock, **{**fields, **facts, **changes}).id


def issue_of(world, incident):
    return issues.issue_of(world.settings, world.plane, world.clock, incident, "en", world.said.append)


def create(world, incident):
    return issues.create_issue(world.settings, world.plane, world.clock, issue_of(world, incident))


def states(world, incident):
    return [event.data["state"] for event in world.incidents.events(incident) if event.kind is Kind.ISSUE]


def test_it_is_made_once(world, github):
    """With the token in its header, and nowhere in what is said or recorded; asked again, it is refused."""
    world.permit("REAL_ENABLED")
    one = opened(world)
    made = create(world, one)
    assert (made.state, made.detail) == ("created", MADE["html_url"])
    (path, headers, body), *more = github.asked
    assert not more
    assert path == "/repos/o/r/issues"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert "Incident report" in body["body"]
    assert TOKEN not in json.dumps(body)
    with pytest.raises(Refused, match="was made already"):
        create(world, one)
    assert len(github.asked) == 1
    assert states(world, one) == ["armed", "created"]
    assert TOKEN not in (made.detail + repr(issues.issue_maker(world.settings)))


@pytest.mark.parametrize("gate", ["MOCK_ONLY", "DRY_RUN"])
def test_only_where_real_effects_are_permitted(world, github, gate):
    """Not in a drill's MOCK_ONLY either, and not while the stop is engaged: nothing is recorded, nothing sent."""
    one = opened(world)
    with pytest.raises(Refused):
        create(world, one)
    world.permit(gate)
    with pytest.raises(Refused):
        create(world, one)
    world.plane.set_gate("REAL_ENABLED", "now")
    world.plane.engage("smoke")
    with pytest.raises(Refused):
        create(world, one)
    assert github.asked == []
    assert states(world, one) == []


def test_what_was_interrupted_is_unknown_and_not_made_again(world, github):
    """Armed without an end: it may be there. A person looks, and says where it is."""
    world.permit("REAL_ENABLED")
    one = opened(world)
    incidents = world.incidents
    incidents.events(one)
    incidents.append(one, Kind.ISSUE, {"state": "armed", "detail": "o/r", "by": "kim"})
    for _ in range(2):
        with pytest.raises(Refused, match="may have been made already"):
            create(world, one)
    assert states(world, one) == ["armed", "unknown"]
    assert github.asked == []
    with pytest.raises(UsageError, match="is no address"):
        issues.say_created(world.plane, world.clock, issue_of(world, one), "there")
    issues.say_created(world.plane, world.clock, issue_of(world, one), "https://github.example/o/r/issues/9")
    with pytest.raises(Refused, match="was made already"):
        create(world, one)


def test_a_program_that_is_killed_while_it_asks_is_not_repeated(world, github, tmp_path):
    """Killed for real between asking and the answer: UNKNOWN, refused, and the server is asked once."""
    world.permit("REAL_ENABLED")
    one = opened(world)
    github.hold.clear()
    argv = [sys.executable, "-m", "ops_core.cli", "incident", "issue", one, "--create"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPS_CONFIG": str(tmp_path / "ops.toml")}
    try:
        with subprocess.Popen(argv, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as maker:
            eventually(lambda: bool(github.asked) or maker.poll() is not None, "the server is asked")
            maker.kill()
            maker.communicate()
    finally:
        github.hold.set()
    assert states(world, one) == ["armed"]
    with pytest.raises(Refused, match="may have been made already"):
        create(world, one)
    assert states(world, one) == ["armed", "unknown"]
    assert len(github.asked) == 1


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ((422, b'{"message": "no issues here"}'), "failed"),
        ((401, b"{}"), "failed"),
        ((302, b""), "failed"),
        ((500, b"{}"), "unknown"),
        ((200, b"{}"), "unknown"),
        ((201, b"no json"), "created"),
        ((0, b""), "unknown"),
    ],
)
def test_how_it_ended_is_said_as_it_is_known(world, github, answer, state):
    """Refused is certain and may be tried again by a person; everything else that is not 201 may have made one."""
    world.permit("REAL_ENABLED")
    one = opened(world)
    github.answer = answer
    assert create(world, one).state == state
    github.answer = (201, json.dumps(MADE).encode())
    if state == "failed":
        assert create(world, one).state == "created"
    else:
        with pytest.raises(Refused):
            create(world, one)
    assert len(github.asked) == (2 if state == "failed" else 1)


def test_of_two_who_make_it_at_once_one_does(world, github):
    """Arming is added behind what was last recorded about it: the other one's is a conflict, and sends nothing."""
    world.permit("REAL_ENABLED")
    one = opened(world)
    issue = issue_of(world, one)
    ends = []

    def make():
        try:
            ends.append(issues.create_issue(world.settings, world.plane, world.clock, issue).state)
        except OpsError as error:
            ends.append(type(error).__name__)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(github.asked) == 1
    assert ends.count("created") == 1


def test_an_incident_of_the_loop_has_one_too(world, github):
    """Once it has ended; the loop is never disturbed, and its reports are read as before."""
    world.permit()
    world.deploy()
    run = world.run()
    world.plane.set_gate("REAL_ENABLED", "now")
    assert create(world, run.incident_id).state == "created"
    assert "guard.open" in github.asked[0][2]["title"]
    assert incident_view(world.settings, world.plane, world.clock, run.incident_id).state == "recovered"


def test_without_a_repository_it_is_said_what_to_write(world, github, tmp_path):
    """A missing key is named; a token without a value too; nothing is armed."""
    world.permit("REAL_ENABLED")
    one = opened(world)
    (tmp_path / "token").unlink()
    with pytest.raises(OpsError, match="has no value"):
        create(world, one)
    config = tmp_path / "ops.toml"
    config.write_text(config.read_text().replace('repository = "o/r"\n', ""))
    world.settings = load_settings(config, environ={})
    with pytest.raises(UsageError, match="no repository is named"):
        create(world, one)
    assert states(world, one) == []


def changelog(world, incident, path: Path, text=""):
    entry = changelogs.entry_of(world.plane, world.clock, incident, text, "en")
    return changelogs.write_entry(world.plane, world.clock, incident, entry, path)


def test_the_changelog_tells_of_what_a_release_caused(world, tmp_path):
    """Added once, recorded once, and the checklist's item is answered by it."""
    one = opened(world)
    path = tmp_path / "CHANGELOG.md"
    path.write_text("# Changelog\n\n## [Unreleased]\n")
    with pytest.raises(Refused, match="nobody has said what users noticed"):
        changelog(world, one, path)
    people = Responses(world.plane, world.clock, "kim")
    people.update(one, Saying(answers={"impact.users": "orders failed", "cause.confirmed": "a lost index"}))
    assert changelog(world, one, path)
    assert not changelog(world, one, path)
    assert path.read_text().count(f"- orders failed: a lost index (incident {one})") == 1
    assert [e.kind for e in world.incidents.events(one)].count(Kind.CHANGELOG) == 1
    assert people.get(one).answers("changelog")
    with pytest.raises(Refused, match="that a release caused"):
        changelog(world, opened(world, scenario=Scenario.REDIS), path, "x")
    with pytest.raises(OpsError, match="cannot be read"):
        changelog(world, one, tmp_path / "nowhere.md")
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        changelog(world, one, path)
