"""What people may write into a record: one line, nothing that makes it read as something else."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime

from ops_core.clock import isoformat, parse_instant
from ops_core.errors import UsageError

REASON_MAX_CHARS = 500
ACTOR_MAX_CHARS = 100
NOBODY = "unknown"

# Line separators and text-direction overrides can make one line of a log read as another; Cc and Cs are refused whole.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTION_OVERRIDES = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def required_reason(reason: str, act: str, next_step: str = "") -> str:
    """The reason without surrounding blanks.

    Raises:
        UsageError: it is empty, too long, or holds control characters.
    """
    text = reason.strip()
    allowed = f"one line of 1 to {REASON_MAX_CHARS} characters, without control characters"
    if not text:
        raise UsageError(f"{act} needs a reason", where="reason", allowed=allowed, next_step=next_step)
    if len(text) > REASON_MAX_CHARS:
        raise UsageError(f"the reason is {len(text)} characters long", where="reason", allowed=allowed)
    bad = next((c for c in text if _forbidden(c)), None)
    if bad is not None:
        raise UsageError(f"the reason holds the control character U+{ord(bad):04X}", where="reason", allowed=allowed)
    return text


def tidy(text: str, fallback: str, max_chars: int = ACTOR_MAX_CHARS) -> str:
    """The text made fit for a record: control characters become blanks, overlong text is cut, nothing is `fallback`."""
    clean = " ".join("".join(" " if _forbidden(c) else c for c in text[: 4 * max_chars]).split())
    return clean[:max_chars].rstrip() or fallback


def whole_ms(now: datetime) -> datetime:
    """The instant as a record holds it: cut to milliseconds, so that a state equals its record."""
    return parse_instant(isoformat(now))


def instant_text(instant: datetime | None) -> str | None:
    """The instant as a record writes it."""
    return None if instant is None else isoformat(instant)


def read_instant(values: Mapping[str, object], name: str) -> datetime | None:
    """The instant recorded under that name, or None.

    Raises:
        ValueError: it is not one.
    """
    value = values.get(name)
    if value is None:
        return None
    return parse_instant(value if isinstance(value, str) else repr(value))


def read_text(values: Mapping[str, object], name: str, *, empty: bool = False) -> str:
    """The text recorded under that name.

    Raises:
        ValueError: it is missing, of another type, or empty where it must not be.
    """
    value = values.get(name)
    if not isinstance(value, str) or not (value or empty):
        raise ValueError(f"{name} is missing")
    return value


def read_reason(values: Mapping[str, object], name: str) -> str:
    """The reason recorded under that name: one that could have been given.

    Raises:
        ValueError: it could not.
    """
    found = read_text(values, name)
    try:
        fit = required_reason(found, name)
    except UsageError as error:
        raise ValueError(f"{name} is damaged: {error.what}") from None
    if fit != found:
        raise ValueError(f"{name} is damaged: it has blanks around it")
    return found


def read_name(values: Mapping[str, object], name: str) -> str:
    """Who it was, as recorded under that name: one line of bounded length.

    Raises:
        ValueError: it is not.
    """
    found = read_text(values, name)
    if tidy(found, "") != found:
        raise ValueError(f"{name} is damaged: it is not one short line")
    return found


def read_flag(values: Mapping[str, object], name: str) -> bool:
    """The flag recorded under that name.

    Raises:
        ValueError: it is neither true nor false.
    """
    value = values.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}, neither true nor false")
    return value


def _forbidden(char: str) -> bool:
    return unicodedata.category(char) in _FORBIDDEN_CATEGORIES or char in _DIRECTION_OVERRIDES
