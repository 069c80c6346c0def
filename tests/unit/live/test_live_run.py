"""Live cycles over real bundles: what they find, what they show, what they leave behind."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops_core.control import files
from ops_core.control.running import open_works
from ops_core.live import receipts
from ops_core.live.run import LiveCycleRunning, preview, run
from tests.handing import Host, Hosts

NAMES = itertools.count()
MORE = 'decision_file = "recon_summary.json"\n'


class Console:
    """Keeps what is shown on it; what it is told to do first may break it."""

    def __init__(self, first: Callable[[], Any] = lambda: None, problem: str = "") -> None:
        self.first, self.problem = first, problem
        self.shown: list[str] = []

    def __call__(self, text: str) -> str:
        self.first()
        self.shown.append(text)
        return self.problem


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """A producer that has published."""
    made = Hosts(tmp_path_factory.mktemp("live") / "hosts")
    made.published(decision="HOLD")
    return made


@pytest.fixture
def host(hosts: Hosts) -> Host:
    """An operator's host with that bundle in force."""
    return taking(hosts)


def taking(hosts: Hosts, more: str = MORE) -> Host:
    """A new operator's host that took what there is."""
    one = hosts.operator(f"oci{next(NAMES)}", more=more)
    assert one.pull()["outcome"] == "INSTALLED"
    return one


def latest(host: Host) -> dict[str, Any] | None:
    """The receipt that is told as the latest."""
    with host.plane.snapshot() as found:
        return receipts.latest(found)


def actions(host: Host) -> list[str]:
    """What was recorded of live cycles, in its order."""
    return [row.action for row in host.plane.audit_rows() if row.action.startswith("live_cycle.")]


def file_in_force(host: Host) -> Path:
    """A file of the bundle in force."""
    return host.bundles / host.whole() / "files" / "recon_summary.json"


def test_a_whole_and_fresh_bundle_is_previewed_on_the_console(host: Host) -> None:
    """The receipt says what was decided, by which bundle, in which modes, and is found again as it was told."""
    console = Console()
    receipt = run(host.settings, host.plane, show=console)
    bundle = host.whole()
    assert (receipt["result"], receipt["decision"], receipt["bundle_id"]) == ("OK", "HOLD", bundle)
    assert receipt["decision_ref"] == f"bundle/{bundle}/recon_summary.json"
    assert receipt["snapshot_ref"] == f"live_cycle/{receipt['run_id']}"
    assert receipt["push"]["delivery_actual"] == "CONSOLE"
    assert console.shown == ["\n".join(receipt["push"]["lines"])]
    assert "decision HOLD" in console.shown[0]
    assert receipt["observed_modes"]["external_send"] == "FORBIDDEN"
    assert receipt["checkpoint"]["signature"]
    assert latest(host) == receipt
    assert actions(host) == ["live_cycle.begun", "live_cycle.shown", "live_cycle.ended"]
    assert open_works(host.plane) == ()


def test_a_bundle_is_shown_once_a_day(host: Host) -> None:
    """The same bundle on the same day is delivered by nobody again, whoever asks; on the next day it is."""
    console = Console()
    first = run(host.settings, host.plane, show=console)
    again = run(host.settings, host.plane, show=console)
    told = f"already delivered by run {first['run_id']}"
    assert (again["result"], again["push"]) == ("OK", {"delivery_actual": "NONE", "reason": told, "lines": []})
    host.wait(24)
    assert run(host.settings, host.plane, show=console)["push"]["delivery_actual"] == "CONSOLE"
    assert len(console.shown) == 2


def test_a_stale_bundle_is_a_warning_and_shown_to_nobody(host: Host) -> None:
    """What it decided is told with WARN beside it; nothing of it goes to the console."""
    console = Console()
    host.wait(26)
    receipt = run(host.settings, host.plane, show=console)
    assert (receipt["result"], receipt["decision"], console.shown) == ("WARN", "HOLD", [])
    assert "stale" in receipt["reason"]
    assert "ops handoff publish" in receipt["next"]
    assert receipt["push"]["delivery_actual"] == "NONE"


@pytest.mark.parametrize("damage", ["nothing", "changed", "removed", "added", "unreadable link"])
def test_without_a_bundle_to_rely_on_it_fails(hosts: Hosts, damage: str) -> None:
    """No bundle, or one that is not what was signed: FAILED, no decision is read, nothing is shown."""
    host = hosts.operator(f"oci{next(NAMES)}", more=MORE) if damage == "nothing" else taking(hosts)
    if damage != "nothing":
        file = file_in_force(host)
        file.parent.chmod(0o700)
    if damage == "changed":
        file.chmod(0o600)
        file.write_text(file.read_text().replace("HOLD", "SELL"))
    elif damage == "removed":
        file.unlink()
    elif damage == "added":
        (file.parent / "more.json").write_text("{}")
    elif damage == "unreadable link":
        (host.bundles / "current").unlink()
    console = Console()
    receipt = run(host.settings, host.plane, show=console)
    assert (receipt["result"], receipt["decision"], console.shown) == ("FAILED", "NONE", [])
    assert "ops handoff pull" in receipt["next"]


@pytest.mark.parametrize(
    ("more", "decision", "result"),
    [
        ("", "NONE", "OK"),
        ('decision_file = "nowhere.json"\n', "UNKNOWN", "FAILED"),
        (f'{MORE}decision_key = "other"\n', "UNKNOWN", "FAILED"),
        (f'{MORE}decision_key = "schema"\n', "recon_summary_v1", "OK"),
    ],
)
def test_the_decision_stands_where_the_configuration_says(hosts: Hosts, more: str, decision: str, result: str) -> None:
    """Without a file for it there is none; where it is to be and is not, the live cycle fails."""
    host = taking(hosts, more)
    receipt = run(host.settings, host.plane, show=Console())
    assert (receipt["decision"], receipt["result"]) == (decision, result)


def test_under_the_emergency_stop_it_is_blocked(host: Host) -> None:
    """The receipt says so, and that is all that happens."""
    host.plane.engage("rehearsal")
    console = Console()
    receipt = run(host.settings, host.plane, show=console)
    assert (receipt["result"], receipt["decision"], receipt["bundle_id"]) == ("BLOCKED", "NONE", None)
    assert "rehearsal" in receipt["reason"]
    assert (console.shown, actions(host)) == ([], ["live_cycle.ended"])
    assert latest(host) == receipt


def test_a_stop_that_comes_in_between_keeps_it_from_showing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and showing the stop is asked for again, where the showing is recorded."""
    asked = receipts.shown_by

    def engaging(*given: Any) -> str:
        files.write_latch(host.plane.path, "just now", "kim", host.clock.now())
        return asked(*given)

    monkeypatch.setattr(receipts, "shown_by", engaging)
    console = Console()
    receipt = run(host.settings, host.plane, show=console)
    assert (receipt["result"], console.shown) == ("BLOCKED", [])
    assert "live_cycle.shown" not in actions(host)


def test_a_store_that_cannot_be_used_counts_as_stopped(hosts: Hosts) -> None:
    """The receipt is told, and not recorded."""
    host = taking(hosts)
    host.plane.path.write_bytes(b"no database")
    receipt = run(host.settings, host.plane, show=Console())
    assert (receipt["result"], receipt["recorded"], receipt["snapshot_ref"]) == ("BLOCKED", False, None)
    assert receipt["next"]


def test_one_runs_at_a_time(host: Host) -> None:
    """Who comes while another one runs is refused, and told which."""
    refused: list[str] = []

    def second() -> None:
        with pytest.raises(LiveCycleRunning) as told:
            run(host.settings, host.plane, show=Console())
        refused.append(told.value.what)

    receipt = run(host.settings, host.plane, show=Console(second))
    assert receipt["result"] == "OK"
    assert receipt["run_id"] in refused[0]
    assert actions(host).count("live_cycle.ended") == 1


def test_one_that_was_killed_is_closed_and_nothing_is_shown_twice(host: Host) -> None:
    """Killed while it shows: whoever comes next closes it as FAILED, its delivery UNKNOWN, and shows nothing again."""

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(host.settings, host.plane, show=Console(killed))
    open_one = latest(host)
    assert open_one is not None
    assert open_one["result"] == "OPEN"
    console = Console()
    receipt = run(host.settings, host.plane, show=console)
    assert (receipt["push"]["delivery_actual"], console.shown) == ("NONE", [])
    assert open_one["run_id"] in receipt["push"]["reason"]
    with host.plane.snapshot() as found:
        closed = receipts.of_run(found, open_one["run_id"])
    assert closed is not None
    assert (closed["result"], closed["push"]["delivery_actual"]) == ("FAILED", "UNKNOWN")


def test_a_console_that_breaks_is_a_warning(host: Host) -> None:
    """Nobody can tell whether it was read, and it is not shown again by itself."""
    receipt = run(host.settings, host.plane, show=Console(problem="the console broke: BrokenPipeError"))
    assert (receipt["result"], receipt["push"]["delivery_actual"]) == ("WARN", "UNKNOWN")
    console = Console()
    run(host.settings, host.plane, show=console)
    assert console.shown == []


def test_looking_at_the_preview_changes_nothing(host: Host) -> None:
    """It says what would be shown and whether it would; the audit is as long as before."""
    rows = len(host.plane.audit_rows())
    told = preview(host.settings, host.plane)
    assert (told["channel"], told["decision"], told["would_deliver"]) == ("CONSOLE", "HOLD", True)
    assert any("HOLD" in line for line in told["lines"])
    assert len(host.plane.audit_rows()) == rows
    run(host.settings, host.plane, show=Console())
    assert preview(host.settings, host.plane)["would_deliver"] is False


def test_the_server_runs_it_in_a_process_of_its_own(host: Host) -> None:
    """Request on standard input, receipt on standard output, preview on standard error; what is no request is an error."""
    request = json.dumps({"config": str(host.settings.path), "profile": "default", "actor": "api"})
    argv = [sys.executable, "-P", "-m", "ops_core.live"]
    done = subprocess.run(argv, input=request, capture_output=True, text=True, check=False)
    receipt = json.loads(done.stdout)
    assert (done.returncode, receipt["result"], receipt["actor"]) == (0, "OK", "api")
    assert json.loads(done.stderr)["message"] == "\n".join(receipt["push"]["lines"])
    assert latest(host) == receipt
    done = subprocess.run(argv, input='{"config": 1}', capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (64, "")
    assert "no request" in json.loads(done.stdout)["error"]
