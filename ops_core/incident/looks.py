"""An observation as an incident keeps it: what was bad, what could not be seen, and the evidence behind that.

The record of an observation is a file that may be moved or deleted. What the incident has to know in order to go on
after a crash, or to be told a year later, lies in its own events.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ops_core.evidence import Evidence
from ops_core.finding import Finding
from ops_core.observation.record import Judgement, Observation
from ops_core.report.strict import decode, encode
from ops_core.verdict import Judged, Verdict

EVIDENCE_MAX = 200
LISTED_MAX = 500
TEXT_MAX_CHARS = 500
DETECTION = "detection"
VERIFICATION = "verification"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """One judgement that was bad, with the node id by which the same check is asked again."""

    code: str
    target: str | None
    check: str
    nodeid: str
    expected: str
    seen: str
    where: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """One judgement that could not be made, and why."""

    code: str
    target: str | None
    reason: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One piece of evidence in one line; `reason` is empty where it was seen."""

    id: str
    explanation: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was seen of a target that is neither good nor bad."""

    target: str | None
    codes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One observation. Evidence ids are as the observation has them, without the label."""

    label: str
    run_id: str
    record: str
    purpose: str
    whole: bool
    verdict: str
    started_at: str
    finished_at: str
    used_s: float
    total_s: float
    targets: tuple[str, ...]
    bad: tuple[Bad, ...]
    unseen: tuple[Unseen, ...]
    facts: tuple[Facts, ...]
    evidence: tuple[Shown, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything was seen and is good."""
        return self.verdict == Verdict.HEALTHY

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was bad, as the decision table takes it."""
        return tuple(
            Finding(
                code=b.code,
                target=b.target,
                check=b.check,
                evidence=b.evidence,
                expected=b.expected,
                seen=b.seen,
                where=b.where,
            )
            for b in self.bad
        )

    def facts_by_target(self) -> dict[str | None, tuple[str, ...]]:
        """The facts of each target."""
        return {part.target: part.codes for part in self.facts}

    def nodeids(self, target: str | None, codes: Collection[str]) -> tuple[str, ...]:
        """The checks that found something bad about a target, as far as they stand for one of these codes."""
        return tuple(dict.fromkeys(b.nodeid for b in self.bad if b.target == target and b.code in codes))

    def cited(self, ids: Collection[str]) -> tuple[str, ...]:
        """Evidence ids with our label, as far as they are kept here; the label itself where none is."""
        kept = {one.id for one in self.evidence}
        return tuple(f"{self.label}:{one}" for one in ids if one in kept) or (self.label,)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        encoded: dict[str, Any] = encode(self)
        return encoded

    @classmethod
    def from_json(cls, value: object) -> Look:
        """The look that `to_json` was called on.

        Raises:
            RecordError: it is not such a record.
        """
        return decode(cls, value, "observation")


def look_of(
    observation: Observation,
    *,
    label: str,
    record: str,
    purpose: str,
    whole: bool,
    affected: Collection[str | None] = (),
) -> Look:
    """What an incident keeps of an observation.

    Args:
        observation: as it was recorded.
        label: `O1`, `O2`, …
        record: where its record lies.
        purpose: `detection` or `verification`.
        whole: whether it was the whole suite.
        affected: targets whose evidence is kept whatever it shows, besides those with findings.
    """
    bad = [j for j in observation.judgements if j.judged is Judged.BAD][:LISTED_MAX]
    unseen = [j for j in observation.judgements if j.judged is Judged.UNKNOWN][:LISTED_MAX]
    return Look(
        label=label,
        run_id=observation.run_id,
        record=record,
        purpose=purpose,
        whole=whole,
        verdict=observation.verdict.value,
        started_at=observation.started_at,
        finished_at=observation.finished_at,
        used_s=float(observation.used_s),
        total_s=float(observation.total_s),
        targets=tuple(str(target.get("name")) for target in observation.targets),
        bad=tuple(_bad(j) for j in bad),
        unseen=tuple(_unseen(observation, j) for j in unseen),
        facts=tuple(Facts(target=target, codes=codes) for target, codes in observation.facts.items() if codes),
        evidence=_shown(observation, [*bad, *unseen], {*affected, *(j.target for j in bad)}),
    )


def _bad(judgement: Judgement) -> Bad:
    return Bad(
        code=judgement.finding or "check.unnamed",
        target=judgement.target,
        check=judgement.check,
        nodeid=judgement.nodeid,
        expected=_cut(judgement.expected),
        seen=_cut(judgement.seen),
        where=judgement.where,
        evidence=judgement.evidence,
    )


def _unseen(observation: Observation, judgement: Judgement) -> Unseen:
    records = [observation.record(one) for one in judgement.evidence]
    why = next((record.reason for record in records if record and not record.seen and record.reason), judgement.seen)
    return Unseen(
        code=judgement.finding or "check.unnamed",
        target=judgement.target,
        reason=_cut(why) or "not seen",
        evidence=judgement.evidence,
    )


def _shown(observation: Observation, judged: list[Judgement], affected: set[str | None]) -> tuple[Shown, ...]:
    cited = dict.fromkeys(one for judgement in judged for one in judgement.evidence)
    also = (record.id for record in observation.evidence if record.target in affected)
    shown = []
    for one in list(dict.fromkeys([*cited, *also]))[:EVIDENCE_MAX]:
        record = observation.record(one)
        if record is None:
            continue
        explanation = _cut(_explained(record.evidence)) if record.evidence is not None else ""
        reason = "" if record.seen else (_cut(record.reason) or "not seen")
        shown.append(Shown(id=one, explanation=explanation, reason=reason))
    return tuple(shown)


def _explained(evidence: Evidence) -> str:
    try:
        return str(evidence.explain())
    except Exception as error:  # noqa: BLE001 - evidence may be of somebody's own making
        return f"{type(evidence).__name__} that cannot be explained: {type(error).__name__}"


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX_CHARS else text[: TEXT_MAX_CHARS - 1] + "…"
