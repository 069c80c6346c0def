"""What docs/service.md shows is what happens: its lines are typed against a service that is well, or degraded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import HostileServer
from serving import DEGRADED, Service
from test_control_plane import fits
from test_reference import commands_there_are

from ops_core.decision.scan import findings_in

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console (\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
BASE = "http://localhost:8000"
SECRETS = {"POSTGRES_PASSWORD": "k8Jw2vQz7Rt5Lp0Xn4Bd", "API_KEY": "a7" * 3 + "Zq4Wn8Vb2Mx6Lc0Kd5Jf9Hg3Ts1Rp7Y", "JWT_SECRET": "nB5vC8xZ1mQ4wE7rT0yU3iO6pA9sD2fG5h"}  # fmt: skip


def typed(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


@pytest.mark.slow
def test_every_line_of_the_page_is_answered_as_shown(tmp_path: Path) -> None:
    """Commands of the page, typed in their order; what it promises about the exit code holds."""
    service = Service()
    server = HostileServer(service)
    base = server.url("")
    toml = re.search(r"^```toml\n# ops.toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert toml is not None
    (tmp_path / "ops.toml").write_text(toml[1].replace(BASE, base))
    (tmp_path / "checks").mkdir()
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, module in (("ops", "ops_core.cli"), ("pytest", "pytest")):
        (bin_ / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m {module} "$@"\n')
        (bin_ / name).chmod(0o755)
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    environ = {**kept, **SECRETS, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    wrong, codes = [], []
    try:
        for state, text in BLOCKS:
            service.ready = DEGRADED if state == "degraded" else Service().ready
            for command, shown in typed(text):
                done = subprocess.run(
                    ["/bin/sh", "-c", command.replace(BASE, base)],
                    cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False,
                )  # fmt: skip
                codes.append(done.returncode)
                said = [line for line in done.stdout.replace(base, BASE).splitlines() if line]
                if not fits(shown, said):
                    wrong.append(f"$ {command}\n{done.stdout}{done.stderr}")
    finally:
        server.close()
    assert not wrong, "\n".join(wrong)
    assert codes == [0, 1, 0, 0, 0, 0, 0]


def test_every_command_and_finding_of_the_page_is_one() -> None:
    """Commands have the options that the page gives them; the findings are those of the two suites."""
    there_are = dict(commands_there_are())
    for words in re.findall(r"`(ops [^`]+)`", PAGE):
        command = next(name for name in (" ".join(words.split()[:n]) for n in (3, 2)) if name in there_are)
        assert set(re.findall(r"--[a-z-]+", words)) <= there_are[command]
    raised = findings_in([ROOT / "checks" / "service", ROOT / "checks" / "bench"])
    named = set(re.findall(r"`([a-z_0-9]+\.[a-z_0-9]+)`", PAGE)) - {"ops.toml"}
    assert named <= raised.keys()
    told_elsewhere = ("release.", "config.", "rollout.", "incident.", "image.")
    assert {code for code in raised if not code.startswith(told_elsewhere)} <= named
