"""`python -m ops_core.push`: one live fire in a process of its own, so that an emergency stop can end it whole.

A JSON request on standard input, `{config, profile, actor, authorised}`; the JSON receipt on standard output. Nothing
of the request stands in the process list. The exit code is that of `ops live-fire run`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ops_core.clock import SystemClock
from ops_core.config import find_config, load_settings
from ops_core.control.requested import REQUEST_MAX_BYTES, object_of
from ops_core.errors import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, OpsError, UsageError

FIELDS = {"config": str, "profile": str, "actor": str, "authorised": bool}


def exit_code_of(outcome: str) -> int:
    """0 where everything was sent, 2 where a guard said no, else 3."""
    return {"FIRED": EXIT_DONE, "BLOCKED": EXIT_REFUSED, "STOPPED": EXIT_REFUSED}.get(outcome, EXIT_FAILED)


def read_request(raw: bytes) -> dict[str, Any]:
    """The request.

    Raises:
        UsageError: it is none.
    """
    allowed = "a JSON object of " + ", ".join(f"{name} ({kind.__name__})" for name, kind in FIELDS.items())
    request = object_of(raw)
    if request is None:
        raise UsageError("the request is not JSON", where="standard input", allowed=allowed)
    for name, value in request.items():
        if name not in FIELDS or type(value) is not FIELDS[name]:
            raise UsageError(f"the request holds {str(name)[:40]!r}", where="standard input", allowed=allowed)
    return request


def main() -> int:
    """Fire once, and write the receipt or the error."""
    from ops_core.control.opening import plane_of
    from ops_core.push import fire

    try:
        request = read_request(sys.stdin.buffer.read(REQUEST_MAX_BYTES + 1))
        settings = load_settings(find_config(Path.cwd(), request.get("config")), request.get("profile"))
        plane = plane_of(settings, SystemClock(), str(request.get("actor", "unknown")))
        receipt = fire(settings, plane, authorised=request.get("authorised", False))
    except OpsError as error:
        _say({**error.as_dict(), "exit_code": error.exit_code})
        return error.exit_code
    _say(receipt)
    return exit_code_of(str(receipt["outcome"]))


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
