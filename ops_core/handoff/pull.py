"""Pulls the bundle on the branch: all of it is fetched and proven before anything of it is put in place.

Whatever is refused, and whatever goes wrong, what was in force stays in force, and a receipt says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops_core.clock import Clock, isoformat
from ops_core.config import Settings
from ops_core.control import model
from ops_core.control.running import Work, registered
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError, Refused, UsageError
from ops_core.handoff import installed, lock, placing, receipts
from ops_core.handoff.git import Entry, Exchange, folder_of
from ops_core.handoff.git_run import GitFailed, Malformed
from ops_core.handoff.judge import believed, judge
from ops_core.handoff.model import (
    FILES_FOLDER,
    MANIFEST_MAX_BYTES,
    MANIFEST_NAME,
    BundleFile,
    BundleRefused,
    Manifest,
    RefusalCode,
    parse_manifest,
)
from ops_core.handoff.receipts import Outcome

KIND = "handoff"
# Nobody sits and waits for it: it can be more patient with others than a person.
BUSY_S = 15.0


def pull(
    settings: Settings,
    plane: ControlPlane,
    clock: Clock,
    *,
    again: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fetch the bundle on the branch, prove it, and put it in force; the receipt.

    Args:
        settings: the profile.
        plane: its control plane.
        clock: tells the time.
        again: take the bundle also where it was rolled back from.
        say: told what happens.

    Returns:
        The receipt: its `outcome` is INSTALLED, UP_TO_DATE, REFUSED (with the `code` of the refusal) or FAILED.

    Raises:
        Refused: the emergency stop is engaged, or another hand-off runs. Nothing was changed.
        UsageError: the configuration does not say whose bundles are taken, or from where.
        StoreUnusable: the store cannot be used.
    """
    fit_to_pull(settings)
    if why := model.why_stopped(plane.state()):
        raise Refused(why, where=plane.location.shown, next_step=model.RELEASE_COMMAND)
    plane = plane.impatient(BUSY_S)
    with lock.claimed(folder_of(settings), clock) as hold:
        placing.finish(settings, plane)
        with registered(plane, KIND) as work:
            one = _Pull(settings=settings, plane=plane, clock=clock, work=work, again=again, say=say, hold=hold)
            return one.run()


def fit_to_pull(settings: Settings) -> None:
    """Refuse a configuration that cannot be pulled with.

    Raises:
        UsageError: it names no producer.
    """
    if not settings.handoff.producers:
        raise UsageError(
            "it is not said whose bundles are taken",
            where=f"{settings.path}: [profiles.{settings.profile}.handoff]",
            allowed='producers = { NAME = "64 hexadecimal digits" }',
            next_step="on the producing host: ops handoff key NEW_FILE; it says what to write here",
        )


@dataclass(frozen=True, kw_only=True)
class Offered:
    """The bundle that a commit holds: its manifest, and where git has each file."""

    commit: str
    manifest: Manifest
    entries: dict[str, Entry]

    def complete(self) -> Offered:
        """Itself, where the commit holds exactly what the manifest names.

        Raises:
            BundleRefused: it does not.
        """
        wanted = {f"{FILES_FOLDER}/{one.path}": one for one in self.manifest.files}
        for name, one in wanted.items():
            entry = self.entries.get(name)
            if entry is None:
                raise BundleRefused(RefusalCode.INCOMPLETE, f"{one.path} is missing: it was not handed over whole")
            if entry.size != one.size:
                raise BundleRefused(
                    RefusalCode.TAMPERED, f"{one.path} has {entry.size} bytes, and the manifest says {one.size}"
                )
        for name in sorted(self.entries.keys() - wanted.keys() - {MANIFEST_NAME}):
            raise BundleRefused(RefusalCode.TAMPERED, f"{ascii(name)[:80]} is there, and the manifest does not name it")
        return self

    def content(self, exchange: Exchange, file: BundleFile) -> bytes:
        """What the commit holds as that file; nothing of it is believed."""
        return exchange.content(self.entries[f"{FILES_FOLDER}/{file.path}"])


def offered(exchange: Exchange, commit: str | None) -> Offered:
    """The bundle that a commit holds. Who signed it, and whether it is complete, is asked by who takes it.

    Args:
        exchange: where the commit is.
        commit: None for a branch that is not there.

    Raises:
        BundleRefused: it holds none.
        GitFailed: it cannot be read.
    """
    if commit is None:
        raise BundleRefused(
            RefusalCode.NOT_A_BUNDLE,
            f"the remote has no branch {exchange.branch}",
            "publish one: ops handoff publish, on the producing host",
        )
    entries: dict[str, Entry] = {}
    for entry in exchange.listing(commit):
        if entry.path in entries:
            raise BundleRefused(RefusalCode.TAMPERED, "the folder holds two files of one name")
        entries[entry.path] = entry
    found = entries.get(MANIFEST_NAME)
    if found is None:
        raise BundleRefused(RefusalCode.NOT_A_BUNDLE, f"there is no {MANIFEST_NAME} in the folder of the hand-off")
    if found.size > MANIFEST_MAX_BYTES:
        raise BundleRefused(RefusalCode.TOO_LARGE, f"the manifest has {found.size} bytes: it is not read")
    return Offered(commit=commit, manifest=parse_manifest(exchange.content(found)), entries=entries)


def stage_offered(settings: Settings, exchange: Exchange, one: Offered) -> None:
    """Have a bundle that was offered lie whole on this host, without putting it in force.

    Raises:
        BundleRefused: it is not what its manifest says.
        OpsError: it cannot be written.
        GitFailed: it cannot be read.
    """
    placing.stage(settings, one.complete().manifest, lambda file: one.content(exchange, file))


def prove_offered(exchange: Exchange, one: Offered) -> None:
    """Hold what a commit holds against its manifest, byte for byte.

    Raises:
        BundleRefused: it is not what its manifest says.
        GitFailed: it cannot be read.
    """
    for file in one.complete().manifest.files:
        file.prove(one.content(exchange, file))


@dataclass(frozen=True, kw_only=True)
class _Pull:
    """One pull that holds the turn and is registered as a work."""

    settings: Settings
    plane: ControlPlane
    clock: Clock
    work: Work
    again: bool
    say: Callable[[str], None]
    hold: int

    def run(self) -> dict[str, Any]:
        """The receipt, recorded."""
        receipt = {**receipts.begun(self.plane, "pull"), "branch": self.settings.handoff.branch, "again": self.again}
        exchange = Exchange(self.settings, must_end=self.work.must_end, hold=self.hold)
        try:
            try:
                return self._attempt(exchange, receipt)
            except GitFailed as error:
                if not error.local:
                    raise
                # Our own repository does not work: it is a cache, so it is made anew, once.
                exchange.discard()
                return self._attempt(exchange, receipt)
        except (Refused, UsageError):
            raise
        except OpsError as error:
            return self._failed(receipt, error)

    def _attempt(self, exchange: Exchange, receipt: dict[str, Any]) -> dict[str, Any]:
        exchange.open()
        self.say(f"fetch {self.settings.handoff.branch} from {self.settings.handoff.remote}")
        try:
            commit = exchange.fetch()
        except Malformed as error:
            unseen = {**receipt, "commit": "", "history": "unknown"}
            return self._refused(unseen, BundleRefused(RefusalCode.MALFORMED, error.what, error.next_step))
        told = {**receipt, "commit": commit or "", "history": self._history(exchange, commit)}
        if told["history"] == "rewritten":
            self.say("the history of the branch was rewritten at the remote since the last pull")
        try:
            return self._take(exchange, offered(exchange, commit), told)
        except BundleRefused as error:
            return self._refused(told, error)

    def _take(self, exchange: Exchange, one: Offered, told: dict[str, Any]) -> dict[str, Any]:
        manifest, handoff, now = one.manifest, self.settings.handoff, self.clock.now()
        told |= {
            "bundle_id": manifest.bundle_id,
            "manifest_digest": manifest.digest,
            "sequence": manifest.sequence,
            "producer": manifest.producer,
            "created_at": manifest.created_at,
            "fresh_until": isoformat(manifest.fresh_until(handoff.fresh_hours)),
            "fresh": now < manifest.fresh_until(handoff.fresh_hours),
        }
        with self.plane.snapshot() as found:
            here = installed.in_force(self.settings, found)
            record = receipts.recorded_in_force(found)
            held = frozenset() if self.again else receipts.held_back(found)
        same = record is not None and record.manifest_digest == manifest.digest
        if same and here is not None and not here.problem:
            # The manifest in force beside other files is what somebody made of it.
            prove_offered(exchange, one)
            return self._up_to_date(told)
        # What is in force and was damaged on this disk is put right, however old it is.
        accepted = None if record is None else record.accepted
        refusal = (
            believed(manifest, handoff)
            if same
            else judge(manifest, handoff=handoff, accepted=accepted, held=held, now=now)
        )
        if refusal is not None:
            raise BundleRefused(refusal.code, refusal.what, refusal.next_step)
        self.say(f"bundle {manifest.bundle_id}, number {manifest.sequence}: {manifest.bytes_total:,} bytes")
        stage_offered(self.settings, exchange, one)
        self.say("proven whole; put in force")
        arming = placing.Arming(act="pull", manifest=manifest, commit=one.commit)
        return placing.put_in_force(self.settings, self.plane, told, arming, repaired=same)

    def _history(self, exchange: Exchange, commit: str | None) -> str:
        """How the branch went on since the last pull: first, unchanged, forward or rewritten."""
        with self.plane.snapshot() as found:
            seen = receipts.latest_seen(found)
        if not seen:
            return "first"
        if commit is None:
            return "rewritten"
        if commit == seen:
            return "unchanged"
        return "forward" if exchange.is_ancestor(seen, commit) else "rewritten"

    def _up_to_date(self, told: dict[str, Any]) -> dict[str, Any]:
        return receipts.record(self.plane, self.settings, receipts.UP_TO_DATE, told, outcome=Outcome.UP_TO_DATE.value)

    def _refused(self, told: dict[str, Any], error: BundleRefused) -> dict[str, Any]:
        refusal = error.refusal
        return receipts.record(
            self.plane,
            self.settings,
            receipts.REFUSED,
            {**told, **self._still()},
            outcome=Outcome.REFUSED.value,
            code=refusal.code.value,
            reason=receipts.short(refusal.what),
            next=receipts.short(refusal.next_step),
        )

    def _failed(self, told: dict[str, Any], error: OpsError) -> dict[str, Any]:
        return receipts.record(
            self.plane,
            self.settings,
            receipts.PULL_FAILED,
            {**told, **self._still()},
            outcome=Outcome.FAILED.value,
            reason=receipts.short(error.what),
            next=receipts.short(error.next_step or "ops handoff pull, once that is put right"),
        )

    def _still(self) -> dict[str, Any]:
        """What is in force still, as the record has it."""
        with self.plane.snapshot() as found:
            record = receipts.recorded_in_force(found)
        return {"in_force": None if record is None else record.bundle_id}
