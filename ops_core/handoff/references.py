"""References to files of bundles: looked up among what was recorded, never joined to a path.

`bundle/<bundle id>/<path>` names a file of a bundle that was put in force on this host. A reference that is not spelled
so, or names anything that no recorded manifest does, is simply not found.
"""

from __future__ import annotations

from dataclasses import dataclass

from ops_core.config import Settings
from ops_core.control.store import Transaction
from ops_core.handoff import folder, installed, receipts
from ops_core.handoff.model import BUNDLE_ID, PATH_MAX_CHARS, BundleFile, Manifest, fit_path

KIND = "bundle"
REFERENCE_MAX_CHARS = PATH_MAX_CHARS + 64


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The file that a reference names, its content proven, and the bundle that it is of."""

    reference: str
    manifest: Manifest
    file: BundleFile
    content: bytes


def reference_of(bundle_id: str, path: str) -> str:
    """How a file of a bundle is referred to."""
    return f"{KIND}/{bundle_id}/{path}"


def split_reference(reference: str) -> tuple[str, str] | None:
    """The bundle's id and the path that a text refers to; None for any text that is no such reference."""
    if len(reference) > REFERENCE_MAX_CHARS:
        return None
    kind, _, rest = reference.partition("/")
    bundle_id, _, path = rest.partition("/")
    if kind != KIND or not BUNDLE_ID.fullmatch(bundle_id) or not fit_path(path):
        return None
    return bundle_id, path


def resolve(settings: Settings, found: Transaction, reference: str) -> Resolved | None:
    """The file that a reference names; None where nothing that was recorded bears that name.

    Raises:
        BundleRefused: it was recorded, but what lies there now is gone or is not what was signed.
    """
    parts = split_reference(reference)
    if parts is None:
        return None
    record = next((one for one in receipts.put_in_force(found) if one.bundle_id == parts[0]), None)
    if record is None:
        return None
    manifest = installed.recorded_manifest(settings, record)
    file = manifest.file(parts[1])
    if file is None:
        return None
    content = folder.content_of(settings.handoff.bundles_dir / record.bundle_id, file)
    return Resolved(reference=reference, manifest=manifest, file=file, content=content)
