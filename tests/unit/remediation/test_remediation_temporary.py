"""Configurations for a while: what is planned, what is written, and when they are over."""

import contextlib
import dataclasses
import hashlib
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_remediation_runner import MemoryLedger

from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.control.deployments import digest_of, remember_good
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError
from ops_core.evidence import DeploymentEvidence
from ops_core.remediation import PlanRefused, ProcessState
from ops_core.remediation.catalogue import load_folders
from ops_core.remediation.context import gather
from ops_core.remediation.overlay import overlaid, settings_in
from ops_core.remediation.plan import FileHolds, Plan
from ops_core.remediation.probing import Answer, look
from ops_core.remediation.runner import Recorded, Result, Runner, StepState
from ops_core.remediation.temporary import SCRIPT, InForce, due_restorations, temporaries_in_force
from ops_core.temporary import Kind, kinds_of, lasting, name_for, temporary_of

SHIPPED = load_folders((content_dir() / "remediations",))
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CONFIG = "API_KEY=k\nINGEST_MAX_BATCH_ITEMS=100\nMAX_REQUEST_BODY_BYTES=65536\nDEGRADED_MODE=0\n"
OPS = """
[profiles.default.targets.ingest]
config_link = "current.env"
driver = "command"
start_argv = ["sh", "-c", "readlink current.env > running"]
stop_argv = ["rm", "-f", "running"]
running_argv = ["test", "-s", "running"]
"""


class World:
    """A service that runs what the link names."""

    def __init__(self, root: Path):
        self.root = root
        (root / "1.env").write_text(CONFIG)
        (root / "1.env").chmod(0o600)
        (root / "current.env").symlink_to("1.env")
        (root / "running").write_text("1.env\n")
        (root / "ops.toml").write_text(OPS)
        self.settings = load_settings(root / "ops.toml", environ={})
        self.target = self.settings.target("ingest")
        self.plane = ControlPlane(self.settings.control_store, SystemClock())
        self.plane.create()
        self.plane.mark_good("ingest", "config", "1.env", digest_of(root / "1.env"))

    def plan(self, name, **changes) -> Plan:
        found = gather(self.settings, self.target, self.plane, ("ready.degraded",))
        return SHIPPED.get(name).plan(dataclasses.replace(found, now=NOW, **changes))

    def apply(self, steps):
        runner = Runner(clock=SystemClock(), folder=self.root, must_end=lambda: "", redact=lambda text: text)
        return runner.apply(steps, MemoryLedger())

    @property
    def in_force(self):
        return (self.root / "current.env").readlink().name

    @property
    def runs(self):
        return (self.root / "running").read_text().strip()

    def read(self):
        return settings_in((self.root / "current.env").read_text())

    def refusal(self, name, **changes):
        with pytest.raises(PlanRefused) as caught:
            self.plan(name, **changes)
        return caught.value


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_degraded_mode_is_a_version_of_its_own_and_runs(world):
    """Written beside the one in force with its content and mode, put in force, and what runs is it; and back again."""
    plan = world.plan("enter_degraded_mode")
    assert set(plan.leaves) == {
        "database.read_only",
        "database.unreachable",
        "errors.rate_high",
        "ready.degraded",
        "redis.unreachable",
    }
    assert not plan.two_keys
    assert Plan.from_json(plan.to_json()) == plan
    assert world.apply(plan.steps).result is Result.DONE
    assert (world.in_force, world.runs) == ("1.env.ops-degraded", "1.env.ops-degraded")
    assert world.read()["DEGRADED_MODE"] == "1"
    assert world.read()["API_KEY"] == "k"
    assert (world.root / "1.env.ops-degraded").stat().st_mode & 0o777 == 0o600
    back = world.plan("leave_degraded_mode")
    assert world.apply(back.steps).result is Result.DONE
    assert (world.in_force, world.runs) == ("1.env", "1.env")
    assert world.apply(back.undo).result is Result.DONE
    assert world.in_force == "1.env.ops-degraded"


def test_no_secret_of_the_configuration_stands_in_the_plan(world):
    """The plan knows digests of the content, and the few settings that change."""
    (world.root / "1.env").write_text(CONFIG + "JWT_SECRET=not-to-be-told\n")
    assert "not-to-be-told" not in str(world.plan("lower_limits").to_json())
    assert "not-to-be-told" not in repr(gather(world.settings, world.target, world.plane, ()))


def test_limits_are_halved_for_half_an_hour_and_given_back(world):
    """The configuration says itself until when; restoring leads to the very version that it was made from."""
    plan = world.plan("lower_limits")
    assert world.apply(plan.steps).result is Result.DONE
    read = world.read()
    assert (read["INGEST_MAX_BATCH_ITEMS"], read["MAX_REQUEST_BODY_BYTES"]) == ("50", "32768")
    (found,) = temporaries_in_force(world.settings)
    assert (found.target, found.kind, found.until) == ("ingest", Kind.LOWERED, NOW + timedelta(minutes=30))
    assert due_restorations([found], NOW + timedelta(minutes=30)) == (found,)
    assert due_restorations([found], NOW + timedelta(minutes=29, seconds=59)) == ()
    assert world.apply(world.plan("restore_limits").steps).result is Result.DONE
    assert world.in_force == "1.env"
    assert temporaries_in_force(world.settings) == ()


def test_limits_do_not_fall_below_their_floor(world):
    """What is at its floor stays; where all are, there is nothing to lower."""
    (world.root / "1.env").write_text("INGEST_MAX_BATCH_ITEMS=15\nMAX_REQUEST_BODY_BYTES=4096\n")
    world.apply(world.plan("lower_limits").steps)
    assert (world.read()["INGEST_MAX_BATCH_ITEMS"], world.read()["MAX_REQUEST_BODY_BYTES"]) == ("10", "4096")
    (world.root / "current.env").unlink()
    (world.root / "current.env").symlink_to("1.env")
    (world.root / "1.env").write_text("INGEST_MAX_BATCH_ITEMS=10\nMAX_REQUEST_BODY_BYTES=x\n")
    assert "no limit of ingest can be lowered" in world.refusal("lower_limits").what


def test_one_on_top_of_the_other_is_taken_away_in_reverse(world):
    """Limits may be lowered while degraded, not the other way round, so that what has an end is always on top."""
    world.apply(world.plan("enter_degraded_mode").steps)
    assert "degraded already" in world.refusal("enter_degraded_mode").what
    world.apply(world.plan("lower_limits").steps)
    assert world.in_force == "1.env.ops-degraded.ops-lowered"
    assert world.read()["DEGRADED_MODE"] == "1"
    refused = world.refusal("leave_degraded_mode")
    assert refused.next_step == "ops remediate restore_limits --target ingest --apply"
    world.apply(world.plan("restore_limits").steps)
    assert world.in_force == "1.env.ops-degraded"
    world.apply(world.plan("leave_degraded_mode").steps)
    world.apply(world.plan("lower_limits").steps)
    assert "limits of ingest are lowered" in world.refusal("enter_degraded_mode").what


def test_nothing_is_gone_back_to_that_was_changed_meanwhile(world):
    """What it was made from has to be what it was then."""
    world.apply(world.plan("lower_limits").steps)
    (world.root / "1.env").write_text("API_KEY=other\n")
    assert "is not what it was" in world.refusal("restore_limits").what
    (world.root / "1.env").unlink()
    assert "cannot be put in force" in world.refusal("restore_limits").what


def test_what_is_not_in_force_cannot_be_taken_away(world):
    """Neither mode is left without having been entered."""
    assert "is not degraded" in world.refusal("leave_degraded_mode").what
    assert "is not lowered" in world.refusal("restore_limits").what


@pytest.mark.parametrize("content", [b"\xff\xfe=1\n", b"A=" + b"x" * 70_000], ids=["not text", "too large"])
def test_a_configuration_that_cannot_be_read_is_not_copied(world, content):
    """Only a text file of a sensible size can be made into another one."""
    (world.root / "1.env").write_bytes(content)
    assert "that can be read" in world.refusal("enter_degraded_mode").what


def test_nothing_is_written_for_a_process_that_nobody_can_ask(world):
    """The restart behind the swap has to be possible before anything is put in force."""
    assert "nobody can tell" in world.refusal("lower_limits", process=ProcessState(running=None, state="?")).what


def test_a_temporary_configuration_is_never_taken_for_good(world):
    """It may go well for hours: a rollback must not lead to it, and what it was made from is not unproven by it."""
    world.apply(world.plan("enter_degraded_mode").steps)
    assert remember_good(world.settings, world.target, SystemClock()) == []
    assert world.plane.last_good("ingest", "config").name == "1.env"
    fields = {"release": None, "release_exists": False, "release_good": None, "config_exists": True}
    assert DeploymentEvidence(**fields, config="1.env.ops-degraded", config_good="1.env").facts == ("degraded.on",)
    found = DeploymentEvidence(**fields, config="2.env.ops-degraded.ops-lowered", config_good="1.env").facts
    assert found == ("config.unproven", "limits.lowered", "degraded.on")


def test_a_store_of_an_earlier_program_takes_what_it_knows(world):
    """It has no word for a schema: that is told, and the configuration that is in force is remembered all the same."""
    (world.root / "2.env").write_text(CONFIG)
    (world.root / "current.env").unlink()
    (world.root / "current.env").symlink_to("2.env")
    with contextlib.closing(sqlite3.connect(world.settings.control_store, isolation_level=None)) as store:
        store.execute("PRAGMA writable_schema = ON")
        changed = "UPDATE sqlite_master SET sql = replace(sql, ?, '') WHERE name = 'good_version'"
        assert store.execute(changed, (", 'schema', 'image'",)).rowcount == 1
    with pytest.raises(OpsError, match="contradicts"):
        remember_good(world.settings, world.target, SystemClock(), "rev1", "a" * 64)
    assert world.plane.last_good("ingest", "config").name == "2.env"


@pytest.mark.parametrize("reached", range(4), ids=["nothing", "written", "drafted", "swapped"])
def test_a_plan_that_was_cut_off_is_gone_on_with(world, reached):
    """Killed between arming and recording: what was done is found done, what was not is done once."""
    plan = world.plan("lower_limits")
    for step in plan.steps[:reached]:
        subprocess.run(step.argv, cwd=world.root, check=True)
    mark = look(plan.steps[reached].outcome, world.root).mark
    ledger = MemoryLedger()
    ledger.rows[reached] = Recorded(state=StepState.ARMED, mark=mark)
    runner = Runner(clock=SystemClock(), folder=world.root, must_end=lambda: "", redact=lambda text: text)
    applied = runner.apply(plan.steps, ledger)
    if reached == 3:
        # Whether a command that tells no number was begun cannot be told: it is for a person.
        assert applied.result is Result.UNKNOWN
        return
    assert applied.result is Result.DONE
    assert world.runs == "1.env.ops-lowered"
    assert {one.state for one in ledger.rows.values()} == {StepState.DONE}


def test_the_writer_writes_whole_or_not_at_all(tmp_path):
    """It refuses a base that changed, arguments that are none, and leaves what was there."""

    def run(*arguments):
        argv = [sys.executable, "-I", "-S", str(SCRIPT), *map(str, arguments)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    base, new = tmp_path / "1.env", tmp_path / "2.env"
    base.write_text(CONFIG)
    digest = hashlib.sha256(CONFIG.encode()).hexdigest()
    new.write_text("before\n")
    assert "is not what it was" in run(base, "0" * 64, new, "A=1").stderr
    assert run(base, digest, new).returncode == 64
    assert run(base, digest, new, "not a key=1").returncode == 64
    assert run(tmp_path / "none", digest, new, "A=1").returncode == 3
    assert new.read_text() == "before\n"
    assert run(base, digest, new, "DEGRADED_MODE=1").returncode == 0
    written = new.read_bytes()
    assert settings_in(written.decode())["DEGRADED_MODE"] == "1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.env", "2.env"]
    outcome = FileHolds(path=str(new), sha256=hashlib.sha256(written).hexdigest())
    assert look(outcome, tmp_path).answer is Answer.HOLDS
    assert look(dataclasses.replace(outcome, sha256="0" * 64), tmp_path).answer is Answer.HOLDS_NOT
    assert look(dataclasses.replace(outcome, path=str(tmp_path / "none")), tmp_path).answer is Answer.HOLDS_NOT
    assert look(dataclasses.replace(outcome, path=str(tmp_path)), tmp_path).answer is Answer.CANNOT_TELL


LINES = st.lists(st.sampled_from(["A=1", "B=2", "# A=3", "", "A = 4", "C"]), max_size=8).map("\n".join)
CHANGES = st.dictionaries(st.sampled_from("ABC"), st.sampled_from(["", "0", "x=y"]), min_size=1)


@given(text=LINES, changes=CHANGES)
def test_only_the_named_settings_change(text, changes):
    """What is named has its new value, once; everything else stays as it stands; doing it twice changes nothing."""
    new = overlaid(text, changes)
    before, after = settings_in(text), settings_in(new)
    assert after == {**before, **changes}
    assert overlaid(new, changes) == new
    for key in changes:
        assert [line.partition("=")[0].strip() for line in new.splitlines()].count(key) == 1


TIMES = st.none() | st.integers(-100, 100).map(lambda n: NOW + timedelta(seconds=n))
FOUND = st.lists(
    st.builds(InForce, target=st.sampled_from("abc"), version=st.just("v"), kind=st.sampled_from(Kind), until=TIMES)
)


@given(found=FOUND, ahead=st.integers(0, 200))
def test_what_is_over_stays_over_until_it_is_restored(found, ahead):
    """Exactly those whose time has come; later there are never fewer; what has no end is never over by itself."""
    due = due_restorations(found, NOW)
    assert sorted(map(repr, due)) == sorted(repr(one) for one in found if one.until is not None and one.until <= NOW)
    assert {*due} <= {*due_restorations(found, NOW + timedelta(seconds=ahead))}


@given(base=st.from_regex(r"[a-z0-9.]{1,8}", fullmatch=True), kinds=st.lists(st.sampled_from(Kind), max_size=3))
def test_a_name_leads_back_to_what_it_was_made_from(base, kinds):
    """However many are on top of one another."""
    name = base
    for kind in kinds:
        name = name_for(name, kind)
    assert (lasting(name), kinds_of(name)) == (base, tuple(reversed(kinds)))
    assert (temporary_of(name) is None) is (not kinds)


def test_an_end_that_is_no_instant_is_none(world):
    """Whoever edits the file by hand stops it from being restored by itself, and nothing else."""
    world.apply(world.plan("lower_limits").steps)
    path = world.root / "1.env.ops-lowered"
    path.write_text(overlaid(path.read_text(), {"OPS_TEMPORARY_UNTIL": "soon"}))
    (found,) = temporaries_in_force(world.settings)
    assert found.until is None
