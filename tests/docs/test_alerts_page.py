"""What docs/alerts.md shows is what happens: its lines are typed in their order, and answered as they say."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_control_plane import as_script, fits, typed
from tests.hostile import free_port
from tests.support import ROOT, need_program

pytestmark = pytest.mark.slow
LIMIT_S = 120


def test_every_line_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    """All commands of the page, typed in one shell in their order: each answers as shown."""
    commands = typed((ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"))
    assert len(commands) > 15
    for program in ("curl", "awk"):
        need_program(program)
    (tmp_path / "bin").mkdir()
    ops = tmp_path / "bin" / "ops"
    ops.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m ops_core.cli "$@"\n')
    ops.chmod(0o755)
    port = free_port()
    lines = ["set -u", "served=", "trap 'kill $served 2>/dev/null; wait' EXIT"]
    for number, (command, _) in enumerate(commands):
        lines += [as_script(command, port), f"code=$?; printf '\\n@@ {number}\\n'; (exit $code)"]
    (tmp_path / "page.sh").write_text("\n".join(lines) + "\n", encoding="utf-8")
    environ = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    environ |= {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        # In a session of its own: what the page started ends with it, however it ends.
        shell = subprocess.Popen(
            [need_program("bash"), "page.sh"], cwd=tmp_path, env=environ, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        shell.wait(LIMIT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    said = output.read_text(encoding="utf-8")
    told = re.split(r"\n?@@ \d+\n", said)
    assert len(told) == len(commands) + 1, told[-3:]
    wrong = [
        f"$ {command}\n{answer}"
        for (command, shown), answer in zip(commands, told, strict=False)
        if not fits(shown, [line for line in answer.strip("\n").splitlines() if line])
    ]
    assert not wrong, "\n".join(wrong)
    assert "s3cret-word" not in said
