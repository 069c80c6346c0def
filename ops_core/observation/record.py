"""The record of one observation: what was seen, how it was judged, what that adds up to.

It lives under the key `runbook` of an ordinary pytest-json-report file. Writing must be cheap (it happens at 3 a.m.),
so it is plain dataclasses; reading must be strict (a damaged record must not become a decision), so it is pydantic's
work.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from ops_core.errors import RecordError
from ops_core.evidence import STRICT, Evidence, EvidenceRecord
from ops_core.finding import Finding
from ops_core.verdict import Judged, Verdict

SCHEMA_VERSION = 1
KEY = "runbook"
FILE_MAX_BYTES = 256 << 20


@dataclass(frozen=True, kw_only=True)
class ForeignEvidence(Evidence):
    """Evidence of a class that this process does not have, such as a user's own: kept as it was recorded."""

    recorded: dict[str, Any]

    def explain(self) -> str:
        """The fields as they were recorded."""
        return ", ".join(f"{name} {value!r}" for name, value in self.recorded.items())


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What one check said about one target."""

    __pydantic_config__: ClassVar[Any] = STRICT

    nodeid: str
    check: str
    suite: str
    finding: str | None
    target: str | None
    judged: Judged
    expected: str = ""
    seen: str = ""
    where: str = ""
    evidence: tuple[str, ...] = ()
    retried: bool = False
    duration_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One run of a suite. Times are ISO 8601 in UTC, durations seconds."""

    __pydantic_config__: ClassVar[Any] = STRICT

    schema: int = SCHEMA_VERSION
    run_id: str
    suite: str
    profile: str
    drill: bool
    gate: str
    stopped: bool
    stop_reason: str
    started_at: str
    finished_at: str
    total_s: float
    used_s: float
    interrupted: str = ""
    replayed_from: str = ""
    targets: tuple[dict[str, Any], ...]
    evidence: tuple[EvidenceRecord, ...]
    judgements: tuple[Judgement, ...]
    verdict: Verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was seen to be bad, in the order in which it was judged."""
        return tuple(
            Finding(
                code=j.finding or "check.unnamed",
                target=j.target,
                check=j.check,
                evidence=j.evidence,
                expected=j.expected,
                seen=j.seen,
                where=j.where,
            )
            for j in self.judgements
            if j.judged is Judged.BAD
        )

    @property
    def unknown(self) -> tuple[tuple[str, str | None], ...]:
        """(code, target) of what could not be seen."""
        return tuple((j.finding or "check.unnamed", j.target) for j in self.judgements if j.judged is Judged.UNKNOWN)

    @property
    def facts(self) -> dict[str | None, tuple[str, ...]]:
        """The facts that were seen, by target."""
        found: dict[str | None, list[str]] = {}
        for record in self.evidence:
            found.setdefault(record.target, []).extend(record.facts)
        return {target: tuple(sorted(set(codes))) for target, codes in found.items()}

    def record(self, one: str) -> EvidenceRecord | None:
        """The evidence record of that id."""
        return next((record for record in self.evidence if record.id == one), None)


def to_plain(observation: Observation) -> dict[str, Any]:
    """The observation as JSON values."""
    return dict(json_safe(observation))


def json_safe(value: Any) -> Any:
    """JSON values only: dataclasses become objects, tuples lists, and numbers that JSON does not know null.

    Done for every piece of evidence and every check, so the usual types are told apart by identity, and nothing is
    copied that is only to be written down.
    """
    kind: Any = type(value)
    if kind is str:
        # A lone surrogate cannot be written as UTF-8.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None or kind is bool or kind is int:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [json_safe(item) for item in value]
    if isinstance(value, dict):
        return {json_safe(str(key)): json_safe(item) for key, item in value.items()}
    if kind is ForeignEvidence:
        return json_safe(value.recorded)
    names = _field_names(kind)
    if names is not None:
        return {name: json_safe(getattr(value, name)) for name in names}
    return json_safe(str(value)) if not isinstance(value, int) else value


@functools.cache
def _field_names(cls: Any) -> tuple[str, ...] | None:
    return tuple(field.name for field in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else None


def read_report(path: Path) -> dict[str, Any]:
    """The part of a report file that is ours, as JSON values.

    Raises:
        RecordError: the file is missing, too large, not JSON, or holds no observation.
    """
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise RecordError(f"the report is larger than {FILE_MAX_BYTES >> 20} MiB", where=str(path))
        report = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RecordError("the report does not exist", where=str(path), next_step="ops observe") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"the report cannot be read: {_first_line(error)}", where=str(path)) from None
    part = report.get(KEY) if isinstance(report, dict) else None
    if not isinstance(part, dict):
        raise RecordError("the report holds no observation", where=str(path), allowed=f"a JSON object with {KEY!r}")
    return part


def parse_observation(part: dict[str, Any], where: str, *, known_kinds_only: bool = False) -> Observation:
    """An observation from JSON values, validated field by field.

    Args:
        part: the JSON values.
        where: the file they come from, for errors.
        known_kinds_only: refuse evidence of classes that this process does not have, because it is to be judged.

    Raises:
        RecordError: naming the first field that is not as it must be.
    """
    from pydantic import ValidationError

    if part.get("schema") != SCHEMA_VERSION:
        raise RecordError(
            f"the observation has schema {part.get('schema')!r}", where=where, allowed=f"schema {SCHEMA_VERSION}"
        )
    try:
        raw = dict(part)
        records = raw.get("evidence")
        if not isinstance(records, list):
            raise RecordError("the observation's evidence is not a list", where=where)
        raw["evidence"] = [_parse_record(record, where, known_kinds_only) for record in records]
        observation: Observation = _adapter(Observation).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RecordError(f"the observation is damaged: {first['msg']}", where=f"{where}, {place}") from None
    ids = [record.id for record in observation.evidence]
    if len(ids) != len(set(ids)):
        raise RecordError("the observation is damaged: an evidence id stands twice", where=where)
    known = set(ids)
    for judgement in observation.judgements:
        missing = [one for one in judgement.evidence if one not in known]
        if missing and not observation.interrupted:
            raise RecordError(
                f"the observation is damaged: evidence {missing[0]!r} is not in it",
                where=f"{where}, {judgement.nodeid}",
            )
    return observation


def read_observation(path: Path) -> Observation:
    """The observation in a report file.

    Raises:
        RecordError: the file is missing, damaged, or of another version.
    """
    return parse_observation(read_report(path), str(path))


def _parse_record(raw: Any, where: str, known_kinds_only: bool) -> EvidenceRecord:
    from pydantic import ValidationError

    if not isinstance(raw, dict):
        raise RecordError("the observation is damaged: an evidence record is not an object", where=where)
    kind, body = raw.get("kind"), raw.get("evidence")
    evidence: Evidence | None = None
    try:
        if kind is not None:
            cls = Evidence.kinds.get(kind) if isinstance(kind, str) else None
            if cls is None and not known_kinds_only and isinstance(kind, str) and isinstance(body, dict):
                evidence = ForeignEvidence(recorded=body)
            elif cls is None:
                raise RecordError(
                    f"the observation holds evidence of an unknown kind {kind!r}",
                    where=where,
                    allowed=", ".join(sorted(Evidence.kinds)),
                )
            else:
                evidence = _adapter(cast("Hashable", cls)).validate_python(body)
        envelope: EvidenceRecord = _adapter(EvidenceRecord).validate_python({**raw, "evidence": None})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RecordError(
            f"the observation is damaged: {first['msg']}", where=f"{where}, evidence {raw.get('id')!r}, {place}"
        ) from None
    if envelope.seen != (evidence is not None):
        raise RecordError(
            "the observation is damaged: seen without evidence, or the reverse", where=f"{where}, {envelope.id}"
        )
    return dataclasses.replace(envelope, evidence=evidence)


@functools.cache
def _adapter(cls: Hashable) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(cast("type[Any]", cls))


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
