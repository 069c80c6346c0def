"""The control plane as the rest of the program uses it: every change one transaction with its audit row.

Asking for the state never fails: where the store cannot tell, it is stopped. Engaging the stop does not fail for the
store's sake either: where the store cannot be changed, a latch file beside it stops just as well.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from ops_core.clock import Clock
from ops_core.control import files, model
from ops_core.control.audit import AuditRow, ChainCheck
from ops_core.control.latched import latched, stop_of, with_stop
from ops_core.control.location import StoreLocation
from ops_core.control.model import ControlState, Gate, Permission
from ops_core.control.problems import StoreConflict, StoreUnusable
from ops_core.control.store import BUSY_TIMEOUT_S, Store, Transaction, connect
from ops_core.control.verified import GoodVersion
from ops_core.errors import OpsError, Refused, UsageError

KINDS = ("release", "config", "schema", "image")
NAME_MAX_CHARS = 255
_DIGEST = re.compile(r"[0-9a-f]{64}")


class ControlPlane:
    """Emergency stop, gate, good versions and audit of one control store.

    Args:
        place: the SQLite file, or where else the store lies.
        clock: where `now` comes from.
        actor: who acts, unless a call says otherwise; the command line gives the login name.
        busy_timeout_s: how long to wait for others who use the store, in seconds.
        changed: called after each committed change of the control state, to bring mirrors up to date; never raises.
        created: called by `create` once the store is there, for what else belongs to a store.
    """

    def __init__(
        self,
        place: Path | StoreLocation,
        clock: Clock,
        *,
        actor: str = model.NOBODY,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        changed: Callable[[], None] = lambda: None,
        created: Callable[[], None] = lambda: None,
    ) -> None:
        self.location = StoreLocation.of(place)
        self._clock = clock
        self._actor = model.tidy(actor, model.NOBODY)
        self._busy_timeout_s = busy_timeout_s
        self._changed = changed
        self._created = created

    @property
    def path(self) -> Path:
        """The SQLite file; where the store lies in a database, the name beside which the latch lies."""
        return self.location.path

    @property
    def actor(self) -> str:
        """Who acts, unless a call says otherwise."""
        return self._actor

    @property
    def clock(self) -> Clock:
        """Where `now` comes from."""
        return self._clock

    def impatient(self, busy_timeout_s: float) -> ControlPlane:
        """The same control plane for who waits less, or longer, for others who use the store."""
        quick = copy.copy(self)
        quick._busy_timeout_s = busy_timeout_s  # noqa: SLF001 - of this very class
        return quick

    def create(self) -> ControlState:
        """Make the store where it is missing, and return its state: a new one is stopped.

        Raises:
            StoreUnusable: it cannot be made, or one is there that cannot be trusted.
        """
        with self._connect(create=True) as store, store.snapshot() as found:
            state = latched(found.state, files.read_latch(self.path))
        self._created()
        return state

    def show(self) -> None:
        """Bring the mirrors up to date, as after every change of the control state. Never raises."""
        self._changed()

    def state(self) -> ControlState:
        """The state that counts now. Never raises for the store's sake: what cannot be known is stopped."""
        try:
            with self._connect() as store, store.snapshot() as found:
                state = found.state
        except Exception as error:  # noqa: BLE001 — a damaged file may fail in any way; whichever it is, it is stopped
            state = model.unknown(*_told(error))
        # Read after the store: an engaging that found the store unusable meanwhile must not be missed.
        return latched(state, files.read_latch(self.path))

    def counting(self, recorded: ControlState) -> ControlState:
        """The state that counts, where a transaction or a snapshot has read this one: the latch beside it is a stop."""
        return latched(recorded, files.read_latch(self.path))

    def permission(self, drill: bool) -> Permission:
        """Whether a remediation may act now on a profile that is a drill, or is not. Never raises."""
        return model.permission(self.state(), drill, self._clock.now())

    def gate(self) -> Gate:
        """The gate that counts now."""
        return model.effective_gate(self.state(), self._clock.now())

    def engage(self, reason: str = model.ENGAGED, *, actor: str | None = None) -> ControlState:
        """Engage the emergency stop; by the latch beside the store where the store cannot be changed.

        Raises:
            StoreUnusable: neither store nor latch could be written. Nothing is acknowledged then.
        """
        who = self._who(actor)
        try:
            return self.change(
                "stop.engaged", lambda state, now: model.engage(state, reason, who, now), actor=who, about_stop=True
            )
        except BaseException as error:
            # Whatever goes wrong, the impatient Ctrl-C while the store is locked included, the stop has to hold.
            fit_reason = model.tidy(reason, model.ENGAGED, model.REASON_MAX_CHARS)
            latch = files.write_latch(self.path, fit_reason, who, self._clock.now())
            if not isinstance(error, Exception):
                raise
            return latched(model.unknown(*_told(error)), latch)

    def release(self, reason: str, *, actor: str | None = None, expected_version: int | None = None) -> ControlState:
        """Release the emergency stop, a latch beside the store included.

        Args:
            reason: why; one line of at most 500 characters.
            actor: who; the one given at the start unless given here.
            expected_version: the version of the state that the releaser looked at; another one is a conflict.

        Raises:
            UsageError: there is no fit reason.
            StoreConflict: the state was changed, or the stop engaged anew, meanwhile.
            StoreUnusable: the store or the latch could not be changed. It stays stopped.
        """
        who = self._who(actor)
        model.required_reason(reason, "releasing the emergency stop", model.RELEASE_COMMAND)
        latch = files.read_latch(self.path)
        detail: dict[str, object] = {"latch": {"reason": latch.reason, "actor": latch.actor}} if latch else {}
        state = self.change(
            "stop.released",
            lambda state, now: model.release(state, reason, who, now),
            actor=who,
            detail=detail,
            expected_version=expected_version,
            about_stop=True,
        )
        # After the commit: a crash in between leaves the latch, so it leaves it stopped.
        files.remove_latch(self.path, latch)
        if latch is not None:
            self._changed()
        return state

    def set_gate(
        self,
        gate: Gate | str,
        reason: str,
        *,
        ttl_s: int | None = None,
        actor: str | None = None,
        expected_version: int | None = None,
    ) -> ControlState:
        """Set the gate; REAL_ENABLED for `ttl_s` seconds (3600 unless given, at most 8 hours).

        Raises:
            UsageError: no such gate, no fit reason or duration.
            StoreConflict: the state was changed meanwhile.
            StoreUnusable: the store could not be changed.
        """
        who = self._who(actor)
        # Asked once beforehand: a usage error is told as such, whatever the store is like.
        model.set_gate(ControlState(), gate, reason, who, self._clock.now(), ttl_s=ttl_s)
        state = self.change(
            "gate.set",
            lambda state, now: model.set_gate(state, gate, reason, who, now, ttl_s=ttl_s),
            actor=who,
            expected_version=expected_version,
        )
        return latched(state, files.read_latch(self.path))

    def enable_sender(self, channel: model.Channel | str, reason: str, *, actor: str | None = None) -> ControlState:
        """Let messages leave on a channel, for an hour at most.

        Raises:
            UsageError: no such channel or no fit reason.
            Refused: the emergency stop is engaged.
            StoreUnusable: the store could not be changed.
        """
        who = self._who(actor)
        model.parse_channel(channel)
        state = self.change(
            "sender.enabled", lambda state, now: model.enable_sender(state, channel, reason, who, now), actor=who
        )
        return latched(state, files.read_latch(self.path))

    def disable_sender(self, reason: str, *, actor: str | None = None) -> ControlState:
        """Let no message leave.

        Raises:
            StoreUnusable: the store could not be changed.
        """
        who = self._who(actor)
        state = self.change(
            "sender.disabled", lambda state, now: model.disable_sender(state, reason, who, now), actor=who
        )
        return latched(state, files.read_latch(self.path))

    def mark_good(self, target: str, kind: str, name: str, digest: str, *, actor: str | None = None) -> GoodVersion:
        """Record that a version was seen good.

        Args:
            target: the target's name.
            kind: "release", "config", "schema" or "image".
            name: the version's name, the final component of what the link points to; of a schema its revision,
                of an image the beginning of its id.
            digest: SHA-256 over the version's content, 64 hexadecimal digits; of a schema over its revision,
                of an image its id.
            actor: who says so.

        Raises:
            UsageError: one of these is not what it must be.
            StoreUnusable: the store could not be changed.
        """
        _check_version(target, kind, name, digest)
        with self.transaction() as change:
            return change.put_good(
                target=target, kind=kind, name=name, digest=digest, at=self._clock.now(), actor=self._who(actor)
            )

    def last_good(self, target: str, kind: str) -> GoodVersion | None:
        """The version of that kind last marked good for the target; None if none was.

        Raises:
            StoreUnusable: the store cannot be read or trusted.
        """
        with self.snapshot() as found:
            return found.good(target, kind)

    def audit_rows(self, *, newest: int | None = None) -> tuple[AuditRow, ...]:
        """The audit rows in ascending order; with `newest`, only that many of the latest.

        Raises:
            StoreUnusable: the store cannot be read or trusted.
        """
        with self.snapshot() as found:
            return found.audit_rows(newest=newest)

    def verify_chain(self, checkpoint: tuple[int, str] | None = None) -> ChainCheck:
        """Check every row of the audit chain, and that it still holds a row (seq, hash) noted earlier.

        Raises:
            StoreUnusable: naming what is wrong.
        """
        with self.snapshot() as found:
            check = found.verify_chain()
            if checkpoint is not None and checkpoint not in {(row.seq, row.hash) for row in found.audit_rows()}:
                raise StoreUnusable(
                    f"the audit was rewritten: row {checkpoint[0]} is not the one that was noted",
                    where=self.location.shown,
                    next_step="keep the store as evidence and find out who could write it",
                )
            return check

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the store, whatever the stop and the gate say: for records, not for permission to act.

        Raises:
            StoreUnusable: the store cannot be trusted or changed.
        """
        with self._connect() as store, store.transaction() as change:
            yield change

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """Read the store as it is at one instant.

        Raises:
            StoreUnusable: the store cannot be read or trusted.
        """
        with self._connect() as store, store.snapshot() as found:
            yield found

    @contextlib.contextmanager
    def permitted(self, drill: bool) -> Iterator[Transaction]:
        """A transaction in which acting is permitted: where a step is armed.

        Nobody can engage the stop in the store, or set the gate, between the question and the commit.

        Raises:
            Refused: acting is not permitted now; nothing was changed.
            StoreUnusable: the store cannot be changed.
        """
        with self.transaction() as change:
            state = latched(change.state, files.read_latch(self.path))
            allowed = model.permission(state, drill, self._clock.now())
            if not allowed.allowed:
                raise Refused(allowed.reason, where=self.location.shown, next_step=allowed.next_step)
            yield change

    def change(
        self,
        action: str,
        transition: Callable[[ControlState, datetime], ControlState],
        *,
        actor: str | None = None,
        detail: dict[str, object] | None = None,
        expected_version: int | None = None,
        within: Callable[[Transaction], None] | None = None,
        about_stop: bool = False,
    ) -> ControlState:
        """One transition of the control state, in one transaction with its audit row.

        Args:
            action: a stable `noun.verb` for the audit row.
            transition: pure; given the state that counts (the latch included) and the time, returns the next one.
            actor: who; the one given at the start unless given here.
            detail: JSON values for the audit row.
            expected_version: the version of the state that the caller looked at; another one is a conflict.
            within: what else belongs to the transaction, done after the transition.
            about_stop: whether the transition engages or releases the stop. What any other one says of it is the latch.

        Returns:
            The state as recorded; it knows nothing of the latch beside the store.

        Raises:
            Refused: the transition is not permitted.
            StoreConflict: the state was changed meanwhile.
            StoreUnusable: the store could not be changed.
        """
        with self.transaction() as change:
            before = latched(change.state, files.read_latch(self.path))
            if expected_version is not None and before.version != expected_version:
                raise StoreConflict(
                    f"the control state was changed meanwhile (version {before.version}, not {expected_version})",
                    where=self.location.shown,
                    next_step="look again, then decide",
                )
            # The time is taken once the store is ours, so that times and audit rows have the same order.
            now = self._clock.now()
            after = transition(before, now)
            if not about_stop and stop_of(after) == stop_of(before):
                # The latch is a stop of its own: what it says is never written into the store by another change. An
                # engaging may say the very same, if no millisecond has passed since its latch: that one is written.
                after = with_stop(after, change.state)
            state = change.put_state(after, at=now, actor=self._who(actor), action=action, detail=detail or {})
            if within is not None:
                within(change)
        self._changed()
        return state

    @contextlib.contextmanager
    def _connect(self, *, create: bool = False) -> Iterator[Store]:
        with connect(
            self.location, create, now=self._clock.now(), actor=self._actor, busy_timeout_s=self._busy_timeout_s
        ) as store:
            yield store

    def _who(self, actor: str | None) -> str:
        return self._actor if actor is None else model.tidy(actor, model.NOBODY)


def _told(error: Exception) -> tuple[str, str]:
    """What is wrong and what to do about it."""
    return (error.what, error.next_step) if isinstance(error, OpsError) else (repr(error), "")


def _check_version(target: str, kind: str, name: str, digest: str) -> None:
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is not a kind of version", where=target, allowed=", ".join(KINDS))
    # The name is joined to a folder when rolling back: it must not lead out of it.
    if name in {"", ".", ".."} or "/" in name or len(name) > NAME_MAX_CHARS or model.tidy(name, "", 255) != name:
        raise UsageError(f"{name!r} is not the name of a version", where=target, allowed="one path component")
    if not _DIGEST.fullmatch(digest):
        raise UsageError(f"{digest!r} is not a digest", where=f"{target}, {name}", allowed="64 hexadecimal digits")
