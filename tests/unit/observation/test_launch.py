"""Running a suite in a process of its own, as `ops observe` does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from observing import Project, clean_environment
from support import eventually

from ops_core.config import Settings, load_settings
from ops_core.errors import UsageError
from ops_core.observation import launch
from ops_core.observation.launch import ObservationFailed, command_line, observe, suite_paths
from ops_core.observation.record import ForeignEvidence
from ops_core.probes.instruments.process import os_state
from ops_core.verdict import Judged, Verdict

CHECKS = """
@dataclass(frozen=True, kw_only=True)
class MadeHere(Evidence):
    one: int

@probe(budget_s=2)
def made():
    return MadeHere(one=1)

@finding("x.y")
def check_one(made):
    assert made.one == 1

@finding("x.z")
def check_two(made):
    assert made.one == 2
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an operator's machine, without what this run of pytest has set."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.check(CHECKS)
    return project


def settings_of(project: Project) -> Settings:
    return load_settings(project.configure(), environ={})


def test_a_suite_is_run_and_its_record_read(project: Project) -> None:
    """Exit code, output, and the observation, also with evidence of a class that this process has never seen."""
    launched = observe(settings_of(project), suite="observe", record=project.root / "r" / "x.json")
    assert launched.exit_code == 1
    assert {j.check: j.judged for j in launched.observation.judgements} == {
        "check_one": Judged.GOOD,
        "check_two": Judged.BAD,
    }
    assert isinstance(launched.observation.evidence[0].evidence, ForeignEvidence)
    assert "VERDICT" in launched.output
    assert launched.path == project.root / "r" / "x.json"


def test_single_checks_can_be_run_again(project: Project) -> None:
    """By their node ids as recorded."""
    settings = settings_of(project)
    first = observe(settings, suite="observe", record=project.root / "r.json")
    bad = [j.nodeid for j in first.observation.judgements if j.judged is Judged.BAD]
    again = observe(settings, suite="observe", record=project.root / "r2.json", only=bad)
    assert [j.nodeid for j in again.observation.judgements] == bad


def test_a_record_of_an_earlier_run_is_not_taken_for_this_ones(project: Project) -> None:
    """The run that leaves none has failed."""
    settings, record = settings_of(project), project.root / "r.json"
    observe(settings, suite="observe", record=record)
    project.write("conftest.py", "raise RuntimeError('broken')")
    with pytest.raises(ObservationFailed, match="left no record") as error:
        observe(settings, suite="observe", record=record)
    assert "broken" in str(error.value)
    assert not record.exists()


def test_what_the_run_left_behind_holds_up_nobody(project: Project) -> None:
    """A process that keeps the output open is ended with the run."""
    project.write(
        "conftest.py",
        """
        import subprocess
        def pytest_configure(config):
            config.pluginmanager.getplugin("capturemanager").suspend_global_capture()
            child = subprocess.Popen(["sleep", "600"])
            open("pid", "w").write(str(child.pid))
            config.pluginmanager.getplugin("capturemanager").resume_global_capture()
        """,
    )
    started = time.monotonic()
    observe(settings_of(project), suite="observe", record=project.root / "r.json")
    assert time.monotonic() - started < 30
    pid = int((project.root / "pid").read_text())
    eventually(lambda: os_state(pid) in (None, "Z", "X"), "it lives on")


@pytest.mark.slow
def test_a_run_that_does_not_end_is_ended(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Politely at first: it may leave what it has seen."""
    monkeypatch.setattr(launch, "GRACE_S", -16.0)
    project.budgets = {"total_s": 20}
    project.check(
        "@probe(budget_s=19)\ndef hangs(): threading.Event().wait()\n@finding('x.y')\ndef check_it(hangs): pass\n"
    )
    launched = observe(settings_of(project), suite="observe", record=project.root / "r.json")
    assert "SIGTERM" in launched.observation.interrupted
    assert launched.observation.verdict is Verdict.UNKNOWN
    project.write("conftest.py", "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)")
    monkeypatch.setattr(launch, "END_GRACE_S", 0.5)
    with pytest.raises(ObservationFailed, match="did not end within 4 s"):
        observe(settings_of(project), suite="observe", record=project.root / "r2.json")


@pytest.mark.parametrize("quiet", [True, False])
def test_interrupting_us_leaves_what_the_run_has_seen(project: Project, quiet: bool) -> None:
    """Ctrl-C while `ops observe` waits."""
    project.check(
        CHECKS
        + "\n@probe(budget_s=19)\ndef hangs(): threading.Event().wait()\n@finding('x.h')\ndef check_z(hangs): pass\n"
    )
    settings = settings_of(project)
    program = (
        "import sys; from pathlib import Path; from ops_core.config import load_settings;"
        "from ops_core.observation.launch import observe;"
        f"observe(load_settings(Path({str(settings.path)!r})), suite='observe', record=Path('r.json'), quiet={quiet})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    eventually(
        lambda: '"seen":true' in "".join(p.read_text() for p in project.root.glob("r.journal.jsonl")), "nothing seen"
    )
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    report = json.loads((project.root / "r.json").read_text())
    judged = {j["check"]: j["judged"] for j in report["runbook"]["judgements"]}
    assert set(judged) == {"check_one", "check_two", "check_z"}
    assert judged["check_z"] == "unknown"
    assert report["runbook"]["interrupted"]


def test_an_unknown_suite_is_told(project: Project) -> None:
    """With those there are."""
    with pytest.raises(UsageError, match="there is no suite 'nobody'") as error:
        observe(settings_of(project), suite="nobody", record=project.root / "r.json")
    assert "observe" in error.value.allowed


def test_the_shipped_suite_is_taken_where_the_configuration_names_it(project: Project) -> None:
    """Beside the user's own."""
    assert suite_paths(settings_of(project), "observe") == (project.root / "checks",)
    project.suites = ("observe",)
    own, shipped = suite_paths(settings_of(project), "observe")
    assert own == project.root / "checks"
    assert (shipped / "check_health.py").is_file()


def test_no_secret_is_on_the_command_line(project: Project) -> None:
    """Names and paths only."""
    project.tables = "[profiles.default.secrets]\nA = { env = 'A' }\n"
    line = command_line(settings_of(project), "observe", project.root / "r.json")
    assert all(isinstance(part, str) for part in line)
    assert line[1:3] == ["-m", "pytest"]
