"""The `command` instrument: runs an argument list, bounded in time and output, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from ops_core.errors import CannotLook
from ops_core.evidence import CommandEvidence
from ops_core.probes.instruments.context import Lookout

OUTPUT_MAX_BYTES = 16_384
REAP_WAIT_S = 0.2


class CommandInstrument:
    """Runs commands. There is no shell: an argument is an argument."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    async def run(self, *argv: str, cwd: Path | None = None) -> CommandEvidence:
        """Run `argv` and return its exit code and bounded output.

        The command gets its own process group; when the probe's budget ends, the group is killed.

        Raises:
            CannotLook: the program does not exist or cannot be started.
        """
        shown = tuple(self._lookout.redact.text(str(part)) for part in argv)
        self._lookout.actions.append({"instrument": "command", "argv": list(shown)})
        started = self._lookout.now()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise CannotLook(f"the command cannot be run: {why}", where=" ".join(shown)) from None
        try:
            assert process.stdout is not None  # noqa: S101  # asked for above; told to the type checker
            assert process.stderr is not None  # noqa: S101  # likewise
            (out, out_cut), (err, err_cut) = await asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
            code = await process.wait()
        finally:
            # Also after a good end: what it left in the background must not outlive the look.
            _kill_group(process.pid)
            if process.returncode is None:
                await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=REAP_WAIT_S)
        return CommandEvidence(
            argv=shown,
            exit_code=code,
            elapsed_ms=round((self._lookout.now() - started) * 1000, 3),
            stdout=self._lookout.redact.text(out.decode("utf-8", "replace"), cut=out_cut),
            stderr=self._lookout.redact.text(err.decode("utf-8", "replace"), cut=err_cut),
            truncated=out_cut or err_cut,
        )


async def _bounded(stream: asyncio.StreamReader) -> tuple[bytes, bool]:
    """The first 16 KiB of a stream; the rest is read and dropped, so that the command does not block."""
    kept, cut = bytearray(), False
    while part := await stream.read(65_536):
        room = OUTPUT_MAX_BYTES - len(kept)
        kept += part[:room]
        cut = cut or len(part) > room
    return bytes(kept), cut


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nobody is left, or who is left has become somebody else's.
        return
