"""From the settings to an open control plane: where its store lies, and what follows from a change."""

from __future__ import annotations

from ops_core.clock import Clock
from ops_core.config import Settings, read_secret
from ops_core.control.location import StoreLocation
from ops_core.control.service import ControlPlane


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

    plane = ControlPlane(location_of(settings), clock, actor=actor, changed=changed)
    return plane
