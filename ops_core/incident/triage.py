"""What is known when an incident is opened by hand: from the newest observation, and from what is deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from ops_core.budget import RECOVER_S
from ops_core.clock import parse_instant
from ops_core.config import Settings
from ops_core.control.deployments import NoVersion, version_in_force
from ops_core.errors import OpsError, Refused
from ops_core.evidence import DeploymentEvidence
from ops_core.incident.looks import DETECTION, VERIFICATION, Look, look_of
from ops_core.observation.record import Observation, read_observation

SUITES = ("service", "observe")
LABEL = "O1"
LATEST = "latest.json"


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
    found = [one for one in _fresh(settings, now, SUITES) if one[0].findings]
    if not found:
        return Known()
    observation, path = found[-1]
    look = _kept(settings, observation, path, LABEL, DETECTION)
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


def look_now(settings: Settings, now: datetime, label: str, suite: str = "") -> Look:
    """The newest observation whatever it says, if it is no older than ten minutes, as an incident keeps it.

    Args:
        settings: the profile.
        now: the time.
        label: what the look is to be called.
        suite: which suite's; the newest of `service` and `observe` unless given.

    Raises:
        Refused: there is none.
    """
    found = _fresh(settings, now, (suite,) if suite else SUITES)
    if not found:
        wanted = suite or SUITES[0]
        raise Refused(
            "nobody has looked in the last ten minutes",
            where=str(settings.reports_dir / wanted / LATEST),
            next_step=f"ops observe --suite {wanted}",
        )
    return _kept(settings, *found[-1], label, VERIFICATION)


def _kept(settings: Settings, observation: Observation, path: Path, label: str, purpose: str) -> Look:
    shown = str(path.relative_to(settings.root) if path.is_relative_to(settings.root) else path)
    # What is good is evidence too: of health, of the figures, and at the end of recovery.
    every = {target.name for target in settings.targets}
    return look_of(observation, label=label, record=shown, purpose=purpose, whole=True, affected=every)


def _fresh(settings: Settings, now: datetime, suites: Sequence[str]) -> list[tuple[Observation, Path]]:
    """The latest observation of each suite, if it is of this profile and fresh, the newest last."""
    found = []
    for suite in suites:
        folder = settings.reports_dir / suite
        try:
            observation = read_observation(folder / LATEST)
        except OpsError:
            continue
        age = now - parse_instant(observation.finished_at)
        if observation.profile == settings.profile and age < timedelta(seconds=RECOVER_S):
            # The record of its own, where it is still there: the latest one changes with the next observation.
            own = folder / f"{observation.run_id}.json"
            found.append((observation, own if own.is_file() else folder / LATEST))
    return sorted(found, key=lambda one: one[0].finished_at)


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
