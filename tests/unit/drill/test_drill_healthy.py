"""Rates of false alarms are exact, a look that saw nothing is one, and stress ends with whoever wanted it."""

import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from ops_core.cli.drill_healthy import hold_healthy
from ops_core.clock import ManualClock, parse_instant
from ops_core.drill.healthy import network
from ops_core.drill.healthy.network import How, NotPermitted, Slowness, own_network, slowed, tied
from ops_core.drill.healthy.pages import write_pages
from ops_core.drill.healthy.progress import RoundsTeller, progress_line
from ops_core.drill.healthy.rates import at_most
from ops_core.drill.healthy.results import (
    Alarm,
    Ended,
    Healthy,
    Look,
    Outcome,
    Visited,
    read_healthy,
    write_healthy,
)
from ops_core.drill.healthy.running import ROUNDS_MAX, begin_rounds
from ops_core.drill.healthy.stress import busy
from ops_core.drill.sessions import state
from ops_core.errors import RecordError, UsageError
from tests.support import eventually

NOW = "2026-01-04T09:00:00.000Z"
SLOW = Alarm(check="check_fast", code="health.slow", target="core", judged="bad", expected="", seen="1203 ms")
UNSEEN = dataclasses.replace(SLOW, judged="unknown", seen="its budget was used up")
CHECKS = ("check_fast", "check_up")
NOT_PERMITTED = "this machine permits no network namespaces"


def look(number, *alarms, suite="observe", verdict=None, **about):
    """One look that raised these."""
    verdict = verdict or ("UNHEALTHY" if SLOW in alarms else "UNKNOWN" if alarms else "HEALTHY")
    told = {"checks": CHECKS, "took_s": 1.5, "used_s": 1.0, "record": f"held/{suite}/{number}.json", **about}
    return Look(
        number=number,
        stack="embedded",
        suite=suite,
        begun_at=NOW,
        verdict=verdict,
        alarms=alarms,
        budget_s=60.0,
        **told,
    )


def rounds(*looks, ended=Ended.HELD, **about):
    """Rounds with these looks."""
    slow = Slowness(how=How.TUN.value, one_way_ms=100, round_trip_ms=201.5, why="tc: no netem")
    places = (
        Visited(stack="embedded", suites=("observe",), network=slow),
        Visited(stack="service", suites=("service",), skipped="there is no postgres"),
    )
    told = {"rounds": 30, "stress": True, "cores": 2, "busy": 2, "places": places, **about}
    return Healthy(run_id="r", begun_at=NOW, ended_at=NOW, ended=ended.value, looks=looks, **told)


@pytest.mark.parametrize(
    ("false", "looks", "bound"),
    [(0, 30, 0.0950), (1, 30, 0.1486), (3, 100, 0.0757), (0, 1, 0.95), (5, 10, 0.7776), (0, 1000, 0.00299)],
)
def test_the_bound_is_that_of_clopper_and_pearson(false, looks, bound):
    """At the bound so few are just as likely as the confidence leaves; the figures are those of published tables."""
    assert at_most(false, looks) == pytest.approx(bound, abs=6e-5)


def test_what_was_never_seen_good_may_always_be_false():
    """No look, or none that was clean, bounds nothing; and more looks never make the bound worse."""
    assert at_most(0, 0) == at_most(7, 7) == 1.0
    bounds = [at_most(1, number) for number in range(1, 200)]
    assert bounds == sorted(bounds, reverse=True)


def test_each_check_has_its_rate_and_a_look_is_false_once():
    """Two alarms of one look are one false look; a check that looked and raised nothing has its bound as well."""
    held = rounds(look(1, SLOW, dataclasses.replace(SLOW, target="soul")), look(2, UNSEEN), look(3), look(4))
    worst, good = held.checks
    assert (worst.check, worst.looks, worst.found, worst.unknown, worst.false) == ("check_fast", 4, 1, 1, 2)
    assert (good.check, good.false, good.at_most) == ("check_up", 0, at_most(0, 4))
    assert (held.total.false, held.total.rate) == (2, 0.5)
    assert held.outcome is Outcome.FALSE_ALARMS


def test_a_look_that_came_to_nothing_is_unknown_and_no_check_is_to_blame():
    """No record, or no verdict that is good: that is not seen, and so not good."""
    blind = look(1, checks=(), verdict="UNKNOWN", used_s=None, record=None, why="it left no record")
    held = rounds(blind, look(2), look(3, verdict="SKIPPED", suite="daily"))
    assert [(one.suite, one.unknown, one.false) for one in held.suites] == [("observe", 1, 1), ("daily", 1, 1)]
    assert [one.false for one in held.checks] == [0] * len(held.checks)
    assert held.outcome is Outcome.FALSE_ALARMS


@pytest.mark.parametrize("ended", [Ended.RUNNING, Ended.INTERRUPTED, Ended.BROKEN_OFF])
def test_rounds_that_did_not_come_to_their_end_are_not_good(ended):
    """Also where nothing was raised until then; and what was raised stays raised."""
    assert rounds(look(1), ended=ended).outcome is Outcome.UNFINISHED
    assert rounds(look(1, SLOW), ended=ended).outcome is Outcome.FALSE_ALARMS
    assert rounds().outcome is Outcome.UNFINISHED
    assert rounds(look(1)).outcome is Outcome.NO_FALSE_ALARM


def test_rounds_are_read_back_as_they_were_written(tmp_path):
    """What follows from the looks is not believed but worked out again; what is damaged is refused."""
    held = rounds(look(1, SLOW), look(2))
    path = write_healthy(tmp_path / "run", held)
    assert read_healthy(path) == held
    value = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**value, "outcome": "no_false_alarm"}), "utf-8")
    assert read_healthy(path).outcome is Outcome.FALSE_ALARMS
    for damage in ({**value, "schema": "other"}, {**value, "looks": [1]}, {**value, "more": 1}, []):
        path.write_text(json.dumps(damage), "utf-8")
        with pytest.raises(RecordError):
            read_healthy(path)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_shows_the_alarm_the_bound_and_why_something_was_not_done(tmp_path, lang):
    """What was raised, by which check, with its record; the measured delay; the stack that was not looked at."""
    held = rounds(look(1, SLOW), look(2))
    page, record = write_pages(write_healthy(tmp_path, held).parent, held, lang=lang)
    text = page.read_text("utf-8")
    for told in (
        "`check_fast`",
        "`health.slow`",
        "1203 ms",
        "`held/observe/1.json`",
        "201.5 ms",
        "95 %",
        "no postgres",
    ):
        assert told in text
    assert f"{100 * at_most(1, 2):.1f} %" in text
    assert record.is_file()


def test_what_goes_on_is_told():
    """A line for each stack and each false look; at a terminal the progress in between."""
    assert progress_line(12, 90, 1, "observe 13", 240.0) == "12/90 looks, 1 FALSE, about 4 min left: observe 13"
    said = []
    teller = RoundsTeller(said.append, ManualClock(parse_instant(NOW)), 80)
    teller.begin(2)
    for place in rounds().places:
        teller.visited(place)
    for one in (look(1), look(2, SLOW)):
        teller.looking(one.number, one.suite)
        teller.looked(one)
    teller.close()
    text = "".join(said)
    assert "embedded: observe; 200 ms added to each round trip by a program that passes packets on late" in text
    assert "service: not looked at: there is no postgres\n" in text
    assert "0/2 looks, none false: observe 1" in text
    assert "observe 2: check_fast: health.slow about core was found: 1203 ms\n" in text


@pytest.mark.parametrize("number", [0, ROUNDS_MAX + 1])
def test_so_many_rounds_are_not_held(tmp_path, number):
    """Nothing is begun, and nothing written."""
    with pytest.raises(UsageError):
        begin_rounds(rounds=number, stress=False, reports_dir=tmp_path, clock=ManualClock(parse_instant(NOW)))
    assert list(tmp_path.iterdir()) == []


def test_rounds_that_look_at_nothing_are_no_success(tmp_path, monkeypatch, capsys):
    """Without a single look nothing was shown: exit code 3."""
    monkeypatch.chdir(tmp_path)
    assert hold_healthy(rounds=1, stress=False, reports=tmp_path, lang="en", json=True, places=()) == 3
    assert json.loads(capsys.readouterr().out)["outcome"] == "unfinished"


def test_cores_are_busy_until_the_block_ends():
    """So many processes as were asked for; none is left, also where the block fails."""
    with contextlib.suppress(ZeroDivisionError), busy(2) as load:
        pids = load.pids
        assert len(set(pids)) == 2
        raise ZeroDivisionError
    assert load.pids == ()
    assert {state(pid) for pid in pids} == {"X"}


def test_busy_processes_end_with_whoever_wanted_them():
    """Also where that is killed, and can end nothing itself."""
    program = (
        "import time\n"
        "from ops_core.drill.healthy.stress import busy\n"
        "with busy(2) as load:\n"
        "    print(*load.pids, flush=True)\n"
        "    time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        pids = [int(word) for word in owner.stdout.readline().split()]
        eventually(lambda: all(state(pid) == "R" for pid in pids), "they do not compute")
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
    eventually(lambda: all(state(pid) in "XZ" for pid in pids), "they outlive it")
    assert len(pids) == 2


def test_packets_arrive_late_in_order_and_whole():
    """Each as much later as it has to; none before its time."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, its, tied([str(network.LATE), str(its.fileno()), "0.2"], pass_fds=(its.fileno(),)):
        ours.settimeout(30)
        begun = time.monotonic()
        for packet in (b"first", b"second", b"x" * 1500):
            ours.send(packet)
        assert ours.recv(2000) == b"first"
        assert time.monotonic() - begun >= 0.2
        assert [ours.recv(2000), ours.recv(2000)] == [b"second", b"x" * 1500]


def test_the_network_of_ones_own_is_slow_and_the_machines_is_not_touched():
    """What goes to the port takes so much longer there and back; other ports do not, and outside nothing is left."""
    before = network.NAMESPACE.stat().st_ino
    try:
        with own_network():
            assert network.NAMESPACE.stat().st_ino != before
            with socket.create_server((network.HOST, 0)) as far, socket.create_server((network.HOST, 0)) as near:
                with slowed([far.getsockname()[1]], 50) as slowness:
                    assert slowness.how in {How.NETEM, How.TUN}
                    assert slowness.round_trip_ms >= 100
                    with socket.create_connection(near.getsockname(), timeout=30):
                        pass
                socket.create_connection(far.getsockname(), timeout=30).close()
                rules = subprocess.run(["ip", "rule"], capture_output=True, text=True, check=True).stdout
                assert "dport" not in rules
    except NotPermitted:
        assert network.NAMESPACE.stat().st_ino == before
        pytest.skip(NOT_PERMITTED)
    assert network.NAMESPACE.stat().st_ino == before


def test_a_network_that_is_not_slow_is_not_called_slow(monkeypatch):
    """What the delay is, is measured: where it is not in force, that is said."""
    try:
        with own_network(), socket.create_server((network.HOST, 0)) as near:
            monkeypatch.setattr(network, "LATE", network.LATE.with_name("none.py"))
            monkeypatch.setattr(network, "MEASURED_S", 0.2)
            monkeypatch.setattr(network, "_by_netem", network._by_program)
            with pytest.raises(NotPermitted, match="not as slow as it should be"), slowed([near.getsockname()[1]]):
                pass
    except NotPermitted:
        pytest.skip(NOT_PERMITTED)


def test_the_devices_of_netem_carry_what_is_led_over_them(monkeypatch):
    """Also where the kernel has no netem: without the delay everything comes back, only too soon."""
    run = network._run
    monkeypatch.setattr(network, "_run", lambda name, *words: None if name == "tc" else run(name, *words))
    try:
        with (
            own_network(),
            socket.create_server((network.HOST, 0)) as near,
            pytest.raises(NotPermitted, match="it took"),
            slowed([near.getsockname()[1]], 30_000),
        ):
            pass
    except NotPermitted:
        pytest.skip(NOT_PERMITTED)
