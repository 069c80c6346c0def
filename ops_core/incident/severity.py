"""How severe an incident is that people handle, and how often they owe the others an update. Pure.

A time to the next update is half-open, `[last update, due)`: at the instant itself the update is overdue already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from ops_core.errors import UsageError
from ops_core.report.seen import Text

Named = TypeVar("Named", bound=StrEnum)


class Severity(StrEnum):
    """SEV-1 is an outage or a danger to data, SEV-2 a main function that suffers, SEV-3 what can be worked around."""

    SEV1 = "SEV-1"
    SEV2 = "SEV-2"
    SEV3 = "SEV-3"


CADENCE_S: Mapping[Severity, int] = MappingProxyType(
    {Severity.SEV1: 15 * 60, Severity.SEV2: 30 * 60, Severity.SEV3: 60 * 60}
)
MEANING: Mapping[Severity, Text] = MappingProxyType(
    {
        Severity.SEV1: {
            "en": "everything is down, or the integrity of data is at risk",
            "ko": "전체 장애 또는 치명적 데이터 무결성 위험",
        },
        Severity.SEV2: {
            "en": "a main function is badly degraded",
            "ko": "핵심 기능에 영향을 주는 중대 성능 저하",
        },
        Severity.SEV3: {
            "en": "a partial failure that can be worked around",
            "ko": "우회 가능한 부분 장애",
        },
    }
)


class Scenario(StrEnum):
    """What kind of trouble it is: each has a report of its own."""

    DATABASE = "database"
    REDIS = "redis"
    RELEASE = "release"
    OVERLOAD = "overload"


@dataclass(frozen=True, kw_only=True)
class Owed:
    """When the next update is due.

    Attributes:
        last_at: when the last one was given; the opening counts as one.
        due_at: when the next one is overdue.
    """

    last_at: datetime
    due_at: datetime

    def overdue(self, now: datetime) -> bool:
        """Whether the time has run out."""
        return now >= self.due_at

    def left_s(self, now: datetime) -> float:
        """Seconds until it is overdue; negative since when it is."""
        return (self.due_at - now) / timedelta(seconds=1)


def owed(severity: Severity, last_at: datetime) -> Owed:
    """What is owed after an update at `last_at`."""
    return Owed(last_at=last_at, due_at=last_at + timedelta(seconds=CADENCE_S[severity]))


def parse_severity(text: str) -> Severity:
    """The severity of that name.

    Raises:
        UsageError: there is none.
    """
    return _parse(Severity, text.strip().upper(), text, "severity")


def parse_scenario(text: str) -> Scenario | None:
    """The scenario of that name; None where it is not known yet, which is what no text says.

    Raises:
        UsageError: there is none.
    """
    return _parse(Scenario, text.strip().lower(), text, "scenario") if text.strip() else None


def _parse(kind: type[Named], fit: str, text: str, word: str) -> Named:
    try:
        return kind(fit)
    except ValueError:
        raise UsageError(f"there is no {word} {text[:40]!a}", where=word, allowed=", ".join(kind)) from None
