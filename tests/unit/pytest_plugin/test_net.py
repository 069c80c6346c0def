"""The last net sees whether the main thread gets on."""

from __future__ import annotations

import faulthandler
import threading
import time
from pathlib import Path

import pytest
from support import eventually

from ops_core.pytest_plugin import net
from ops_core.pytest_plugin.net import Net


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "RUNNING_STALL_S", 0.2)
    monkeypatch.setattr(net, "ENDING_STALL_S", 0.2)
    monkeypatch.setattr(net, "LOOK_EVERY_S", 0.02)


def test_who_hangs_after_the_deadline_is_noticed_with_the_place() -> None:
    """Not before the deadline, however long it takes."""
    stalled: list[str] = []
    watching = Net(time.monotonic() + 0.3, stalled.append)
    watching.start()
    eventually(lambda: bool(stalled), "the net does not notice")
    assert stalled[0].rpartition(":")[2].isdigit()
    watching.take_away()


def test_who_gets_on_is_left_alone() -> None:
    """Also long after the deadline."""
    stalled: list[str] = []
    watching = Net(time.monotonic(), stalled.append)
    watching.start()
    beats = 0
    until = time.monotonic() + 0.6
    pause = threading.Event()
    while time.monotonic() < until:
        watching.beat()
        beats += 1
        pause.wait(0.01)
    watching.ending()
    watching.take_away()
    assert not stalled
    assert beats > 5


def test_a_net_that_is_taken_away_notices_nothing(tmp_path: Path) -> None:
    """The run has ended, and the file for the worst case is gone."""
    stalled: list[str] = []
    watching = Net(time.monotonic(), stalled.append)
    watching.arm_hard(tmp_path / "a" / "hang.txt")
    assert (tmp_path / "a" / "hang.txt").exists()
    watching.take_away()
    watching.start()
    threading.Event().wait(0.3)
    assert not stalled
    assert not (tmp_path / "a" / "hang.txt").exists()
    faulthandler.cancel_dump_traceback_later()


def test_where_no_file_can_be_made_the_net_does_without(tmp_path: Path) -> None:
    """The worst case is then not covered, and nothing else changes."""
    (tmp_path / "file").touch()
    watching = Net(time.monotonic(), lambda _: None)
    watching.arm_hard(tmp_path / "file" / "hang.txt")
    watching.take_away()
