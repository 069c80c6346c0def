"""Runs one act in a process of its own, so that an emergency stop can end it whole."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

from ops_core.config import CONFIG_VARIABLE, PROFILE_VARIABLE, Settings
from ops_core.control.model import OUTBOX_MAX
from ops_core.errors import EXIT_REFUSED, EXIT_USAGE, OpsError, Refused, UsageError

SPARE_S = 120.0  # for starting, and for a cycle that waits until another one has its receipt
_KINDS: dict[int, type[OpsError]] = {EXIT_REFUSED: Refused, EXIT_USAGE: UsageError}


def launch(settings: Settings, module: str, request: dict[str, Any]) -> dict[str, Any]:
    """The receipt that `python -m module` writes for this request.

    Args:
        settings: what is served; the child reads the same file and profile.
        module: `ops_core.cycle` or `ops_core.push`.
        request: JSON values; they go by standard input, so that nothing of them stands in the process list.

    Raises:
        Refused: the guard said no.
        OpsError: it failed, or was ended.
    """
    told = json.dumps({**request, "config": str(settings.path), "profile": settings.profile})
    environ = {**os.environ, CONFIG_VARIABLE: str(settings.path), PROFILE_VARIABLE: settings.profile}
    code, out = _run([sys.executable, "-P", "-m", module], told.encode(), settings, environ)
    try:
        found = json.loads(out)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        raise Refused(
            f"it was ended before it could answer ({how})",
            where=module,
            next_step="look whether the emergency stop was engaged: GET /api/emergency_stop",
        )
    if "error" in found and "schema" not in found:
        kind = _KINDS.get(code, OpsError)
        raise kind(
            str(found["error"]),
            where=str(found.get("where", "")),
            allowed=str(found.get("allowed", "")),
            next_step=str(found.get("next", "")),
        )
    return found


def _run(argv: list[str], told: bytes, settings: Settings, environ: dict[str, str]) -> tuple[int, bytes]:
    """Its exit code and what it wrote. Its standard error is the server's: messages to the console go there."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=settings.root,
        env=environ,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(told, timeout=_limit_s(settings))
        except BaseException as error:
            # With all that it started: what is left would go on unseen.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise OpsError("it did not end in its time", where=argv[-1], next_step="ops estop engage") from None
    return process.returncode, out


def _limit_s(settings: Settings) -> float:
    """Longer than an act may take by its own limits: whoever is ended from here leaves a run to be completed."""
    sending_s = OUTBOX_MAX * settings.push.timeout_s
    return settings.cycle.budget_s + sending_s + SPARE_S
