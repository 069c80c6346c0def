"""Puts a bundle in force: staged and proven whole, armed in the record, swapped in with one rename, recorded.

Killed at any point, the link names one whole bundle: the one before, or the new one. Whoever takes the turn next
records what the one that was killed had brought about, and clears away what it left lying around.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.config import Settings
from ops_core.control import files, model
from ops_core.control.audit import AuditRow
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError, Refused
from ops_core.handoff import folder, installed, receipts
from ops_core.handoff.judge import Accepted
from ops_core.handoff.model import FILES_FOLDER, MANIFEST_NAME, BundleFile, BundleRefused, Manifest
from ops_core.handoff.receipts import Outcome, Recorded

KEEP = 5
INCOMING, GONE = ".incoming-", ".gone-"
CUT_OFF = "the process that did it is gone: it was killed, or its host went down; what was in force stayed"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@dataclass(frozen=True, kw_only=True)
class Arming:
    """What is about to be put in force, and why it may be.

    Attributes:
        act: pull or rollback.
        manifest: of the bundle.
        commit: where it came from; empty where it was kept here.
        held_back: the id of the bundle that is rolled back from; empty otherwise.
        stoppable: whether an emergency stop keeps it from happening.
    """

    act: str
    manifest: Manifest
    commit: str = ""
    held_back: str = ""
    stoppable: bool = True


def stage(settings: Settings, manifest: Manifest, content: Callable[[BundleFile], bytes]) -> None:
    """Have the bundle lie whole under its name, without putting it in force.

    Args:
        settings: the profile.
        manifest: of the bundle, judged before.
        content: hands out what each file holds; nothing of it is believed.

    Raises:
        BundleRefused: a file is not what the manifest says.
        OpsError: it cannot be written.
    """
    bundles = settings.handoff.bundles_dir
    with contextlib.suppress(BundleRefused):
        # It was here before, and is whole still.
        installed.proven(settings, manifest.bundle_id, manifest.digest)
        return
    incoming = bundles / f"{INCOMING}{secrets.token_hex(8)}"
    try:
        files.make_folder(bundles)
        incoming.mkdir(mode=0o700)
        for one in manifest.files:
            data = content(one)
            one.prove(data)
            path = incoming / FILES_FOLDER / one.path
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.write_file(path, (data,))
        folder.write_file(incoming / MANIFEST_NAME, (manifest.as_bytes(),))
        folder.sync_folders(incoming)
        folder.verify(incoming)
        _take_the_name(incoming, bundles / manifest.bundle_id)
        files.sync_folder(bundles)
    except OSError as error:
        raise OpsError(
            f"the bundle cannot be written: {error.strerror or error}",
            where=str(bundles),
            next_step="what was in force is still; make room or set the rights right, then: ops handoff pull",
        ) from None
    finally:
        _remove(incoming)


def put_in_force(
    settings: Settings, plane: ControlPlane, receipt: dict[str, Any], arming: Arming, **fields: object
) -> dict[str, Any]:
    """Arm, swap and record; the receipt.

    Raises:
        Refused: the emergency stop was engaged; nothing was put in force.
        OpsError: the link cannot be changed; what was in force stays.
        StoreUnusable: it cannot be recorded. Armed, the next one that comes will.
    """
    manifest, bundles = arming.manifest, settings.handoff.bundles_dir
    with plane.transaction() as tx:
        why = model.why_stopped(plane.counting(tx.state))
        if why and arming.stoppable:
            raise Refused(why, where=plane.location.shown, next_step=model.RELEASE_COMMAND)
        before = receipts.recorded_in_force(tx)
        accepted = _highest(before, Accepted(sequence=manifest.sequence, digest=manifest.digest))
        armed = {
            **receipt,
            **fields,
            "act": arming.act,
            "bundle_id": manifest.bundle_id,
            "manifest_digest": manifest.digest,
            "sequence": manifest.sequence,
            "producer": manifest.producer,
            "created_at": manifest.created_at,
            "source_revision": manifest.source_revision,
            "files_total": len(manifest.files),
            "bytes_total": manifest.bytes_total,
            "files": [one.as_dict() for one in manifest.files[: receipts.FILES_SHOWN]],
            "commit": arming.commit,
            "previous": _before(before, manifest.bundle_id),
            "held_back": arming.held_back or None,
            "accepted": {"sequence": accepted.sequence, "digest": accepted.digest},
        }
        tx.audit(
            at=plane.clock.now(),
            actor=plane.actor,
            action=receipts.ARMED,
            subject=str(receipt["run_id"]),
            detail=armed,
        )
    try:
        installed.swap(bundles, manifest.bundle_id)
    except OSError as error:
        # It may have changed all the same: what it names is what is in force.
        if installed.linked(bundles) != manifest.bundle_id:
            raise OpsError(f"the link cannot be changed: {error.strerror}", where=str(bundles)) from None
    done = _recorded(settings, plane, armed)
    prune(settings, plane)
    return done


def finish(settings: Settings, plane: ControlPlane) -> dict[str, Any] | None:
    """Record what became of an act that was killed, and clear away what it left; the receipt, if there was one.

    Raises:
        StoreUnusable: the store cannot be used.
    """
    bundles = settings.handoff.bundles_dir
    with plane.snapshot() as found:
        armed = receipts.armed_open(found)
    done = None if armed is None else _finished(settings, plane, armed)
    for left in (*bundles.glob(f"{INCOMING}*"), *bundles.glob(f"{GONE}*")):
        _remove(left)
    for left in bundles.glob(f".{installed.LINK}.*"):
        with contextlib.suppress(OSError):
            left.unlink()
    return done


def prune(settings: Settings, plane: ControlPlane) -> None:
    """Remove the bundles that are no longer kept: all but the one in force, the one before, and five more.

    Raises:
        StoreUnusable: the record of what was in force cannot be read; nothing is removed.
    """
    bundles = settings.handoff.bundles_dir
    with plane.snapshot() as found:
        records = receipts.put_in_force(found)
    wanted = set(list(dict.fromkeys(one.bundle_id for one in records))[: KEEP + 1])
    wanted |= {one.previous for one in records[:1]} | {installed.linked(bundles) or ""}
    for name in installed.kept(settings):
        if name not in wanted:
            # Under another name first: what bears the name of a bundle is a whole one.
            gone = bundles / f"{GONE}{secrets.token_hex(8)}"
            with contextlib.suppress(OSError):
                (bundles / name).replace(gone)
            _remove(gone)


def _finished(settings: Settings, plane: ControlPlane, armed: AuditRow) -> dict[str, Any]:
    told = {**armed.data, "recovered": True}
    if installed.linked(settings.handoff.bundles_dir) == told.get("bundle_id"):
        return _recorded(settings, plane, told)
    action = receipts.PULL_FAILED if told.get("act") == "pull" else receipts.ROLLBACK_FAILED
    return receipts.record(plane, settings, action, told, outcome=Outcome.FAILED.value, reason=CUT_OFF)


def _recorded(settings: Settings, plane: ControlPlane, armed: dict[str, Any]) -> dict[str, Any]:
    if armed["act"] == "pull":
        return receipts.record(plane, settings, receipts.INSTALLED, armed, outcome=Outcome.INSTALLED.value)
    return receipts.record(plane, settings, receipts.ROLLED_BACK, armed, outcome=Outcome.ROLLED_BACK.value)


def _highest(before: Recorded | None, now: Accepted) -> Accepted:
    if before is None or now.sequence > before.accepted.sequence:
        return now
    return before.accepted


def _before(before: Recorded | None, bundle_id: str) -> str:
    """What this one replaces; of one that is only put right, what that one replaced."""
    if before is None:
        return ""
    return before.previous if before.bundle_id == bundle_id else before.bundle_id


def _take_the_name(incoming: Path, final: Path) -> None:
    """Give a whole bundle its name, also where a damaged one bears it: then the two change places at once.

    Raises:
        OSError: it cannot be done.
    """
    if not files.exists(final):
        incoming.rename(final)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    names = (ctypes.c_int(_AT_FDCWD), os.fsencode(incoming), ctypes.c_int(_AT_FDCWD), os.fsencode(final))
    if libc.renameat2(*names, ctypes.c_uint(_RENAME_EXCHANGE)) == 0:
        return
    # Where a file system cannot exchange: what lies there is damaged, so nobody relies on it.
    final.rename(final.with_name(f"{GONE}{secrets.token_hex(8)}"))
    incoming.rename(final)


def _remove(path: Path) -> None:
    """Remove whatever bears that name; a link is never followed. What cannot be removed is left for the next one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
