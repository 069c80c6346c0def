"""The steps of an attempt in the control store: where the runner arms them and records what became of them.

A step is armed in the very transaction in which the guard is asked, and only from the state it was believed to be in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update

from ops_core.clock import isoformat
from ops_core.control import schema
from ops_core.control.model import RemediationPermit
from ops_core.control.problems import StoreConflict
from ops_core.control.store import Transaction
from ops_core.errors import RecordError
from ops_core.incident.progress import Kind
from ops_core.incident.store import STEPS_PER_ATTEMPT, Incidents, as_table, as_text
from ops_core.remediation.guard import Guard, GuardRefused
from ops_core.remediation.probing import Mark
from ops_core.remediation.runner import Recorded, StepState

_STEP = schema.step


class StepLedger:
    """The steps of one attempt and phase (see `ops_core.remediation.runner.Ledger`).

    Where there is a `permit`, the first step of the attempt is armed in the transaction that consumes the window which
    permits it. Later steps and the way back belong to the same permission: the plan that was approved holds them all.
    """

    def __init__(
        self,
        incidents: Incidents,
        incident: str,
        attempt: int,
        phase: str,
        guard: Guard,
        permit: RemediationPermit | None = None,
    ) -> None:
        self._incidents = incidents
        self._permit = permit
        self._incident, self._attempt, self._phase, self._guard = incident, attempt, phase, guard

    def recorded(self, index: int) -> Recorded:
        """What is recorded about a step."""
        with self._incidents.snapshot() as found:
            state, data = self._row(found, index)
        return Recorded(state=state, mark=data["mark"])

    def arm(self, index: int, *, mark: Mark, again: str) -> None:
        """Arm a step, if the guard permits it in the same transaction.

        Raises:
            GuardRefused: acting is not permitted now; nothing was changed.
            StoreConflict: the step is not in the state that it was believed to be in.
        """
        with self._guard.at_the_point_of_effect() as change:
            # Once the store is ours: what others recorded before us bears no later time.
            at = self._incidents.now()
            state, data = self._row(change, index)
            expected = StepState.ARMED if again else StepState.PLANNED
            if state is not expected:
                raise StoreConflict(f"the step is {state}, not {expected}", where=self._where(index))
            used = self._permit is not None and not self._begun(change)
            if self._permit is not None and used:
                self._guard.use_keys(change, self._permit, self._where(index), at)
            armings = [*data["armings"], {"at": isoformat(at), "reason": again}]
            self._set(change, index, expected, StepState.ARMED, {**data, "mark": dict(mark), "armings": armings})
            change.execute(update(_STEP).where(*self._this(index)).values(armed_at=isoformat(at)))
            self._event(change, Kind.ARMED, index, {"again": again, "command": data["command"]}, at)
        self._incidents.added(self._incident)
        if used:
            self._guard.plane.show()

    def finish(self, index: int, state: StepState, *, detail: str, elapsed_s: float | None) -> None:
        """Record what became of a step.

        Raises:
            StoreConflict: it has ended already.
        """
        at = self._incidents.now()
        with self._incidents.transaction() as change:
            before, data = self._row(change, index)
            if before not in {StepState.PLANNED, StepState.ARMED}:
                raise StoreConflict(f"the step is {before} already", where=self._where(index))
            self._set(change, index, before, state, {**data, "detail": detail, "elapsed_s": elapsed_s})
            change.execute(update(_STEP).where(*self._this(index)).values(ended_at=isoformat(at)))
            told = {"state": state.value, "detail": detail, "command": data["command"], "elapsed_s": elapsed_s}
            self._event(change, Kind.STEP, index, told, at)
        self._incidents.added(self._incident)

    def _begun(self, found: Transaction) -> bool:
        """Whether any step of this attempt was ever armed."""
        first = self._attempt * STEPS_PER_ATTEMPT
        of_attempt = (_STEP.c.idx >= first, _STEP.c.idx < first + STEPS_PER_ATTEMPT)
        armed = select(_STEP.c.idx).where(
            _STEP.c.incident_id == self._incident, *of_attempt, _STEP.c.armed_at.is_not(None)
        )
        return found.execute(armed.limit(1)).one_or_none() is not None

    def _row(self, found: Transaction, index: int) -> tuple[StepState, dict[str, Any]]:
        row = found.execute(select(_STEP.c.state, _STEP.c.data).where(*self._this(index))).one_or_none()
        if row is None:
            raise RecordError("the step is not recorded", where=self._where(index))
        return StepState(row[0]), as_table(row[1], self._where(index))

    def _set(
        self, change: Transaction, index: int, before: StepState, after: StepState, data: Mapping[str, Any]
    ) -> None:
        done = change.execute(
            update(_STEP)
            .where(*self._this(index), _STEP.c.state == before.value)
            .values(state=after.value, data=as_text(data))
        )
        if done.rowcount != 1:
            raise StoreConflict("the step was changed by somebody else", where=self._where(index))

    def _event(self, change: Transaction, kind: Kind, index: int, data: Mapping[str, Any], at: datetime) -> None:
        told = {"attempt": self._attempt, "phase": self._phase, "index": index, **data}
        self._incidents.add_event(change, self._incident, kind, told, at)

    def _this(self, index: int) -> tuple[ColumnElement[bool], ...]:
        return (
            _STEP.c.incident_id == self._incident,
            _STEP.c.phase == self._phase,
            _STEP.c.idx == self._index(index),
        )

    def _index(self, index: int) -> int:
        return self._attempt * STEPS_PER_ATTEMPT + index

    def _where(self, index: int) -> str:
        return f"incident {self._incident}, attempt {self._attempt}, {self._phase} step {index + 1}"


class RefusedLedger:
    """A ledger in which nothing may be armed, because the emergency stop did not let the work begin."""

    def __init__(self, ledger: StepLedger, refusal: GuardRefused) -> None:
        self.recorded, self.finish = ledger.recorded, ledger.finish
        self._refusal = refusal

    def arm(self, index: int, *, mark: Mark, again: str) -> None:
        """Refuse.

        Raises:
            GuardRefused: always.
        """
        del index, mark, again
        raise self._refusal
