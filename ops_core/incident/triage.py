"""What is known when an incident is opened by hand: from the newest observation, and from what is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from ops_core.budget import RECOVER_S
from ops_core.clock import parse_instant
from ops_core.config import Settings
from ops_core.control.deployments import NoVersion, version_in_force
from ops_core.errors import OpsError
from ops_core.evidence import DeploymentEvidence
from ops_core.incident.looks import DETECTION, Look, look_of
from ops_core.observation.record import Observation, read_observation

SUITES = ("service", "observe")
LABEL = "O1"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known, with the evidence behind it; empty where nothing is."""

    look: Look | None = None
    affected: tuple[str, ...] = ()
    version: str = ""
    started_at: datetime | None = None
    cited: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def known_now(settings: Settings, now: datetime) -> Known:
    """What the newest observation found, if it found something and is no older than ten minutes.

    What was seen longer ago says nothing about now. A report that cannot be read is no observation.
    """
    found = _newest(settings, now)
    if found is None:
        return Known()
    observation, path = found
    shown = str(path.relative_to(settings.root) if path.is_relative_to(settings.root) else path)
    look = look_of(observation, label=LABEL, record=shown, purpose=DETECTION, whole=True)
    affected = tuple(dict.fromkeys(bad.target for bad in look.bad if bad.target is not None))
    bad = dict.fromkeys(one for part in look.bad for one in part.evidence)
    cited: dict[str, tuple[str, ...]] = {}
    if affected:
        cited["affected"] = look.cited(list(bad))
        cited["started_at"] = (LABEL,)
    version, seen = _version(settings, observation, affected)
    if seen:
        cited["version"] = look.cited(seen)
    return Known(
        look=look,
        affected=affected,
        version=version,
        started_at=parse_instant(look.started_at) if affected else None,
        cited=cited,
    )


def _newest(settings: Settings, now: datetime) -> tuple[Observation, Path] | None:
    found = []
    for suite in SUITES:
        path = settings.reports_dir / suite / "latest.json"
        try:
            observation = read_observation(path)
        except OpsError:
            continue
        age = now - parse_instant(observation.finished_at)
        if observation.profile == settings.profile and observation.findings and age < timedelta(seconds=RECOVER_S):
            found.append((observation, path))
    return max(found, key=lambda one: one[0].finished_at, default=None)


def _version(settings: Settings, observation: Observation, affected: tuple[str, ...]) -> tuple[str, list[str]]:
    """The releases in force of what is affected, as the observation saw them or as the links say now."""
    versions, seen = [], []
    for name in affected:
        record = observation.record(f"deployment[{name}]")
        if record is not None and isinstance(record.evidence, DeploymentEvidence) and record.evidence.release:
            versions.append(f"{name} {record.evidence.release}")
            seen.append(record.id)
            continue
        link = next((target.release_link for target in settings.targets if target.name == name), None)
        if link is not None:
            try:
                versions.append(f"{name} {version_in_force(link).name}")
            except NoVersion:
                continue
    return ", ".join(versions), seen
