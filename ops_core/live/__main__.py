"""`python -m ops_core.live`: one live cycle in a process of its own, for the server.

The request, `{config, profile, actor}`, comes on standard input, the receipt goes to standard output. The exit code is
that of `ops live run`; where there is no receipt, the error is told in its four parts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops_core.control.requested import REQUEST_MAX_BYTES, texts_of
from ops_core.errors import OpsError

_FIELDS = ("actor", "config", "profile")


def main() -> int:
    """Read the request, run the live cycle, write the receipt."""
    try:
        request = texts_of(sys.stdin.buffer.read(REQUEST_MAX_BYTES + 1), _FIELDS, "a live cycle")
        receipt = _run(request)
    except OpsError as error:
        _say({**error.as_dict(), "exit_code": error.exit_code})
        return error.exit_code
    from ops_core.live.judging import EXIT_CODES, Result

    _say(receipt)
    return EXIT_CODES[Result(receipt["result"])]


def _run(request: Mapping[str, str]) -> dict[str, Any]:
    from ops_core.clock import SystemClock
    from ops_core.config import load_settings
    from ops_core.control.opening import plane_of
    from ops_core.live.run import run

    settings = load_settings(Path(request["config"]), request["profile"])
    return run(settings, plane_of(settings, SystemClock(), request["actor"]))


def _say(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
