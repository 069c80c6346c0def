"""On the way to the shipped checks nothing else is looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
from pathlib import Path
from ops_core.pytest_plugin.passage import Passages

SHIPPED = Path({shipped!r})

def pytest_configure(config):
    config.pluginmanager.register(Passages(SHIPPED, config.rootpath / "checks", config.rootpath))

def pytest_ignore_collect(collection_path):
    print("ASKED", collection_path)
"""


def collect(repository: Path, shipped: Path) -> str:
    """What a collection of the user's own and of the shipped checks prints."""
    (repository / "checks").mkdir(parents=True)
    (repository / "checks" / "test_own.py").write_text("def test_own(): pass\n")
    (repository / "conftest.py").write_text(CONFTEST.format(shipped=str(shipped)))
    (repository / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (shipped / "observe").mkdir(parents=True)
    (shipped / "observe" / "test_shipped.py").write_text("def test_shipped(): pass\n")
    for folder in (shipped.parent, shipped.parent.parent):
        (folder / "test_stranger.py").write_text("raise SystemExit('looked at')\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-s", "checks", str(shipped / "observe")]
    return subprocess.run(argv, cwd=repository, capture_output=True, text=True, check=False).stdout


def test_what_lies_beside_the_way_is_not_asked_about(tmp_path: Path) -> None:
    """Shipped and own checks are collected; what lies beside the shipped ones is not even asked about."""
    said = collect(tmp_path / "repository", tmp_path / "site" / "package" / "checks")
    assert "2 passed" in said
    assert "stranger" not in said


def test_an_environment_inside_the_repository_is_passed_through(tmp_path: Path) -> None:
    """Where the package is installed below the user's repository, both are collected all the same."""
    said = collect(tmp_path / "repository", tmp_path / "repository" / ".venv" / "site" / "package" / "checks")
    assert "2 passed" in said
    assert "stranger" not in said
