"""From the settings to an open control plane: where its store lies, and what follows from a change."""

from __future__ import annotations

import contextlib

from ops_core.clock import Clock
from ops_core.config import Settings, read_secret
from ops_core.control.location import StoreLocation
from ops_core.control.service import ControlPlane
from ops_core.errors import Refused


def location_of(settings: Settings) -> StoreLocation:
    """Where the store of a profile lies: a file, or a database with the latch in the control folder.

    Raises:
        SecretMissing: the database needs a password that has no value on this machine.
    """
    if not settings.control_url:
        return StoreLocation(path=settings.control_store)
    password = read_secret(settings, settings.control_password) if settings.control_password else ""
    return StoreLocation(path=settings.control_store, url=settings.control_url, password=password)


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
