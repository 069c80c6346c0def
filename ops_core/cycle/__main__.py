"""`python -m ops_core.cycle`: one cycle in a process of its own, for the server. Request on stdin, receipt on stdout.

The request is `{config, profile, actor, slot, request_types, authorised_to_fire}`. The exit code is that of `ops
cycle`; where there is no receipt, stdout holds the error in its four parts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops_core.control.requested import REQUEST_MAX_BYTES, object_of
from ops_core.errors import OpsError, UsageError

_KEYS = {"config", "profile", "actor", "slot", "request_types", "authorised_to_fire"}


def main() -> int:
    """Read the request, run the cycle, write the receipt."""
    try:
        receipt = _run(_request(sys.stdin.buffer.read(REQUEST_MAX_BYTES + 1)))
    except OpsError as error:
        _say({**error.as_dict(), "exit_code": error.exit_code})
        return error.exit_code
    from ops_core.cycle.sequence import EXIT_CODES, Outcome

    _say(receipt)
    return EXIT_CODES[Outcome(receipt["result"])]


def _request(raw: bytes) -> Mapping[str, Any]:
    """The request as it was sent.

    Raises:
        UsageError: it is none.
    """
    told = object_of(raw)
    types = told.get("request_types") if told is not None else None
    fit = (
        told is not None
        and set(told) <= _KEYS
        and all(isinstance(told.get(name), str) for name in ("config", "actor"))
        and all(told.get(name) is None or isinstance(told[name], str) for name in ("profile", "slot"))
        and isinstance(told.get("authorised_to_fire", False), bool)
        and (types is None or (isinstance(types, list) and all(isinstance(one, str) for one in types)))
    )
    if told is None or not fit:
        raise UsageError(
            "this is no request for a cycle", where="stdin", allowed=f"JSON with {', '.join(sorted(_KEYS))}"
        )
    return told


def _run(request: Mapping[str, Any]) -> dict[str, Any]:
    from ops_core.clock import SystemClock
    from ops_core.config import load_settings
    from ops_core.control.opening import plane_of
    from ops_core.cycle.run import run

    settings = load_settings(Path(request["config"]), request.get("profile"))
    types = request.get("request_types")
    return run(
        settings,
        plane_of(settings, SystemClock(), request["actor"]),
        slot=request.get("slot"),
        authorised_to_fire=request.get("authorised_to_fire", False),
        request_types=None if types is None else tuple(types),
    )


def _say(value: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
