"""Publishes a bundle: runs the steps, looks at what they made, signs it, and hands over one commit.

Nothing is handed over unless every step did what it should and every result is what it has to be. The commit changes
nothing but the folder of the hand-off; where somebody else was quicker it is made anew on what lies there then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ops_core.clock import Clock, isoformat
from ops_core.config import Settings, read_secret
from ops_core.control import model
from ops_core.control.running import Work, registered
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError, Refused, UsageError
from ops_core.handoff import lock, receipts
from ops_core.handoff.git import Exchange, folder_of
from ops_core.handoff.git_run import GitFailed
from ops_core.handoff.model import (
    FILES_FOLDER,
    MANIFEST_NAME,
    SEQUENCE_MAX,
    BundleFile,
    BundleRefused,
    Manifest,
    new_manifest,
)
from ops_core.handoff.pull import BUSY_S, KIND, Offered, offered, prove_offered
from ops_core.handoff.receipts import Outcome
from ops_core.handoff.results import Result, check, check_made, collect
from ops_core.handoff.signing import public_key_of, signed, signed_by
from ops_core.handoff.steps import StepFailed, run_steps

ATTEMPTS_MAX = 8
PAUSE_S = 0.1
# Results that did not change are handed over anew before the ones that lie there are worth nothing any more.
RENEWED_AFTER = 0.5
CUT_OFF = "the process that did it is gone: it was killed, or its host went down; nothing was handed over"


def publish(
    settings: Settings,
    plane: ControlPlane,
    clock: Clock,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Make the results and hand them over; the receipt.

    Args:
        settings: the profile.
        plane: its control plane.
        clock: tells the time.
        say: told what happens.

    Returns:
        The receipt: its `outcome` is PUBLISHED, UNCHANGED (the remote has these very results, and they are fresh), or
        FAILED with nothing handed over.

    Raises:
        Refused: the emergency stop is engaged, or another hand-off runs.
        UsageError: the configuration does not say who publishes, or with which key.
        StoreUnusable: the store cannot be used.
    """
    producer, key_name = _fit_to_publish(settings)
    if why := model.why_stopped(plane.state()):
        raise Refused(why, where=plane.location.shown, next_step=model.RELEASE_COMMAND)
    pem = read_secret(settings, key_name)
    plane = plane.impatient(BUSY_S)
    with lock.claimed(folder_of(settings), clock) as hold, registered(plane, KIND) as work:
        one = _Publish(
            settings=settings, plane=plane, clock=clock, work=work, say=say, hold=hold, producer=producer, pem=pem
        )
        return one.run()


def _fit_to_publish(settings: Settings) -> tuple[str, str]:
    handoff = settings.handoff
    missing = [name for name in ("producer", "signing_key") if not getattr(handoff, name)]
    if handoff.producer is None or handoff.signing_key is None:
        raise UsageError(
            f"this host cannot publish: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            where=f"{settings.path}: [profiles.{settings.profile}.handoff]",
            allowed='producer = "NAME" and signing_key = "NAME OF A SECRET"',
            next_step="ops handoff key NEW_FILE makes a key, and says what to write here",
        )
    return handoff.producer, handoff.signing_key


@dataclass(frozen=True, kw_only=True)
class _Made:
    """The results, before they have a number, the commit of the checkout, and when they were made."""

    results: tuple[Result, ...]
    revision: str
    at: datetime

    @property
    def files(self) -> tuple[BundleFile, ...]:
        return tuple(one.file for one in self.results)

    def content(self, manifest: Manifest) -> dict[str, bytes]:
        """What the folder of the hand-off holds then, by path."""
        below = {f"{FILES_FOLDER}/{one.path}": one.data for one in self.results}
        return {MANIFEST_NAME: manifest.as_bytes(), **below}


@dataclass(frozen=True, kw_only=True)
class _Publish:
    """One publish that holds the turn and is registered as a work."""

    settings: Settings
    plane: ControlPlane
    clock: Clock
    work: Work
    say: Callable[[str], None]
    hold: int
    producer: str
    pem: str

    def run(self) -> dict[str, Any]:
        """The receipt, recorded."""
        receipt = {
            **receipts.begun(self.plane, "publish"),
            "producer": self.producer,
            "branch": self.settings.handoff.branch,
            "steps": [],
        }
        exchange = Exchange(self.settings, must_end=self.work.must_end, hold=self.hold)
        try:
            self._signed_like_others_expect()
            begun = self.clock.now().timestamp()
            # Asked before anything runs: that there is no way out is better known before an hour of work.
            exchange.address(push=True)
            steps = run_steps(self.settings, self.clock, self.work, receipt["run_id"], hold=self.hold, say=self.say)
            receipt["steps"] = [one.as_dict() for one in steps]
            made = self._made(receipt, exchange, begun)
            return self._hand_over(exchange, made, receipt)
        except StepFailed as error:
            if self.work.must_end():
                raise Refused(error.what, where=error.where, next_step="ops estop status") from None
            return self._failed({**receipt, "steps": [one.as_dict() for one in error.done]}, error)
        except (Refused, UsageError):
            raise
        except BundleRefused as error:
            return self._failed(receipt, OpsError(error.refusal.what, next_step=error.refusal.next_step))
        except OpsError as error:
            return self._failed(receipt, error)

    def _signed_like_others_expect(self) -> None:
        """Refuse a key that is not the one that this very file tells operators."""
        expected, public = self.settings.handoff.producers.get(self.producer), self._public
        if expected is not None and expected != public:
            raise UsageError(
                f"the signing key is not the one of {self.producer}: nobody would take the bundle",
                where=f"{self.settings.path}: [profiles.{self.settings.profile}.handoff.producers]",
                allowed=f'{self.producer} = "{public}", here and on the operating host',
            )

    @property
    def _public(self) -> str:
        return public_key_of(self.pem, where=str(self.settings.handoff.signing_key))

    def _made(self, receipt: dict[str, Any], exchange: Exchange, begun: float) -> _Made:
        handoff = self.settings.handoff
        found = collect(handoff)
        check(handoff, found)
        since = begun if handoff.steps else begun - handoff.fresh_hours * 3600
        receipt["not_written"] = list(check_made(handoff, found, since=since))[: receipts.FILES_SHOWN]
        now = self.clock.now()
        # Made by hand, they are as old as the newest of them, not as the moment at which somebody hands them over.
        newest = datetime.fromtimestamp(max(one.written_at for one in found), UTC)
        made_at = now if handoff.steps else min(now, newest)
        return _Made(results=found, revision=exchange.source_revision(), at=made_at)

    def _hand_over(self, exchange: Exchange, made: _Made, receipt: dict[str, Any]) -> dict[str, Any]:
        """Commit and push, on a fresh base each time that somebody else was quicker."""
        exchange.open()
        for attempt in range(1, ATTEMPTS_MAX + 1):
            receipt["attempts"] = attempt
            base = self._base(exchange, receipt)
            lying = self._lying(exchange, base)
            if lying is not None and self._same(lying.manifest, made) and _whole(exchange, lying):
                self.say("the remote has these very results, and they are fresh")
                return self._ended(receipt, lying.manifest, base or "", Outcome.UNCHANGED)
            manifest = self._manifest(lying, made)
            commit = exchange.commit(base, made.content(manifest), _message(manifest), self.producer, self.clock.now())
            self._arm(receipt, manifest, commit)
            self.say(f"push bundle {manifest.bundle_id}, number {manifest.sequence}")
            if self._pushed(exchange, commit):
                return self._ended(receipt, manifest, commit, Outcome.PUBLISHED)
            self.say("somebody else was quicker: once more, on what lies there now")
            self.clock.sleep(PAUSE_S * attempt)
        raise GitFailed(
            f"somebody else was quicker {ATTEMPTS_MAX} times in a row: nothing was handed over",
            where=self.settings.handoff.branch,
            next_step="find out who pushes all the time, then: ops handoff publish",
        )

    def _base(self, exchange: Exchange, receipt: dict[str, Any]) -> str | None:
        """The newest commit of the branch, and what became of a publish that was killed."""
        base = exchange.fetch()
        with self.plane.snapshot() as found:
            armed = receipts.armed_open(found, ("publish",))
            last = receipts.latest_publish(found) or {}
        before = str(last.get("commit") or "")
        receipt["history"] = "rewritten" if before and not _holds(exchange, before, base) else "forward"
        if armed is not None and armed.subject != receipt["run_id"]:
            arrived = _holds(exchange, str(armed.data.get("commit", "")), base)
            action = receipts.PUBLISHED if arrived else receipts.PUBLISH_FAILED
            outcome, why = (Outcome.PUBLISHED, "") if arrived else (Outcome.FAILED, CUT_OFF)
            told = {**armed.data, "recovered": True}
            receipts.record(self.plane, self.settings, action, told, outcome=outcome.value, reason=why)
        return base

    def _lying(self, exchange: Exchange, base: str | None) -> Offered | None:
        """The bundle that lies on the branch, whoever signed it; None where there is none."""
        try:
            return offered(exchange, base)
        except BundleRefused:
            return None

    def _same(self, lying: Manifest, made: _Made) -> bool:
        """Whether what lies there is ours, holds these very results, does for them, and is taken by operators."""
        if lying.producer != self.producer or lying.files != made.files or not signed_by(lying, self._public):
            return False
        until, now = lying.fresh_until(self.settings.handoff.fresh_hours), self.clock.now()
        # Made by a clock that was ahead, or pushed again by somebody: operators refuse it, so it is no hand-over.
        if not lying.created <= now < until or not self._newest(lying):
            return False
        # Made again with the same outcome they are worth something for longer; but not for a minute's sake.
        renewed = lying.created + RENEWED_AFTER * (until - lying.created)
        return isoformat(made.at) <= lying.created_at or now < renewed

    def _newest(self, lying: Manifest) -> bool:
        """Whether it is no older one of ours that somebody pushed again."""
        with self.plane.snapshot() as found:
            ours = receipts.newest_of_ours(found)
        return lying.sequence > ours.sequence or (lying.sequence, lying.digest) == (ours.sequence, ours.digest)

    def _manifest(self, lying: Offered | None, made: _Made) -> Manifest:
        with self.plane.snapshot() as found:
            ours = receipts.newest_of_ours(found)
        sequence = max(ours.sequence, 0 if lying is None else lying.manifest.sequence) + 1
        if sequence > SEQUENCE_MAX:
            raise OpsError("the bundle on the branch has the highest number there is: somebody made it up")
        bare = new_manifest(
            producer=self.producer,
            sequence=sequence,
            created_at=made.at,
            source_revision=made.revision,
            fresh_hours=self.settings.handoff.fresh_hours,
            files=made.files,
        )
        return signed(bare, self.pem, where=str(self.settings.handoff.signing_key))

    def _arm(self, receipt: dict[str, Any], manifest: Manifest, commit: str) -> None:
        """Record that it is about to be handed over, in one transaction with the last question to the stop.

        Raises:
            Refused: the emergency stop is engaged.
        """
        with self.plane.transaction() as tx:
            if why := model.why_stopped(self.plane.counting(tx.state)):
                raise Refused(why, where=self.plane.location.shown, next_step=model.RELEASE_COMMAND)
            tx.audit(
                at=self.clock.now(),
                actor=self.plane.actor,
                action=receipts.ARMED,
                subject=receipt["run_id"],
                detail={**receipt, **_told(manifest, commit)},
            )

    def _pushed(self, exchange: Exchange, commit: str) -> bool:
        """Push; where the answer was lost, look whether it arrived."""
        try:
            return exchange.push(commit)
        except GitFailed as error:
            try:
                arrived = _holds(exchange, commit, exchange.fetch())
            except GitFailed:
                arrived = False
            if not arrived:
                raise error from None
            return True

    def _ended(self, receipt: dict[str, Any], manifest: Manifest, commit: str, outcome: Outcome) -> dict[str, Any]:
        told = {**receipt, **_told(manifest, commit)}
        until = isoformat(manifest.fresh_until(self.settings.handoff.fresh_hours))
        return receipts.record(
            self.plane, self.settings, receipts.PUBLISHED, told, outcome=outcome.value, fresh_until=until
        )

    def _failed(self, receipt: dict[str, Any], error: OpsError) -> dict[str, Any]:
        with self.plane.snapshot() as found:
            last = receipts.latest_publish(found) or {}
        return receipts.record(
            self.plane,
            self.settings,
            receipts.PUBLISH_FAILED,
            # What later ones count from must not be forgotten.
            {**receipt, "highest": int(last.get("highest") or 0), "commit": str(last.get("commit") or "")},
            outcome=Outcome.FAILED.value,
            reason=receipts.short(error.what),
            where=receipts.short(error.where),
            next=receipts.short(error.next_step or error.allowed or "ops handoff publish, once that is put right"),
        )


def _told(manifest: Manifest, commit: str) -> dict[str, Any]:
    return {
        "bundle_id": manifest.bundle_id,
        "manifest_digest": manifest.digest,
        "sequence": manifest.sequence,
        "highest": manifest.sequence,
        "created_at": manifest.created_at,
        "source_revision": manifest.source_revision,
        "files_total": len(manifest.files),
        "bytes_total": manifest.bytes_total,
        "files": [one.as_dict() for one in manifest.files[: receipts.FILES_SHOWN]],
        "commit": commit,
    }


def _whole(exchange: Exchange, lying: Offered) -> bool:
    """Whether the files on the branch are those that its manifest names: beside other ones nobody takes it."""
    try:
        prove_offered(exchange, lying)
    except BundleRefused:
        return False
    return True


def _holds(exchange: Exchange, commit: str, base: str | None) -> bool:
    return bool(commit) and base is not None and exchange.is_ancestor(commit, base)


def _message(manifest: Manifest) -> str:
    return (
        f"Bundle {manifest.bundle_id}\n\n"
        f"Number {manifest.sequence} of {manifest.producer}, made at {manifest.created_at}: "
        f"files: {len(manifest.files)}, bytes: {manifest.bytes_total}.\n"
    )
