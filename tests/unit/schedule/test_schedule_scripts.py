"""The scripts in deploy/: they really run, with a stand-in for ops, under the environment that cron gives."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT, need_program

SCRIPTS = sorted((ROOT / "deploy").rglob("*.sh"))
CRONS_PATH = "/usr/bin:/bin"
# Says where it runs and what it was given, one word a line, and ends as it is told.
STAND_IN = """\
#!/bin/sh
pwd
for word in "$@"; do echo "<$word>"; done
echo "from ops" >&2
exit "${STAND_IN_CODE:-0}"
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "it's my $HOME repository"
    (root / ".venv" / "bin").mkdir(parents=True)
    shutil.copytree(ROOT / "deploy", root / "deploy")
    stand_in(root / ".venv" / "bin" / "ops")
    return root


def stand_in(path: Path, text: str = STAND_IN) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def call(
    repository: Path, *words: str, script: str = "run_ops_cycle.sh", cwd: Path | str = "/", **environ: str
) -> subprocess.CompletedProcess[str]:
    argv = [str(repository / "deploy" / script), *words]
    return subprocess.run(
        argv, cwd=cwd, env={"PATH": CRONS_PATH, **environ}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def test_there_are_scripts() -> None:
    """Green on nothing is a defect; what a scheduler calls can be executed."""
    assert {path.name for path in SCRIPTS} >= {"run_ops_cycle.sh", "run_daily_ops.sh", "run_ops.sh", "daily_ops.sh"}
    assert all(os.access(path, os.X_OK) for path in SCRIPTS)
    assert (ROOT / "deploy" / "run_ops_cycle.ps1").is_file()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_and_the_shells_have_no_complaint(script: Path) -> None:
    """shellcheck with all its optional checks but style, `bash -n` and `sh -n`."""
    for argv in (
        [need_program("shellcheck"), "--severity=style", str(script)],
        ["bash", "-n", str(script)],
        ["sh", "-n", str(script)],
    ):
        done = subprocess.run(argv, capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_cycle_is_called_in_its_repository(repository: Path) -> None:
    """From any folder, with the PATH of cron: the verb, the slot, each argument whole, and nothing of the script's own."""
    done = call(repository, "--profile", "a b", "$x;'\"")
    assert done.stdout.splitlines() == [
        str(repository),
        "<cycle>",
        "<--slot>",
        "<now>",
        "<--profile>",
        "<a b>",
        "<$x;'\">",
    ]
    assert (done.returncode, done.stderr) == (0, "from ops\n")


def test_the_daily_checklist_is_called(repository: Path) -> None:
    """The other script calls the other verb."""
    done = call(repository, "--json", script="run_daily_ops.sh")
    assert done.stdout.splitlines() == [str(repository), "<daily>", "<--json>"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("oci/daily_ops.sh", ["<daily>", "<--split>"]),
        ("oci/check_live_cycle.sh", ["<daily>", "<--check>", "<live-cycle>"]),
        ("oci/check_ops_summary.sh", ["<daily>", "<--check>", "<summary>"]),
    ],
)
def test_the_operators_day_and_its_checks_are_called(repository: Path, script: str, words: list[str]) -> None:
    """From their own folder, by its path or through bash as it is typed, each argument whole."""
    done = call(repository, "--profile", "a b", script=script)
    assert done.stdout.splitlines() == [str(repository), *words, "<--profile>", "<a b>"]
    argv = ["bash", f"deploy/{script}"]
    done = subprocess.run(argv, cwd=repository, env={"PATH": CRONS_PATH}, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()) == (0, [str(repository), *words])


@pytest.mark.parametrize("code", [0, 1, 2, 3, 64])
@pytest.mark.parametrize("script", ["run_ops_cycle.sh", "run_daily_ops.sh", "oci/daily_ops.sh"])
def test_exit_codes_are_passed_on(repository: Path, script: str, code: int) -> None:
    """What ops says by its exit code reaches the scheduler unchanged."""
    assert call(repository, script=script, STAND_IN_CODE=str(code)).returncode == code


def test_it_is_found_relative_and_through_a_shell(repository: Path) -> None:
    """Called by a relative path, or as an argument of sh, it finds its repository all the same."""
    for argv in (["./run_ops_cycle.sh"], ["sh", "run_ops_cycle.sh"], ["bash", "deploy/../run_ops_cycle.sh"]):
        folder = repository / "deploy"
        (folder / "deploy").mkdir(exist_ok=True)
        done = subprocess.run(argv, cwd=folder, env={"PATH": CRONS_PATH}, capture_output=True, text=True)
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, str(repository))


def test_ops_comes_from_path_or_by_name(repository: Path, tmp_path: Path) -> None:
    """Without an environment in the repository, ops of PATH is taken; OPS_PROGRAM names another and wins."""
    (tmp_path / "bin").mkdir()
    shutil.move(repository / ".venv" / "bin" / "ops", tmp_path / "bin" / "ops")
    path = f"{tmp_path / 'bin'}:{CRONS_PATH}"
    assert call(repository, PATH=path).returncode == 0
    other = stand_in(tmp_path / "other ops" / "ops", "#!/bin/sh\necho other\n")
    assert call(repository, PATH=path, OPS_PROGRAM=str(other)).stdout == "other\n"


@pytest.mark.parametrize("environ", [{}, {"OPS_PROGRAM": "/nowhere/ops"}])
def test_without_ops_it_fails_and_says_where_it_looked(repository: Path, environ: dict[str, str]) -> None:
    """No ops is an operational failure, with the places that were looked at and what to do."""
    (repository / ".venv" / "bin" / "ops").unlink()
    done = call(repository, **environ)
    assert (done.returncode, done.stdout) == (3, "")
    assert "ops: ops cannot be found" in done.stderr
    assert environ.get("OPS_PROGRAM", f"{repository}/.venv/bin/ops") in done.stderr
    assert "next     install pytest-runbook" in done.stderr


def test_an_ops_that_cannot_be_started_is_a_failure(repository: Path) -> None:
    """Exit codes of the shell's own do not get out."""
    stand_in(repository / ".venv" / "bin" / "ops", "#!/nowhere/python\n")
    done = call(repository)
    assert done.returncode == 3
    assert "ops: ops cannot be started" in done.stderr


def test_a_run_without_end_is_ended(repository: Path) -> None:
    """What takes longer than the limit is stopped with all that it started, and that is a failure."""
    stand_in(repository / ".venv" / "bin" / "ops", "#!/bin/sh\necho begun\nsleep 600 &\nwait\n")
    done = call(repository, OPS_RUN_LIMIT_S="1")
    # stdout is at its end only when nobody holds it any more: the background process has ended too.
    assert (done.returncode, done.stdout) == (3, "begun\n")
    assert "ops: ops did not end within 1 s and was stopped" in done.stderr


def test_a_killed_ops_is_a_failure(repository: Path) -> None:
    """An ops that something kills ends with 3, not with a code that nobody knows."""
    stand_in(repository / ".venv" / "bin" / "ops", "#!/bin/sh\nkill -9 $$\n")
    done = call(repository)
    assert done.returncode == 3
    assert "ops: ops was killed by signal 9" in done.stderr


@pytest.mark.parametrize("limit", ["", "0", "-1", "1h", "1;id"])
def test_a_limit_that_is_none_is_refused(repository: Path, limit: str) -> None:
    """A run without a bound, or with a made-up one, does not begin; an empty one is the usual one."""
    done = call(repository, OPS_RUN_LIMIT_S=limit)
    assert done.returncode == (3 if limit else 0)


def test_without_timeout_it_runs_all_the_same(repository: Path, tmp_path: Path) -> None:
    """Where there is no `timeout`, ops runs unbounded from outside; it has budgets of its own."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "sh"):
        (tools / name).symlink_to(need_program(name))
    assert call(repository, PATH=str(tools), STAND_IN_CODE="2").returncode == 2
