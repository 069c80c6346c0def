"""References to what was recorded: looked up by their exact text, never joined to a path.

`live_cycle/<run id>`, `ops_summary/<run id>` and `split/<run id>` name receipts, `bundle/<bundle id>/<path>` a file of
a bundle that was put in force here. Any other text is simply not found, whatever is in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ops_core.config import Settings
from ops_core.control.audit import canonical
from ops_core.control.recorded import one_of
from ops_core.control.service import ControlPlane
from ops_core.control.store import Transaction
from ops_core.errors import Refused, UsageError
from ops_core.handoff import references
from ops_core.handoff.model import BundleRefused
from ops_core.live.receipts import ENDED, KIND

SCHEMA = "snapshot_v1"
REF_MAX_CHARS = references.REFERENCE_MAX_CHARS
# By the kind of a reference the act whose receipt it names.
RECEIPTS: Mapping[str, str] = MappingProxyType(
    {KIND: ENDED, "ops_summary": "ops_summary.written", "split": "split.ended"}
)
CONTENT_MAX_BYTES = 1 << 20
ALLOWED = f"{', '.join(f'{kind}/RUN_ID' for kind in RECEIPTS)}, {references.KIND}/BUNDLE_ID/FILE"


class NoSuchSnapshot(UsageError):
    """Nothing that was recorded has this reference."""


class SnapshotDamaged(Refused):
    """It was recorded, but what lies there now is gone or is not what was signed."""


def resolve(settings: Settings, plane: ControlPlane, ref: str) -> dict[str, Any]:
    """What a reference names.

    Returns:
        `{schema, ref, kind, sha256, size_bytes, encoding, content}`. `encoding` is `json`, `utf-8`, `base64`, or `none`
        where it is too large to be shown, and `content` None.

    Raises:
        NoSuchSnapshot: nothing that was recorded has this reference.
        SnapshotDamaged: it was recorded, and is not there any more as it was.
        StoreUnusable: the store cannot be used.
    """
    with plane.snapshot() as found:
        told = _receipt(found, ref) or _file(settings, found, ref)
    if told is None:
        raise NoSuchSnapshot(
            "nothing that was recorded has this reference",
            where="ref",
            allowed=ALLOWED,
            next_step="ops live latest and ops summary latest tell theirs as snapshot_ref",
        )
    return {"schema": SCHEMA, "ref": ref, **told}


def _receipt(found: Transaction, ref: str) -> dict[str, Any] | None:
    kind, _, run_id = ref.partition("/")
    if len(ref) > REF_MAX_CHARS or kind not in RECEIPTS or not run_id.isprintable():
        return None
    receipt = one_of(found, RECEIPTS[kind], run_id)
    if receipt is None:
        return None
    text = canonical(receipt).encode("ascii")
    return {"kind": kind, **_identity(text), "encoding": "json", "content": receipt}


def _file(settings: Settings, found: Transaction, ref: str) -> dict[str, Any] | None:
    try:
        resolved = references.resolve(settings, found, ref)
    except BundleRefused as error:
        raise SnapshotDamaged(
            error.refusal.what, where="ref", next_step=error.refusal.next_step or "ops handoff status"
        ) from None
    if resolved is None:
        return None
    return {"kind": references.KIND, **_identity(resolved.content), **_shown(resolved.content)}


def _identity(raw: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(raw).hexdigest(), "size_bytes": len(raw)}


def _shown(raw: bytes) -> dict[str, Any]:
    if len(raw) > CONTENT_MAX_BYTES:
        return {"encoding": "none", "content": None}
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"encoding": "base64", "content": base64.b64encode(raw).decode("ascii")}
    try:
        return {"encoding": "json", "content": json.loads(text, parse_constant=_no_number, parse_float=_finite)}
    except (ValueError, RecursionError):
        return {"encoding": "utf-8", "content": text}


def _no_number(_constant: str) -> Any:
    raise ValueError("no number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("no number")
    return number
