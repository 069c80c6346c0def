"""What a user gets: the wheel is built from the project's files, installed into a fresh environment, and used there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from support import ROOT, project_files

pytestmark = pytest.mark.slow

CONTENT = {"checks", "deploy", "remediations", "templates", "ops.toml"}


def run(*argv: str | Path, cwd: Path, expect: int = 0) -> str:
    """Run a program away from this environment, and return what it printed."""
    left_out = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environ = {k: v for k, v in os.environ.items() if k not in left_out and not k.startswith(("OPS_", "PYTEST_"))}
    done = subprocess.run([str(one) for one in argv], check=False, capture_output=True, text=True, cwd=cwd, env=environ)
    assert done.returncode == expect, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(folder: Path, *targets: str) -> None:
    """Build into `folder/dist` with the locked hatchling: nothing is fetched."""
    chosen = [part for target in targets for part in ("-t", target)]
    run(sys.executable, "-m", "hatchling", "build", "-d", "dist", *chosen, cwd=folder)


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel, without the record of its hashes."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's files, built: `dist` holds the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("project")
    for path in project_files():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    build(folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """The wheel as built from the project's files."""
    [built] = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of a fresh environment with the locked dependencies and the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    scripts = folder / "bin"
    pip = (scripts / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "run.txt", cwd=folder)
    before = packages(folder)
    run(*pip, "--no-deps", wheel, cwd=folder)
    (folder / "added").write_text("\n".join(sorted(packages(folder) - before)), encoding="utf-8")
    return scripts


def packages(environment: Path) -> set[str]:
    """What lies in an environment's site-packages."""
    [folder] = environment.glob("lib/python3.*/site-packages")
    return {path.name for path in folder.iterdir() if path.name != "__pycache__"}


def test_the_wheel_holds_the_package_and_its_content(source: Path, wheel: Path) -> None:
    """In the wheel are ops_core, and inside it, as data, checks, contracts, remediations, templates and ops.toml. No more."""
    expected = set()
    for path in source.rglob("*"):
        name = str(path.relative_to(source))
        if not path.is_file():
            continue
        top = name.partition("/")[0]
        if top == "ops_core":
            expected.add(name)
        elif top in CONTENT or name.startswith("docs/contracts/"):
            expected.add(f"ops_core/content/{name}")
    assert {name for name in contents(wheel) if ".dist-info/" not in name} == expected
    assert {"ops_core/py.typed", "ops_core/content/ops.toml"} <= expected
    assert not [name for name in expected if "__pycache__" in name]


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """The metadata name the licence, the oldest Python, the command and the pytest plugin."""
    files = contents(wheel)
    [prefix] = {name.partition("/")[0] for name in files if ".dist-info/" in name}
    metadata = Parser().parsestr(files[f"{prefix}/METADATA"].decode())
    assert (metadata["Name"], metadata["License-Expression"], metadata["Requires-Python"]) == (
        "pytest-runbook",
        "MIT",
        ">=3.11",
    )
    entry_points = files[f"{prefix}/entry_points.txt"].decode()
    assert "[console_scripts]\nops = ops_core.cli:" in entry_points
    assert "[pytest11]\nrunbook = ops_core.pytest_plugin\n" in entry_points
    assert f"{prefix}/licenses/LICENSE" in files


def test_the_sdist_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    """A wheel built from the unpacked sdist has the same files with the same content."""
    [archive] = (source / "dist").glob("*.tar.gz")
    # Python 3.11 knows filters from its fourth patch on, Python 3.14 insists on one.
    filtered = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, **filtered)
    [unpacked] = tmp_path.iterdir()
    build(unpacked, "wheel")
    [again] = (unpacked / "dist").glob("*.whl")
    assert contents(again) == contents(wheel)


def test_an_installation_adds_one_package(installed: Path) -> None:
    """Installing adds ops_core and its metadata to site-packages: no `checks`, no `remediations`, no `tests`."""
    added = (installed.parent / "added").read_text(encoding="utf-8").split()
    assert [name.partition("-")[0] for name in added] == ["ops_core", "pytest_runbook"]
    run(installed / "python", "-m", "pip", "check", cwd=installed)


def test_the_command_works_from_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    """`ops --help` answers where there is neither an ops.toml nor a checkout."""
    assert "Commands:" in run(installed / "ops", "--help", cwd=tmp_path)


def test_an_ordinary_pytest_run_is_left_alone(installed: Path, tmp_path: Path) -> None:
    """With the plugin installed, a project that has no ops.toml is tested as ever."""
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n", encoding="utf-8")
    printed = run(installed / "python", "-m", "pytest", "-q", cwd=tmp_path)
    assert "1 passed" in printed
    assert not (tmp_path / "reports").exists()


def test_the_shipped_checks_stand_beside_the_users_own(installed: Path, tmp_path: Path) -> None:
    """In a repository that `ops init` made, the suite holds the user's check and those inside the package."""
    run(installed / "ops", "init", cwd=tmp_path)
    argv = (installed / "python", "-m", "pytest", "checks", "-m", "observe", "--collect-only", "-q")
    printed = run(*argv, cwd=tmp_path)
    assert "check_disk.py::" in printed
    assert "check_health.py::check_health_answers_200" in printed


def test_a_schedule_brings_its_scripts(installed: Path, tmp_path: Path) -> None:
    """From an installed package, `ops schedule install` puts the shipped scripts into the repository, and they run."""
    run(installed / "ops", "init", cwd=tmp_path)
    run(installed / "ops", "schedule", "install", "--synology", "--yes", cwd=tmp_path)
    for name in ("run_ops.sh", "run_ops_cycle.sh", "run_daily_ops.sh"):
        assert (tmp_path / "deploy" / name).read_bytes() == (ROOT / "deploy" / name).read_bytes()
    script = tmp_path / "deploy" / "run_ops_cycle.sh"
    printed = run("/usr/bin/env", f"OPS_PROGRAM={installed / 'ops'}", script, "--help", cwd=tmp_path)
    assert "Usage: ops cycle" in printed
