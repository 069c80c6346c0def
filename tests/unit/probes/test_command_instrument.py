"""Commands run by their argument list, bounded, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from support import eventually

from ops_core.errors import CannotLook
from ops_core.probes.instruments.command import OUTPUT_MAX_BYTES, CommandInstrument
from ops_core.probes.instruments.context import Lookout
from ops_core.probes.instruments.process import os_state

PYTHON = sys.executable


def run(lookout: Lookout, *argv, **more):
    return asyncio.run(CommandInstrument(lookout).run(*argv, **more))


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting for it a while."""
    eventually(lambda: os_state(pid) in (None, "Z", "X"), f"process {pid} does not end")
    return True


def test_exit_code_and_output_are_seen(lookout: Lookout, tmp_path: Path) -> None:
    """Both streams, the code, the folder; and that no shell looked at the arguments."""
    code = "import os, sys; print(sys.argv[1], os.getcwd()); print('err', file=sys.stderr); sys.exit(3)"
    seen = run(lookout, PYTHON, "-c", code, "$HOME; `id`", cwd=tmp_path)
    assert (seen.exit_code, seen.ok, seen.truncated) == (3, False, False)
    assert seen.stdout == f"$HOME; `id` {tmp_path}\n"
    assert seen.stderr == "err\n"
    assert seen.explain().endswith("exit 3, err")
    assert run(lookout, "true").ok


def test_output_without_end_is_bounded_and_does_not_block_the_command(lookout: Lookout) -> None:
    """Fifty megabytes are read and sixteen kilobytes kept."""
    seen = run(lookout, PYTHON, "-c", "import sys; [sys.stdout.write('x' * 1_000_000) for _ in range(50)]")
    assert seen.exit_code == 0
    assert len(seen.stdout) == OUTPUT_MAX_BYTES
    assert seen.truncated


@pytest.mark.parametrize("argv", [("/no/such/program",), ("",), ("true", "a\0b"), (str(Path(__file__)),)])
def test_what_cannot_be_run_is_not_seen(lookout: Lookout, argv: tuple[str, ...]) -> None:
    """Missing, not executable, not an argument."""
    with pytest.raises(CannotLook, match="the command cannot be run"):
        run(lookout, *argv)


def test_a_cancelled_command_is_killed_with_all_its_children(lookout: Lookout, tmp_path: Path) -> None:
    """The whole group, also a child that ignores the polite signals."""
    pids = tmp_path / "pids"
    code = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r} + '.part', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids)!r} + '.part', {str(pids)!r})\n"
        "time.sleep(600)"
    )

    async def cancel() -> None:
        task = asyncio.create_task(CommandInstrument(lookout).run(PYTHON, "-c", code))
        while not pids.exists():
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_what_a_command_leaves_in_the_background_ends_with_it(lookout: Lookout) -> None:
    """A look must not leave processes on the machine."""
    seen = run(lookout, "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!")
    assert seen.exit_code == 0
    assert gone(int(seen.stdout))


def test_secrets_are_masked_in_arguments_and_output(lookout: Lookout) -> None:
    """Also where the output was cut within one."""
    seen = run(lookout, PYTHON, "-c", "import sys; print('a' * (16384 - 7) + sys.argv[1])", "correct-horse-battery")
    assert "correct" not in repr(seen) + repr(list(lookout.actions))
    assert seen.stdout.endswith("[redacted]")


def test_the_command_inherits_no_input(lookout: Lookout) -> None:
    """Who asks for a password gets none, at once."""
    assert run(lookout, "cat").stdout == ""
    assert os.isatty(0) in (True, False)
