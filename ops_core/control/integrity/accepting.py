"""Saying that what was found has been looked into: a recorded act, from which on only new findings are told."""

from __future__ import annotations

from ops_core.config import Settings
from ops_core.control import logs, mirrors
from ops_core.control.integrity.survey import LOOKED_AT
from ops_core.control.model import required_reason
from ops_core.control.service import ControlPlane

ACCEPT_COMMAND = "ops audit accept --reason …"


def accept_look(plane: ControlPlane, settings: Settings, reason: str) -> int:
    """Put right and record what is found now, then accept all of it.

    Contracts are not accepted with it: that is an act of its own, because it changes what may run.

    Returns:
        The audit row of the accepting.

    Raises:
        UsageError: there is no fit reason.
        StoreUnusable: the store could not be changed.
    """
    fit_reason = required_reason(reason, "accepting what was found", ACCEPT_COMMAND)
    mirrors.export(plane, settings, whole=True)
    with plane.transaction() as tx:
        now = plane.clock.now()
        logs.mark(tx, settings, now, always=True)
        row = tx.audit(at=now, actor=plane.actor, action=LOOKED_AT, detail={"reason": fit_reason, "until": tx.head[0]})
    mirrors.export(plane, settings)
    return row.seq
