"""The suite `handoff`: what it sees on a real operator's host, and what its checks say of it."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.content import content_dir
from ops_core.errors import CannotLook
from ops_core.evidence import BundleSeen, HandoffEvidence, LiveCycleSeen, PullSeen, SummarySeen
from ops_core.live.run import run
from ops_core.pytest_plugin.operations import read
from ops_core.split.reading import read_handoff
from ops_core.summary.summary import regenerate
from tests.handing import Hosts

# A Monday noon in Seoul: the next slot is on Tuesday, five past nine.
NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
NAMES = itertools.count()
MORE = 'decision_file = "recon_summary.json"\n'


def load(path: Path):
    """The module of checks in that file."""
    spec = importlib.util.spec_from_file_location("checks_handoff", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKS = load(content_dir() / "checks" / "handoff" / "check_handoff.py")


def judged(seen):
    """What each check says, by its finding: good, bad or skipped, with what it tells."""
    told = {}
    for name, check in vars(CHECKS).items():
        if not name.startswith("check_"):
            continue
        (mark,) = [one for one in check.pytestmark if one.name == "finding"]
        try:
            check(seen)
            told[mark.args[0]] = ("good", "")
        except AssertionError as error:
            told[mark.args[0]] = ("bad", str(error))
        except pytest.skip.Exception as error:
            told[mark.args[0]] = ("skipped", str(error))
    return told


def bad(seen):
    """The findings."""
    return {code for code, (how, _) in judged(seen).items() if how == "bad"}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """A producer that has published once; each test has an operator's host of its own."""
    found = Hosts(tmp_path_factory.mktemp("hosts"), NOW)
    found.published(decision="BUY")
    return found


@pytest.fixture
def host(hosts):
    """An operator's host that has done its day: pulled, summarised, run the live cycle."""
    found = hosts.operator(f"oci{next(NAMES)}", more=MORE)
    assert found.pull()["outcome"] == "INSTALLED"
    regenerate(found.settings, found.plane, found.clock)
    receipt = run(found.settings, found.plane, show=lambda _text: "")
    assert receipt["result"] == "OK", receipt
    return found


def seen(host):
    """What the suite sees there now."""
    return read_handoff(host.settings, host.clock)


def test_day_that_was_done_is_good(host):
    """Everything is seen, all eight checks are good, and the plugin's reader says the same."""
    found = seen(host)
    assert {how for how, _ in judged(found).values()} == {"good"}
    assert len(judged(found)) == 8
    assert found.bundle.producer == "pc"
    assert found.live_cycle.decision == "BUY"
    assert found.live_cycle.snapshot_ref.startswith("live_cycle/")
    assert read("handoff", host.settings, host.clock) == found
    assert "decision BUY" in found.explain()


def test_host_that_takes_no_bundles_is_not_green(hosts):
    """Nothing is configured: every check is skipped, and says why."""
    found = seen(hosts.pc)
    assert not found.configured
    assert {how for how, _ in judged(found).values()} == {"skipped"}
    assert all("no producer is named" in why for _, why in judged(found).values())


def test_host_on_which_nobody_began(hosts):
    """No bundle, no summary, no live cycle: each says what to type; what rests on them is not judged."""
    found = seen(hosts.operator(f"oci{next(NAMES)}"))
    told = judged(found)
    assert bad(found) == {"bundle.missing", "summary.outdated", "live_cycle.not_run"}
    assert "next: ops handoff pull" in told["bundle.missing"][1]
    assert "next: ops summary regenerate" in told["summary.outdated"][1]
    assert "next: ops daily --split" in told["live_cycle.not_run"][1]
    assert told["snapshot.unresolvable"][0] == told["bundle.stale"][0] == "skipped"


def test_day_without_a_push(host):
    """A day later the bundle and the summary are old, and nobody ran the slot in between."""
    host.wait(27)
    found = seen(host)
    told = judged(found)
    assert bad(found) == {"bundle.stale", "summary.outdated", "live_cycle.not_run"}
    assert "on the producer's host ops handoff publish" in told["bundle.stale"][1]
    assert "2026-12-01T09:05+09:00[Asia/Seoul]" in told["live_cycle.not_run"][1]


def test_changed_bundle(host):
    """A file of the bundle in force was changed: tampered, and nothing else is said of it."""
    (here,) = (host.bundles / "current").resolve().glob("files/*.json")
    here.chmod(0o600)
    here.write_text('{"decision": "SELL"}', encoding="utf-8")
    found = seen(host)
    told = judged(found)
    assert "bundle.tampered" in bad(found)
    assert told["bundle.stale"][0] == "skipped"
    assert "next: ops handoff status" in told["bundle.tampered"][1]
    # What the cycle decided on is not there any more as it was.
    assert "bundle/" in told["snapshot.unresolvable"][1]


def test_refused_bundle(host, tmp_path):
    """What somebody else pushed was refused: told with the code, the old bundle in force and good."""
    others = Hosts(tmp_path / "others", NOW)
    others.published()
    alone = others.operator("oci", more=MORE)
    alone.pull()
    others.tampered(lambda folder: (folder / "manifest.json").write_text("{}", encoding="utf-8"))
    assert alone.pull()["outcome"] == "REFUSED"
    found = seen(alone)
    told = judged(found)
    assert told["bundle.refused"][0] == "bad"
    assert found.pull.code in told["bundle.refused"][1]
    assert told["bundle.tampered"][0] == told["bundle.stale"][0] == "good"


def test_failed_live_cycle(host):
    """The newest one failed: told with its reason."""
    shutil.rmtree((host.bundles / "current").resolve())
    assert run(host.settings, host.plane, show=lambda _text: "")["result"] == "FAILED"
    found = seen(host)
    assert {"live_cycle.failed", "bundle.tampered"} <= bad(found)
    assert "next: ops live latest" in judged(found)["live_cycle.failed"][1]


def test_store_that_cannot_be_read_is_not_seen(host):
    """Nobody knows what is in force then: UNKNOWN, not bad and not good."""
    host.settings.control_store.write_bytes(b"no store" * 100)
    with pytest.raises(CannotLook):
        seen(host)


def test_typed_suite_finds_and_its_record_is_judged_again(host):
    """`pytest checks/ -m handoff` ends with the finding, and a replay says the same with nothing there to look at."""
    config = host.root / "ops.toml"
    config.write_text('suites = ["handoff"]\n' + config.read_text(encoding="utf-8"), encoding="utf-8")
    (host.root / "checks").mkdir()
    shutil.rmtree(host.bundles)
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "OPS_CONFIG": str(config)}

    def typed(*more):
        argv = [sys.executable, "-m", "pytest", "checks", "-m", "handoff", "-q", "-p", "no:cacheprovider", *more]
        return subprocess.run(argv, cwd=host.root, env=environ, capture_output=True, text=True, check=False, timeout=60)

    first = typed()
    assert first.returncode == 1, first.stdout + first.stderr
    assert "bundle.tampered" in first.stdout
    (record,) = (host.root / "reports" / "handoff").glob("2*.json")
    shutil.rmtree(host.root / "control")
    again = typed("--replay", str(record))
    assert again.returncode == 1, again.stdout + again.stderr
    told = json.loads(record.read_text(encoding="utf-8"))["runbook"]
    assert {one["finding"] for one in told["judgements"] if one["judged"] == "bad"} >= {"bundle.tampered"}
    assert "bundle.tampered" in again.stdout


TEXTS = st.sampled_from(["", "x", "it was changed"])
BUNDLES = st.builds(BundleSeen, id=st.just("b"), fresh=st.booleans(), problem=TEXTS)
PULLS = st.builds(PullSeen, run_id=st.just("p"), at=st.just("t"), outcome=st.sampled_from(["INSTALLED", "REFUSED"]))
SUMMARIES = st.builds(
    SummarySeen, run_id=st.just("s"), asof=st.just("t"), age_s=st.just(1.0), overall_status=st.just("OK"), current=st.booleans()
)  # fmt: skip
CYCLES = st.builds(
    LiveCycleSeen,
    run_id=st.just("l"),
    asof=st.just("t"),
    result=st.sampled_from(["OK", "WARN", "BLOCKED", "FAILED", "OPEN"]),
    snapshot_ref=st.sampled_from(["", "live_cycle/l"]),
    snapshot_problem=TEXTS,
    alive=st.booleans(),
)
SEEN = st.builds(
    HandoffEvidence,
    seen_at=st.just("t"),
    configured=st.just(True),
    bundle=st.none() | BUNDLES,
    pull=st.none() | PULLS,
    summary=st.none() | SUMMARIES,
    live_cycle=st.none() | CYCLES,
    missed=st.sampled_from([(), ("slot",)]),
)


@given(SEEN)
def test_checks_judge_all_that_can_be_seen(found):
    """Never an exception of another kind, every finding says what to type, and all good only where all is."""
    told = judged(found)
    for how, why in told.values():
        if how == "bad":
            assert "(next: " in why
    whole = found.bundle is not None and found.bundle.fresh and not found.bundle.problem
    done = found.summary is not None and found.summary.current and found.live_cycle is not None and not found.missed
    assert not (not (whole and done) and {how for how, _ in told.values()} <= {"good", "skipped"})
    assert found.explain()
