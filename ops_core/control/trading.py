"""The trading calendar of a profile, with the file of holidays that its configuration may name."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ops_core.control.model.calendar import TradingCalendar, calendar_from, holidays_from
from ops_core.errors import ConfigError
from ops_core.operations import TradingTable

HOLIDAYS_MAX_BYTES = 1 << 20


def calendar_of(table: TradingTable, where: str = "trading") -> TradingCalendar:
    """The calendar that a profile's table `trading` describes.

    Raises:
        ConfigError: it cannot be followed, or the file of holidays cannot be read: without it every day might be one.
    """
    holidays: frozenset[date] = frozenset() if table.holidays_file is None else _read(table.holidays_file, where)
    return calendar_from(
        zone=table.zone, days=table.days, opens=table.opens, closes=table.closes, holidays=holidays, where=where
    )


def _read(path: Path, where: str) -> frozenset[date]:
    place = f"{where}.holidays_file = {path}"
    try:
        with path.open("rb") as file:
            raw = file.read(HOLIDAYS_MAX_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"the holidays cannot be read: {why}", where=place) from None
    if len(raw) > HOLIDAYS_MAX_BYTES:
        raise ConfigError("the file of holidays is too large", where=place, allowed=f"{HOLIDAYS_MAX_BYTES} bytes")
    return holidays_from(text, where=place)
