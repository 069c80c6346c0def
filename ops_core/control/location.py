"""Where a control store lies: in a file of this host, or in a PostgreSQL database. Costs nothing to import."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ops_core.config import Settings, read_secret

_SECRETS = re.compile(r"(?<=:)[^:@/]*(?=@)|(?<=password=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class StoreLocation:
    """A store's place.

    Attributes:
        path: the SQLite file. With a database it only names the folder in which the latch lies.
        url: `postgresql://user@host/database`, without a password; empty for SQLite.
        password: the database's, never shown.
    """

    path: Path
    url: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """The place as people read it: without a password."""
        return _SECRETS.sub("…", self.url) if self.url else str(self.path)

    @classmethod
    def of(cls, place: Path | StoreLocation) -> StoreLocation:
        """The location; a bare path is an SQLite file."""
        return cls(path=place) if isinstance(place, Path) else place


def location_of(settings: Settings) -> StoreLocation:
    """Where the store of a profile lies: a file, or a database with the latch in the control folder.

    Raises:
        SecretMissing: the database needs a password that has no value on this machine.
    """
    if not settings.control_url:
        return StoreLocation(path=settings.control_store)
    password = read_secret(settings, settings.control_password) if settings.control_password else ""
    return StoreLocation(path=settings.control_store, url=settings.control_url, password=password)
