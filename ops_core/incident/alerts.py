"""What an alert of a monitoring system asks for: read from its labels by looking up, never by joining. Pure.

An alert is known by its group, its labels and when it began; so one that is sent again is the same one, and one that
began anew is another. Alerts of one group belong to one incident for as long as that is open.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ops_core.clock import isoformat, parse_instant
from ops_core.control.model import tidy
from ops_core.incident.severity import Severity

SOURCE = "alertmanager"
TARGET, SUITE, SEVERITY = "runbook_target", "runbook_suite", "runbook_severity"
NAME_LABEL = "alertname"
FIRING, RESOLVED = "firing", "resolved"
NAME_MAX_CHARS = 80
SUMMARY_MAX_CHARS = 160
NAMES_SHOWN_MAX = 5


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert as it was sent. `summary` is for people; `starts_at` is ISO 8601 in UTC."""

    status: str
    labels: Mapping[str, str]
    starts_at: str
    summary: str = ""

    @property
    def firing(self) -> bool:
        """Whether it holds now, as far as whoever sent it knows."""
        return self.status == FIRING

    @property
    def name(self) -> str:
        """What it is called."""
        return tidy(self.labels.get(NAME_LABEL, ""), "alert", NAME_MAX_CHARS)


@dataclass(frozen=True, kw_only=True)
class Notification:
    """What was sent at once: the alerts of one group, and how many more the sender left out."""

    group: str
    alerts: tuple[Alert, ...]
    left_out: int = 0

    @property
    def key(self) -> str:
        """What tells the incident of this group from others."""
        return f"{SOURCE}:{_digest(self.group)}"

    def mark(self, alert: Alert) -> str:
        """What tells an alert from others, whatever its status."""
        return _digest(json.dumps([self.group, sorted(alert.labels.items()), alert.starts_at]))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the labels of some alerts come to: what is affected, what to look at, how severe, and what was not known.

    `unknown` says which label names nothing that there is here; what it names is not repeated.
    """

    severity: Severity
    suite: str
    targets: tuple[str, ...] = ()
    unknown: tuple[str, ...] = field(default=())


def wanted_by(
    alerts: Sequence[Alert], *, targets: Collection[str], suites: Collection[str], suite: str, severity: Severity
) -> Wanted:
    """What these alerts ask for.

    Args:
        alerts: those that fire.
        targets: the targets there are.
        suites: the suites there are.
        suite: what is looked at where no label names a suite that there is.
        severity: where no label names one; the most severe counts.
    """
    severities = {one.value: one for one in Severity}
    named = [[alert.labels[label] for alert in alerts if label in alert.labels] for label in (TARGET, SUITE, SEVERITY)]
    known = [set(targets), set(suites), set(severities)]
    found = [[one for one in dict.fromkeys(many) if one in there] for many, there in zip(named, known, strict=True)]
    unknown = [
        f"the label {label} names nothing that there is here"
        for label, many, there in zip((TARGET, SUITE, SEVERITY), named, known, strict=True)
        if set(many) - there
    ]
    if len(found[1]) > 1:
        unknown.append(f"the label {SUITE} names more than one suite; the first one is looked at")
    return Wanted(
        severity=severities[min(found[2])] if found[2] else severity,
        suite=found[1][0] if found[1] else suite,
        targets=tuple(found[0]),
        unknown=tuple(unknown),
    )


def title_of(alerts: Sequence[Alert]) -> str:
    """What is wrong in one line: the names of the alerts, and what the first one says."""
    names = list(dict.fromkeys(alert.name for alert in alerts))
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    said = next((tidy(alert.summary, "", SUMMARY_MAX_CHARS) for alert in alerts if alert.summary.strip()), "")
    return ", ".join(names[:NAMES_SHOWN_MAX]) + more + (f": {said}" if said else "")


def began_at(alerts: Sequence[Alert]) -> datetime:
    """When the first of them began."""
    return min(parse_instant(alert.starts_at) for alert in alerts)


def normal_instant(text: str) -> str:
    """An instant of RFC 3339, with as many digits of a second as anybody likes, as we write it.

    Raises:
        ValueError: it is none, or none of these centuries.
    """
    found = parse_instant(text)
    if not 1970 <= found.year < 9000:
        raise ValueError("not of these centuries")
    return isoformat(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
