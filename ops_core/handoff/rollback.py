"""Rolls back to a bundle that was in force before, or to one that a commit of the branch holds.

Going back makes things safer, so no emergency stop keeps anybody from it. What was rolled back from is held back: the
next pull does not bring back the very bundle that somebody has just got rid of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops_core.clock import Clock, isoformat
from ops_core.config import Settings
from ops_core.control import views
from ops_core.control.model import Gate
from ops_core.control.service import ControlPlane
from ops_core.errors import OpsError, Refused, UsageError
from ops_core.handoff import installed, lock, placing, receipts
from ops_core.handoff.git import Exchange, folder_of
from ops_core.handoff.git_run import GitFailed
from ops_core.handoff.judge import believed
from ops_core.handoff.model import BUNDLE_ID, BundleRefused, Manifest
from ops_core.handoff.pull import BUSY_S, fit_to_pull, offered, stage_offered
from ops_core.handoff.receipts import Outcome, Recorded


def rollback(
    settings: Settings,
    plane: ControlPlane,
    clock: Clock,
    *,
    to: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Put an earlier bundle in force, and look whether everything is at rest; the receipt.

    Args:
        settings: the profile.
        plane: its control plane.
        clock: tells the time.
        to: the id of a bundle that is kept, a commit, or a name such as HEAD~1; the newest one before unless given.
        say: told what happens.

    Returns:
        The receipt: its `outcome` is ROLLED_BACK, or FAILED with what was in force still in force. `safety` says what
        the control plane is like.

    Raises:
        Refused: another hand-off runs.
        UsageError: there is no such bundle, or it is in force.
        StoreUnusable: the store cannot be used.
    """
    fit_to_pull(settings)
    plane = plane.impatient(BUSY_S)
    with lock.claimed(folder_of(settings), clock) as hold:
        placing.finish(settings, plane)
        return _Rollback(settings=settings, plane=plane, clock=clock, to=to, say=say, hold=hold).run()


def safety_of(plane: ControlPlane) -> dict[str, Any]:
    """What the control plane is like: the modes under their usual names, and whether all of them are at rest."""
    state, now = plane.state(), plane.clock.now()
    modes = views.modes(state, now)
    at_rest = modes["execution_gate"] != Gate.REAL_ENABLED.value and not modes["real_sender_enable"]
    return {**modes, "at_rest": at_rest, "problem": state.problem}


@dataclass(frozen=True, kw_only=True)
class _Rollback:
    """One rollback that holds the turn."""

    settings: Settings
    plane: ControlPlane
    clock: Clock
    to: str | None
    say: Callable[[str], None]
    hold: int

    def run(self) -> dict[str, Any]:
        """The receipt, recorded."""
        receipt = {**receipts.begun(self.plane, "rollback"), "to": self.to or ""}
        with self.plane.snapshot() as found:
            here = installed.in_force(self.settings, found)
            records = receipts.put_in_force(found)
        damaged = here is not None and bool(here.problem)
        try:
            manifest, commit, skipped = self._target(records)
        except BundleRefused as error:
            return self._failed(receipt, error.refusal.what, error.refusal.code.value)
        except UsageError:
            raise
        except OpsError as error:
            return self._failed(receipt, error.what, None)
        current = records[0] if records else None
        if current is not None and current.manifest_digest == manifest.digest and not damaged:
            raise UsageError(
                f"bundle {manifest.bundle_id} is in force already",
                where="--to",
                next_step="ops handoff status shows the others that are kept",
            )
        back = current.bundle_id if current is not None and current.sequence > manifest.sequence else ""
        told = {
            **receipt,
            "from": "" if current is None else current.bundle_id,
            "fresh_until": isoformat(manifest.fresh_until(self.settings.handoff.fresh_hours)),
            "fresh": self.clock.now() < manifest.fresh_until(self.settings.handoff.fresh_hours),
            "skipped": skipped[: receipts.FILES_SHOWN],
            "safety": safety_of(self.plane),
        }
        self.say(f"bundle {manifest.bundle_id}: proven whole; put in force")
        arming = placing.Arming(act="rollback", manifest=manifest, commit=commit, held_back=back, stoppable=False)
        try:
            return placing.put_in_force(self.settings, self.plane, told, arming)
        except Refused:
            raise
        except OpsError as error:
            return self._failed(told, error.what, None)

    def _target(self, records: tuple[Recorded, ...]) -> tuple[Manifest, str, list[str]]:
        """The bundle that is meant, whole on this disk; the commit it came from; and what was passed over."""
        if self.to is None:
            return self._newest_before(records)
        if BUNDLE_ID.fullmatch(self.to):
            record = next((one for one in records if one.bundle_id == self.to), None)
            if record is None or self.to not in installed.kept(self.settings):
                raise self._nothing(f"there is no bundle {self.to} on this host")
            return installed.proven(self.settings, self.to, record.manifest_digest), record.commit, []
        return (*self._from_git(self.to), [])

    def _newest_before(self, records: tuple[Recorded, ...]) -> tuple[Manifest, str, list[str]]:
        current = records[0] if records else None
        if current is None:
            raise self._nothing("nothing was ever put in force here")
        older = {one.bundle_id: one for one in records if one.sequence < current.sequence}
        skipped: list[str] = []
        for one in sorted(older.values(), key=lambda record: record.sequence, reverse=True):
            try:
                return installed.proven(self.settings, one.bundle_id, one.manifest_digest), one.commit, skipped
            except BundleRefused as error:
                skipped.append(receipts.short(f"{one.bundle_id}: {error.refusal.what}"))
        passed = f" ({'; '.join(skipped[:3])})" if skipped else ""
        raise self._nothing(f"no bundle before {current.bundle_id} is kept whole on this host{passed}")

    def _from_git(self, reference: str) -> tuple[Manifest, str]:
        exchange = Exchange(self.settings, hold=self.hold)
        exchange.open()
        try:
            exchange.fetch()
        except GitFailed as error:
            # What was fetched before is enough to go back.
            self.say(f"{error.what}; going by what was fetched before")
        one = offered(exchange, exchange.chosen(reference))
        refusal = believed(one.manifest, self.settings.handoff)
        if refusal is not None:
            raise BundleRefused(refusal.code, refusal.what, refusal.next_step)
        stage_offered(self.settings, exchange, one)
        return one.manifest, one.commit

    def _nothing(self, what: str) -> UsageError:
        there = ", ".join(installed.kept(self.settings)) or "none is kept"
        return UsageError(
            what,
            where=str(self.settings.handoff.bundles_dir),
            allowed=there,
            next_step="ops handoff rollback --to HEAD~1 takes the one that the commit before had",
        )

    def _failed(self, told: dict[str, Any], what: str, code: str | None) -> dict[str, Any]:
        with self.plane.snapshot() as found:
            record = receipts.recorded_in_force(found)
        return receipts.record(
            self.plane,
            self.settings,
            receipts.ROLLBACK_FAILED,
            told,
            outcome=Outcome.FAILED.value,
            code=code,
            reason=receipts.short(what),
            next="ops handoff status shows what is kept; ops handoff rollback --to another one",
            in_force=None if record is None else record.bundle_id,
            safety=safety_of(self.plane),
        )
