"""An act in a process of its own: what it says is heard, and nothing of it is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_core.api import launch as launching
from ops_core.api.launch import launch
from ops_core.config import Settings, load_settings
from ops_core.errors import OpsError
from tests.operating import Site
from tests.support import eventually

SAYS = """
import json, sys
told = json.load(sys.stdin)
print("a message for the console", file=sys.stderr)
print(json.dumps({"schema": "receipt", "told": told["actor"], "argv": sys.argv[1:]}))
"""
HANGS = """
import pathlib, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
path = pathlib.Path("child.part")
path.write_text(str(child.pid))
path.rename("child")
time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A profile, and a folder from which modules can be started."""
    site = Site(tmp_path / "site").write()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return load_settings(site.root / "ops.toml", environ={})


def test_what_goes_to_the_console_is_heard(
    settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A channel that is this server's console must not end in a pipe that nobody reads."""
    (tmp_path / "says.py").write_text(SAYS)
    assert launch(settings, "says", {"actor": "ann"}) == {"schema": "receipt", "told": "ann", "argv": []}
    assert "a message for the console" in capfd.readouterr().err


def test_what_does_not_end_is_ended_with_all_that_it_started(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No child of it goes on unseen."""
    (tmp_path / "hangs.py").write_text(HANGS)
    limit = 0.5
    while not (settings.root / "child").exists():
        monkeypatch.setattr(launching, "_limit_s", lambda _settings, limit=limit: limit)
        with pytest.raises(OpsError, match="did not end in its time"):
            launch(settings, "hangs", {"actor": "ann"})
        limit *= 2
    child = int((settings.root / "child").read_text())

    def gone() -> bool:
        try:
            state = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state == "Z"

    eventually(gone, "the end of its child")
