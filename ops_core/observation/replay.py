"""Judging recorded evidence with today's checks: no socket, no thread, no clock."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.errors import RecordError
from ops_core.evidence import EvidenceRecord, evidence_id
from ops_core.observation.record import parse_observation, read_report
from ops_core.targets import TARGET_FIELDS, Target


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a report holds, ready to be judged again."""

    path: Path
    part: dict[str, Any]
    targets: tuple[Target, ...]

    def records(self) -> dict[str, EvidenceRecord]:
        """The evidence by id. Called after collection, when a user's own evidence classes are known.

        Raises:
            RecordError: the report is damaged.
        """
        observation = parse_observation(self.part, str(self.path), known_kinds_only=True)
        return {record.id: record for record in observation.evidence}


def open_recorded(path: Path) -> Recorded:
    """Read a report for replay; targets are those of the recording, not those of today's configuration.

    Raises:
        RecordError: the report is missing or damaged.
    """
    part = read_report(path)
    raw = part.get("targets")
    if not isinstance(raw, list) or not raw:
        raise RecordError("the report names no targets", where=str(path))
    return Recorded(path=path, part=part, targets=tuple(_target(one, path) for one in raw))


def describe_target(target: Target) -> dict[str, Any]:
    """A target as it goes into the record: what is set, without secrets (the configuration holds none)."""
    described: dict[str, Any] = {}
    for name in sorted(TARGET_FIELDS):
        value = getattr(target, name)
        if value not in (None, (), {}):
            described[name] = str(value) if isinstance(value, Path) else value
    return described


def _target(raw: object, path: Path) -> Target:
    from pydantic import TypeAdapter, ValidationError

    damaged = "the report is damaged: a target is not described as it must be"
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        raise RecordError(damaged, where=str(path))
    hints = typing.get_type_hints(Target)
    values = {}
    for name, value in raw.items():
        if name not in TARGET_FIELDS:
            raise RecordError(damaged, where=f"{path}, target {raw['name']}, {name}")
        try:
            values[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            where = f"{path}, target {raw['name']}, {name}"
            raise RecordError(f"{damaged}: {error.errors()[0]['msg']}", where=where) from None
    return Target(**values)


def not_recorded(probe: str, target: str | None, path: Path) -> EvidenceRecord:
    """The answer for a pair that the recording does not hold."""
    return EvidenceRecord(
        id=evidence_id(probe, target),
        probe=probe,
        target=target,
        seen=False,
        kind=None,
        evidence=None,
        reason=f"not in the recorded observation {path.name}",
    )
