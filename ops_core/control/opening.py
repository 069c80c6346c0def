"""From the settings to an open control plane, and what follows from a change of it."""

from __future__ import annotations

import contextlib

from ops_core.clock import Clock
from ops_core.config import Settings
from ops_core.control.location import location_of
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused


def plane_of(settings: Settings, clock: Clock, actor: str) -> ControlPlane:
    """The control plane of a profile, whose changes are mirrored for people and scripts."""

    def changed() -> None:
        from ops_core.control.mirrors import export

        export(plane, settings)

    def created() -> None:
        complete(plane, settings)

    plane = ControlPlane(location_of(settings), clock, actor=actor, changed=changed, created=created)
    return plane


def complete(plane: ControlPlane, settings: Settings) -> None:
    """What belongs to a store beside its tables: the host's key, the contracts as they were first accepted, mirrors.

    Done once; what is there stays. Where a contract cannot be read, none is accepted, so nothing is allowed.

    Raises:
        UsageError: the host's key cannot be made or read.
        StoreUnusable: the store cannot be changed.
    """
    from ops_core.control import checkpoint, contracts
    from ops_core.control.mirrors import export

    with plane.snapshot() as found:
        whole = checkpoint.is_recorded(found, settings) and contracts.is_accepted(found)
    if not whole:
        with plane.transaction() as tx:
            checkpoint.record_key(tx, settings, at=plane.clock.now(), actor=plane.actor)
            with contextlib.suppress(Refused):
                contracts.accept_first(tx, plane, settings)
    export(plane, settings)
