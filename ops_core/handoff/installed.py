"""What is in force on the operator's host: the bundle that the link `current` names, proven anew whenever it is asked.

The link alone decides what is in force, and it changes in one rename. The record says what it ought to name: a link
that somebody else set, a file that somebody changed and a signature that is none are all told, and nothing is read from
such a bundle.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ops_core.clock import SystemClock
from ops_core.config import Settings
from ops_core.control import files, model, opening
from ops_core.control.store import Transaction
from ops_core.errors import OpsError
from ops_core.handoff import folder, receipts
from ops_core.handoff.judge import believed
from ops_core.handoff.model import BUNDLE_ID, BundleFile, BundleRefused, Manifest, RefusalCode
from ops_core.handoff.receipts import Recorded

LINK = "current"
LINK_MAX_CHARS = 255


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The bundle in force. Where there is a `problem`, nothing in it is to be relied on, and `code` says of what kind.

    Attributes:
        bundle_id: as the record has it, or what the link names where nothing is recorded.
        manifest: what it says of itself; None where that cannot be read.
        path: its folder.
        since: when it was put in force; empty where that is not recorded.
        run_id: which run did it.
        commit: the commit that it came from.
        fresh_until: until when it is worth something.
    """

    bundle_id: str
    manifest: Manifest | None
    path: Path
    problem: str = ""
    code: RefusalCode | None = None
    since: str = ""
    run_id: str = ""
    commit: str = ""
    fresh_until: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is whole and still worth something."""
        return not self.problem and self.fresh_until is not None and now < self.fresh_until

    def content(self, file: BundleFile) -> bytes:
        """The content of one of its files, proven while it is read.

        Raises:
            BundleRefused: it is not what the manifest says.
        """
        return folder.content_of(self.path, file)


def in_force(settings: Settings, found: Transaction | None = None) -> InForce | None:
    """What is in force, proven from the disk, the signature and the record; None where nothing ever was.

    Args:
        settings: the profile.
        found: the store as it is at one instant; opened here unless given. One that cannot be read is a problem then.

    Raises:
        StoreUnusable: the store that was given does not prove itself.
    """
    try:
        here = _looked(settings) if found is None else _in_force(settings, found)
        if here is not None and here.problem:
            # Somebody may have put another one in force between reading the record and the link: then a second look,
            # at a record that is newer than that, finds nothing wrong.
            with contextlib.suppress(OpsError):
                here = _looked(settings)
    except OpsError as error:
        if found is not None:
            raise
        return _unproven(settings, error)
    return here


def linked(bundles: Path) -> str | None:
    """What the link names; None where there is none, and an empty text where something else bears its name."""
    try:
        return str((bundles / LINK).readlink())[:LINK_MAX_CHARS]
    except FileNotFoundError:
        return None
    except OSError:
        return ""


def swap(bundles: Path, bundle_id: str) -> None:
    """Have the link name another bundle, at once and lastingly.

    Raises:
        OSError: it still names what it named.
    """
    temporary = bundles / f".{LINK}.{secrets.token_hex(8)}"
    try:
        temporary.symlink_to(bundle_id)
        temporary.replace(bundles / LINK)
        files.sync_folder(bundles)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def proven(settings: Settings, bundle_id: str, digest: str = "") -> Manifest:
    """The manifest of a bundle that is kept, proven from the disk and the signature, and to be the one of that digest.

    Raises:
        BundleRefused: it is not whole, not signed by a producer whose bundles are taken, or another one.
    """
    if not BUNDLE_ID.fullmatch(bundle_id):
        raise BundleRefused(RefusalCode.NOT_A_BUNDLE, "that is not the id of a bundle")
    manifest = folder.verify(settings.handoff.bundles_dir / bundle_id)
    refusal = believed(manifest, settings.handoff)
    if refusal is not None:
        raise BundleRefused(refusal.code, refusal.what, refusal.next_step)
    if manifest.bundle_id != bundle_id or (digest and manifest.digest != digest):
        raise BundleRefused(RefusalCode.TAMPERED, "it is another bundle than the one that was recorded")
    return manifest


def recorded_manifest(settings: Settings, record: Recorded) -> Manifest:
    """The manifest of a bundle that was put in force, proven to be the recorded one. Its files are not looked at.

    Raises:
        BundleRefused: it is gone, or another one.
    """
    manifest = folder.read_manifest(settings.handoff.bundles_dir / record.bundle_id)
    if manifest.digest != record.manifest_digest:
        raise BundleRefused(RefusalCode.TAMPERED, "it is another bundle than the one that was recorded")
    return manifest


def kept(settings: Settings) -> Iterator[str]:
    """The ids of the bundles that lie on this host, whether whole or not, the newest first."""
    try:
        names = sorted((one.name for one in settings.handoff.bundles_dir.iterdir()), reverse=True)
    except OSError:
        return
    yield from (name for name in names if BUNDLE_ID.fullmatch(name))


def _looked(settings: Settings) -> InForce | None:
    with opening.plane_of(settings, SystemClock(), model.NOBODY).snapshot() as found:
        return _in_force(settings, found)


def _unproven(settings: Settings, error: OpsError) -> InForce | None:
    name = linked(settings.handoff.bundles_dir)
    if name is None:
        return None
    return InForce(
        bundle_id=name,
        manifest=None,
        path=settings.handoff.bundles_dir / LINK,
        problem=f"the record cannot be read, so nothing proves what is in force: {error.what}",
    )


def _in_force(settings: Settings, found: Transaction) -> InForce | None:
    bundles = settings.handoff.bundles_dir
    record, name = receipts.recorded_in_force(found), linked(bundles)
    armed = receipts.armed_open(found)
    if armed is not None and armed.data.get("bundle_id") == name:
        # Whoever swapped the link was killed before it could say so; what was armed was recorded to be right.
        record = Recorded.of(armed)
    if record is None:
        if name is None:
            return None
        return InForce(
            bundle_id=name,
            manifest=None,
            path=bundles / LINK,
            problem=f"{LINK} names something that was never put in force by this program",
            code=RefusalCode.TAMPERED,
        )
    here = InForce(
        bundle_id=record.bundle_id,
        manifest=None,
        path=bundles / record.bundle_id,
        since=record.at,
        run_id=record.run_id,
        commit=record.commit,
    )
    if name != record.bundle_id:
        told = f"the link {LINK} is gone" if name is None else f"{LINK} names {ascii(name)[:80]}"
        told = f"{told}, and {record.bundle_id} was put in force"
        return replace(here, problem=told, code=RefusalCode.TAMPERED)
    try:
        manifest = proven(settings, record.bundle_id, record.manifest_digest)
    except BundleRefused as error:
        return replace(here, problem=error.refusal.what, code=error.refusal.code)
    return replace(here, manifest=manifest, fresh_until=manifest.fresh_until(settings.handoff.fresh_hours))
