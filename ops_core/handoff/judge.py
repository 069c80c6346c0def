"""Which bundles are taken: a pure judgement over a manifest, what was taken before, and the time.

Who signed it is asked before anything that it says is believed. One number counts up over all producers of a branch, so
an older bundle that is offered again is told from a newer one without any clock.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from ops_core.clock import isoformat
from ops_core.handoff.model import Manifest, Refusal, RefusalCode
from ops_core.handoff.signing import signed_by
from ops_core.operations import HandoffTable


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The bundle with the highest number that was ever taken here, and the digest of its manifest."""

    sequence: int
    digest: str


def judge(
    manifest: Manifest,
    *,
    handoff: HandoffTable,
    accepted: Accepted | None,
    held: Collection[str],
    now: datetime,
) -> Refusal | None:
    """Why that bundle is not taken now; None where it is.

    Args:
        manifest: as `parse_manifest` read it.
        handoff: whose bundles are taken, and how old or far in the future they may be.
        accepted: the newest one taken so far, whatever is in force now.
        held: the ids of those that were rolled back from.
        now: by the clock of this host.
    """
    return believed(manifest, handoff) or _repeated(manifest, accepted, held) or _in_time(manifest, handoff, now)


def believed(manifest: Manifest, handoff: HandoffTable) -> Refusal | None:
    """Why a manifest is not from one of the producers whose bundles are taken; None where it is."""
    key = handoff.producers.get(manifest.producer)
    if key is None:
        known = ", ".join(sorted(handoff.producers)) or "none is named in ops.toml"
        return Refusal(
            code=RefusalCode.WRONG_PRODUCER,
            what=f"the bundle says it is from {manifest.producer}, whose bundles are not taken here (taken: {known})",
            next_step="if that is right, add its public key under [profiles.NAME.handoff.producers]",
        )
    if not signed_by(manifest, key):
        return Refusal(
            code=RefusalCode.BAD_SIGNATURE,
            what=f"the signature is not one of {manifest.producer}: the manifest was changed, or somebody else made it",
            next_step=f"ask whoever operates {manifest.producer}; compare the keys with: ops handoff status there",
        )
    return None


def _repeated(manifest: Manifest, accepted: Accepted | None, held: Collection[str]) -> Refusal | None:
    if manifest.bundle_id in held:
        return Refusal(
            code=RefusalCode.HELD_BACK,
            what=f"bundle {manifest.bundle_id} was rolled back from, so it is held back until a newer one comes",
            next_step="publish a new one; or take this one all the same: ops handoff pull --again",
        )
    if accepted is None or manifest.sequence > accepted.sequence:
        return None
    if manifest.sequence == accepted.sequence and manifest.digest == accepted.digest:
        return None
    how = "another bundle with the number" if manifest.sequence == accepted.sequence else "an older bundle: its number"
    return Refusal(
        code=RefusalCode.REPLAYED,
        what=f"this is {how} {manifest.sequence}, and number {accepted.sequence} was taken here before",
        next_step="publish anew; to go back on purpose: ops handoff rollback",
    )


def _in_time(manifest: Manifest, handoff: HandoffTable, now: datetime) -> Refusal | None:
    if manifest.created > now + timedelta(seconds=handoff.skew_max_s):
        return Refusal(
            code=RefusalCode.FROM_THE_FUTURE,
            what=f"the bundle was made at {manifest.created_at}, and here it is {isoformat(now)}",
            next_step="one of the two clocks is wrong: compare `date -u` on both hosts, then publish anew",
        )
    until = manifest.fresh_until(handoff.fresh_hours)
    if now >= until:
        return Refusal(
            code=RefusalCode.STALE,
            what=f"the bundle was made at {manifest.created_at} and was good until {isoformat(until)}",
            next_step="publish anew on the producing host; if it just did, compare `date -u` on both hosts",
        )
    return None
