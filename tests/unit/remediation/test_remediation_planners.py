"""The shipped remediations: what they plan, and when they refuse to. Pure: they are handed what is the case."""

import dataclasses
import os
from pathlib import Path

import pytest

from ops_core.clock import SystemClock
from ops_core.config import load_settings
from ops_core.content import content_dir
from ops_core.control.deployments import digest_of
from ops_core.control.service import ControlPlane
from ops_core.remediation import Deployed, PlanContext, ProcessRunning, ProcessState, ProcessStopped
from ops_core.remediation.catalogue import load_folders
from ops_core.remediation.context import gather
from ops_core.remediation.drivers import driver_for
from ops_core.remediation.drivers.supervisor import SupervisorDriver
from ops_core.remediation.plan import LinkPointsTo, PlanRefused
from ops_core.targets import Target

SHIPPED = load_folders((content_dir() / "remediations",))
CONF = Path("/w/supervisord.conf")
TARGET = Target(
    name="core-api",
    driver="supervisor",
    process="core",
    supervisor_conf=CONF,
    release_link=Path("/w/releases/current"),
    config_link=Path("/w/config/current.env"),
)
RUNS = ProcessState(running=True, state="RUNNING", pid=77, started_at=10, asked_at=20)
ENDED = ProcessState(running=False, state="EXITED", started_at=10, ended_at=15, asked_at=20)
DIGEST = "a" * 64
CONFIG = Deployed(
    kind="config", link=Path("/w/config/current.env"), text="2.env", good="1.env", good_digest=DIGEST, digest_now=DIGEST
)
RELEASE = dataclasses.replace(CONFIG, kind="release", link=Path("/w/releases/current"), text="../pool/v2", good="v1")
CONTEXT = PlanContext(
    target=TARGET,
    findings=("guard.open",),
    driver=SupervisorDriver(CONF, "core"),
    process=RUNS,
    release=RELEASE,
    config=CONFIG,
)


def planned(name, **changes):
    return SHIPPED.get(name).plan(dataclasses.replace(CONTEXT, **changes))


def refusal(name, **changes):
    with pytest.raises(PlanRefused) as caught:
        planned(name, **changes)
    assert caught.value.where
    return caught.value


def verbs(steps):
    return [step.argv[0] if step.argv[0] in {"ln", "mv"} else step.argv[-2] for step in steps]


def test_a_restart_stops_what_runs_and_starts_another():
    """Stop, then start; the process that ran before does not count as started. A restart cannot be taken back."""
    plan = planned("restart_service")
    assert verbs(plan.steps) == ["stop", "start"]
    assert plan.steps[0].outcome == ProcessStopped(conf=str(CONF), name="core", pid=77)
    assert plan.steps[1].outcome == ProcessRunning(conf=str(CONF), name="core", not_pid=77)
    assert plan.undo == ()
    assert plan.no_undo["en"].startswith("a restart cannot be taken back")
    assert plan.no_undo["ko"]


def test_what_does_not_run_is_only_started():
    """There is nothing to stop, so nothing is stopped."""
    assert verbs(planned("restart_service", process=ENDED).steps) == ["start"]


def test_a_rollback_swaps_the_link_then_restarts():
    """The link is replaced in one step by one that holds the old text with another name; then the service restarts."""
    plan = planned("rollback_config")
    assert verbs(plan.steps) == ["ln", "mv", "stop", "start"]
    assert plan.steps[0].argv[-2:] == ("1.env", "/w/config/.current.env.ops-next")
    assert plan.steps[1].argv[-2:] == ("/w/config/.current.env.ops-next", "/w/config/current.env")
    assert plan.steps[1].outcome == LinkPointsTo(link="/w/config/current.env", destination="1.env")
    assert plan.steps[0].repeatable
    assert not plan.steps[1].repeatable


def test_the_way_back_puts_in_force_what_was():
    """Undo is the same the other way round: the link as it was, and whatever process there is by then restarted."""
    plan = planned("rollback_release")
    assert verbs(plan.undo) == ["ln", "mv", "stop", "start"]
    assert plan.undo[1].outcome == LinkPointsTo(link="/w/releases/current", destination="../pool/v2")
    assert plan.undo[3].outcome == ProcessRunning(conf=str(CONF), name="core", not_pid=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v2", "v1"), ("../pool/v2", "../pool/v1"), ("/srv/releases/v2", "/srv/releases/v1"), ("pool/v2/", "pool/v1")],
)
def test_a_link_stays_as_relative_as_it_was(text, expected):
    """Only the version's name changes in what the link holds."""
    assert dataclasses.replace(RELEASE, text=text).text_for("v1") == expected


def test_what_is_gone_is_no_way_back():
    """To go back to a version that does not exist would stop what runs and start nothing."""
    plan = planned("rollback_release", release=dataclasses.replace(RELEASE, exists=False))
    assert plan.undo == ()
    assert "nothing to go back to" in plan.no_undo["en"]


def test_a_rollback_that_somebody_began_is_finished_by_a_restart():
    """With the good version in force already, the rest of a rollback is that it runs."""
    plan = planned("rollback_config", config=dataclasses.replace(CONFIG, text="1.env"))
    assert verbs(plan.steps) == ["stop", "start"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"good": None, "good_digest": None}, "no config of core-api was ever recorded as good"),
        ({"digest_now": "b" * 64}, "is not what it was when it was seen good: its content was changed"),
        ({"digest_now": None, "problem": "No such file"}, "1.env, cannot be put in force: No such file"),
        ({"text": None, "problem": "No such file"}, "is not a link that says which config is in force"),
        ({"good": "../1.env"}, "is not the name of a version"),
        ({"good": ".."}, "is not the name of a version"),
    ],
)
def test_a_rollback_is_refused_where_its_destination_cannot_be_trusted(change, message):
    """Nothing is put in force that was not seen good, or is not any more what was seen good."""
    error = refusal("rollback_config", config=dataclasses.replace(CONFIG, **change))
    assert message in error.what


def test_without_a_link_there_is_nothing_to_roll_back():
    """The operator is told which key is missing."""
    assert refusal("rollback_release", release=None).next_step == "set release_link in ops.toml"


@pytest.mark.parametrize("name", ["restart_service", "rollback_config", "rollback_release"])
def test_nothing_is_stopped_on_a_guess(name):
    """Without a driver, or with one that does not answer, every remediation is refused."""
    no_driver = refusal(name, driver=None, process=None, target=Target(name="core-api"))
    assert "it has no driver" in no_driver.what
    silent = refusal(name, process=None, process_problem="supervisord cannot be asked: refused")
    assert "nobody can tell whether core-api runs: supervisord cannot be asked" in silent.what


def test_a_path_that_cannot_be_written_down_is_refused():
    """A plan is JSON; a path that is not UTF-8 would not come back as it was."""
    odd = dataclasses.replace(CONFIG, link=Path(os.fsdecode(b"/w/\xff/current.env")))
    assert "not UTF-8" in refusal("rollback_config", config=odd).what


def test_gathering_looks_at_links_versions_and_the_process(tmp_path):
    """What planners are handed is what is on disk and in the control store; a changed version shows by its digest."""
    (tmp_path / "1.env").write_text("A=1\n")
    (tmp_path / "2.env").write_text("A=2\n")
    (tmp_path / "current.env").symlink_to("2.env")
    (tmp_path / "ops.toml").write_text(
        "[profiles.default.targets.core-api]\nconfig_link = 'current.env'\ndriver = 'command'\n"
        "start_argv = ['true']\nstop_argv = ['true']\nrunning_argv = ['test', '-e', '1.env']\n"
    )
    settings = load_settings(tmp_path / "ops.toml", environ={})
    target = settings.target("core-api")
    plane = ControlPlane(tmp_path / "state" / "control.db", SystemClock())
    plane.create()
    seen = Deployed(kind="config", link=target.config_link, text="2.env", content="A=2\n")
    assert gather(settings, target, plane, ()).config == seen
    plane.mark_good("core-api", "config", "1.env", digest_of(tmp_path / "1.env"))
    found = gather(settings, target, plane, ("guard.open",))
    assert found.findings == ("guard.open",)
    assert found.release is None
    assert found.config.digest_now == found.config.good_digest
    assert found.process.running is True
    SHIPPED.get("rollback_config").plan(found)
    (tmp_path / "1.env").write_text("A=3\n")
    with pytest.raises(PlanRefused, match="its content was changed"):
        SHIPPED.get("rollback_config").plan(gather(settings, target, plane, ()))
    (tmp_path / "1.env").unlink()
    with pytest.raises(PlanRefused, match="cannot be put in force"):
        SHIPPED.get("rollback_config").plan(gather(settings, target, plane, ()))
    (tmp_path / "2.env").unlink()
    assert not gather(settings, target, plane, ()).config.exists


def test_a_target_without_driver_is_told_what_to_set():
    """The message names the key and its values."""
    with pytest.raises(PlanRefused) as caught:
        driver_for(Target(name="core-api"), Path("/"))
    assert "supervisor" in caught.value.allowed
