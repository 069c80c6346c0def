"""What the server asks of a process of its own: one JSON object on standard input, bounded, in no argument list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ops_core.errors import UsageError

REQUEST_MAX_BYTES = 65_536


def object_of(raw: bytes) -> dict[str, Any] | None:
    """The object in those bytes; None where there is none, or more than is read."""
    try:
        told = json.loads(raw) if len(raw) <= REQUEST_MAX_BYTES else None
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def texts_of(raw: bytes, names: Sequence[str], what: str) -> dict[str, str]:
    """A request that is exactly these texts.

    Args:
        raw: as it was sent.
        names: of its fields.
        what: it asks for, in words.

    Raises:
        UsageError: it is none.
    """
    told = object_of(raw)
    if told is None or set(told) != set(names) or not all(isinstance(one, str) for one in told.values()):
        raise UsageError(f"this is no request for {what}", where="stdin", allowed=f"JSON with {', '.join(names)}")
    return told
