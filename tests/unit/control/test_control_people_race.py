"""People at once, as processes of their own: one key counts once, one name is added once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops_core.control.model import Channel, Permit, WindowStatus
from ops_core.control.people import (
    add_operator,
    approve_window,
    keys_problem,
    list_operators,
    make_key,
    request_window,
    sign,
)

ROOT = Path(__file__).parents[3]
PERMIT = Permit(
    run_id="run-1",
    message_ids=("m1",),
    outbox_digest="b" * 64,
    allowlist_digest="a" * 64,
    channel=Channel.CONSOLE_ONLY,
    destination="",
)
RACER = """
import json, sys
from datetime import datetime
from pathlib import Path
from ops_core.clock import ManualClock
from ops_core.control.location import StoreLocation
from ops_core.control.people import add_operator, approve_window, issue_token
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError
told = json.loads(sys.stdin.readline())
place = StoreLocation(path=Path(told["path"]), url=told["url"], password=told["password"])
plane = ControlPlane(place, ManualClock(datetime.fromisoformat(told["now"])), actor="racer", busy_timeout_s=30)
print("ready", flush=True)
sys.stdin.readline()
try:
    if told["act"] == "approve":
        approve_window(plane, operator=told["name"], signature=told["signature"])
    else:
        add_operator(plane, told["name"], public_key=told["public_key"], scopes=["approve"])
except OpsError as error:
    print("no", error.what, flush=True)
else:
    print("yes", flush=True)
"""


def race(plane, acts):
    """What each racer heard, all let go at once."""
    place = plane.location
    shared = {
        "path": str(place.path),
        "url": place.url,
        "password": place.password,
        "now": plane.clock.now().isoformat(),
    }
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in acts
    ]
    try:
        for racer, act in zip(racers, acts, strict=True):
            racer.stdin.write(json.dumps({**shared, **act}) + "\n")
            racer.stdin.flush()
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * len(racers)
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        return [racer.communicate(timeout=60)[0].strip() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


@pytest.fixture
def plane(plane_anywhere):
    """The store lies in a file once, and once in a database."""
    return plane_anywhere


@pytest.fixture
def signatures(plane, tmp_path):
    """The signatures of three people over the window that a fourth one has requested."""
    plane.release("all well")
    files = {name: tmp_path / f"{name}.pem" for name in ("kim", "lee", "park", "choi")}
    for name, path in files.items():
        add_operator(plane, name, key_file=path, scopes=["approve"])
    asked = request_window(plane, lambda _: PERMIT, operator="kim", reason="weekly", duration_s=3600)
    return {name: sign(path, asked.window.permit_digest) for name, path in files.items()}


@pytest.mark.slow
def test_the_same_person_twice_at_once_is_one_key(plane, signatures):
    """Of three processes that give the same person's key, exactly one wins, and it is one key."""
    heard = race(plane, [{"act": "approve", "name": "lee", "signature": signatures["lee"]}] * 3)
    assert sorted(one.split()[0] for one in heard) == ["no", "no", "yes"]
    assert len(plane.state().window.approvals) == 1
    assert [row.action for row in plane.audit_rows()].count("window.approved") == 1


@pytest.mark.slow
def test_two_people_for_the_last_key_are_one_winner(plane, signatures):
    """The window becomes active once, with two keys; who came too late is told so."""
    approve_window(plane, operator="lee", signature=signatures["lee"])
    acts = [{"act": "approve", "name": name, "signature": signatures[name]} for name in ("park", "choi")]
    heard = race(plane, acts)
    assert sorted(one.split()[0] for one in heard) == ["no", "yes"]
    assert any("both keys are given" in one for one in heard)
    state = plane.state()
    assert (state.window.status, len(state.window.approvals)) == (WindowStatus.ACTIVE, 2)
    with plane.snapshot() as found:
        assert keys_problem(found, state.window, plane.clock.now()) == ""
    assert plane.verify_chain()


@pytest.mark.slow
def test_a_name_and_a_key_are_taken_once(plane, tmp_path):
    """Two processes that add the same key, or the same name, leave one operator each time."""
    first, second, third = (make_key(tmp_path / f"{number}.pem") for number in range(3))
    for people in ((("kim", first), ("lee", first)), (("park", second), ("park", third))):
        heard = race(plane, [{"act": "add", "name": name, "public_key": key} for name, key in people])
        assert sorted(one.split()[0] for one in heard) == ["no", "yes"]
    assert len(list_operators(plane)) == 2
