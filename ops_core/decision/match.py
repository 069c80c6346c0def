"""What to do about what was found: pure, total and deterministic.

Whatever a target shows, there is exactly one decision about it; where the table does not know, the decision is that a
person has to look. What could not be seen never matches a row, so that nothing is remediated on a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ops_core.budget import DECIDE_S, RECOVER_S
from ops_core.clock import isoformat
from ops_core.decision.cause import Dependencies, Dependent, attribute, dependent
from ops_core.decision.table import FALLBACK_LANGUAGE, DecisionTable, Severity
from ops_core.finding import Finding

UNMATCHED_SEVERITY = Severity.HIGH
UNMATCHED_CAUSE = {
    "en": "no row of the decision table matches: a person has to look",
    "ko": "판정표에 해당하는 행이 없습니다. 사람이 직접 확인해야 합니다",
}
UNMATCHED_ACTION = {
    "en": "look at the evidence, decide by hand, then add a row for these findings to the decision table",
    "ko": "증거를 확인하고 사람이 판정한 뒤, 이 발견에 대한 행을 판정표에 추가하십시오",
}
UNSEEN_CAUSE = {"en": "could not be seen", "ko": "관측하지 못했습니다"}
UNSEEN_ACTION = {
    "en": "remediate nothing on this observation: find out why it could not be seen, then run `ops observe` again",
    "ko": "이 관측만으로 복구를 실행하지 마십시오. 관측하지 못한 이유를 찾고 `ops observe`를 다시 실행하십시오",
}
CONTROL_PLANE = {"en": "control plane", "ko": "제어 평면"}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the table says about one target (None: about no target in particular).

    `findings` are the codes that decided, `given` the facts that steered it, `evidence` the ids behind those
    findings. `attributed` are the other findings of the target, which the decision is held to cover until the
    verification says otherwise; `unmatched` are those that no row knows. `unseen` are the codes of the target about
    which nothing could be seen. `dependents` are the targets that fail because of this one: they have no decision of
    their own about those findings, and the decision is as urgent as the most urgent of them; `for_dependents` is the
    remediation that steadies them where `remediation` does not help. `row_id` is None where no row matches. `decide_by`
    and `recover_by` are ISO instants.
    """

    target: str | None
    row_id: str | None
    findings: tuple[str, ...]
    given: tuple[str, ...] = ()
    attributed: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    severity: Severity
    category: str = ""
    remediation: str | None = None
    for_dependents: str | None = None
    decide_by: str
    recover_by: str
    where: str = ""
    causes: Mapping[str, str] = field(hash=False)
    actions: Mapping[str, str] = field(hash=False)

    def cause(self, lang: str = FALLBACK_LANGUAGE) -> str:
        """Why it happened, as far as the table knows; in English where it has no text in `lang`."""
        return _in(self.causes, lang)

    def action(self, lang: str = FALLBACK_LANGUAGE) -> str:
        """What to do, in words for a person; in English where the table has no text in `lang`."""
        return _in(self.actions, lang)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values, texts in every language."""
        return {
            "target": self.target,
            "row_id": self.row_id,
            "findings": list(self.findings),
            "given": list(self.given),
            "attributed": list(self.attributed),
            "unmatched": list(self.unmatched),
            "unseen": list(self.unseen),
            "evidence": list(self.evidence),
            "dependents": [
                {"target": one.target, "findings": list(one.findings), "evidence": list(one.evidence)}
                for one in self.dependents
            ],
            "severity": self.severity.value,
            "category": self.category,
            "remediation": self.remediation,
            "for_dependents": self.for_dependents,
            "act_within_s": self.severity.act_within_s,
            "decide_by": self.decide_by,
            "recover_by": self.recover_by,
            "where": self.where,
            "cause": dict(self.causes),
            "action": dict(self.actions),
        }


@dataclass(frozen=True, kw_only=True)
class UnknownAdvice:
    """What to say where nothing bad was seen, but not everything was seen: `unseen` are (code, target) pairs."""

    unseen: tuple[tuple[str, str | None], ...]

    def cause(self, lang: str = FALLBACK_LANGUAGE) -> str:
        """What could not be seen, by target."""
        by_target: dict[str | None, list[str]] = {}
        for code, target in self.unseen:
            by_target.setdefault(target, []).append(code)
        listed = [f"{target or _in(CONTROL_PLANE, lang)}: {', '.join(codes)}" for target, codes in by_target.items()]
        return f"{_in(UNSEEN_CAUSE, lang)}: {'; '.join(listed)}"

    def action(self, lang: str = FALLBACK_LANGUAGE) -> str:
        """That nothing may be remediated, and what to do."""
        return _in(UNSEEN_ACTION, lang)


def decide(
    table: DecisionTable,
    findings: Sequence[Finding],
    facts: Mapping[str | None, Sequence[str]],
    unknown: Sequence[tuple[str, str | None]],
    at: datetime,
    depends_on: Dependencies | None = None,
) -> tuple[Decision, ...]:
    """One decision per target that has findings of its own, the most urgent first.

    Args:
        table: the rows in force.
        findings: what was seen and is bad. Their order does not matter.
        facts: what was seen on each target that is neither good nor bad. Unseen evidence has no facts.
        unknown: (code, target) pairs about which nothing could be seen. They are reported and never match.
        at: when the observation ended, with a time zone: the five and the ten minutes run from here.
        depends_on: by target, the names of those it depends on. What comes from one of them is attributed to it.

    Raises:
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    by_target: dict[str | None, list[Finding]] = {}
    for finding in findings:
        by_target.setdefault(finding.target, []).append(finding)
    position = {row.id: number for number, row in enumerate(table.rows)}

    def urgency(decision: Decision) -> tuple[int, int, str]:
        return decision.severity.rank, position.get(decision.row_id or "", len(position)), decision.target or ""

    split = attribute(table, by_target, facts, depends_on or {})
    decisions = {
        target: _decide_one(table, target, found, facts=frozenset(facts.get(target, ())), unknown=unknown, at=at)
        for target, found in split.own.items()
    }
    # Of several dependencies that are bad, the one that is treated first is the one that is waited for.
    first = {name: min(roots, key=lambda root: urgency(decisions[root])) for name, roots in split.roots.items()}
    for name, moved in sorted(split.moved.items()):
        alone = _decide_one(table, name, moved, facts=frozenset(facts.get(name, ())), unknown=unknown, at=at)
        decisions[first[name]] = _covering(decisions[first[name]], dependent(name, moved), alone.severity)
    return tuple(sorted(decisions.values(), key=urgency))


def primary(decisions: Sequence[Decision]) -> Decision | None:
    """The decision to act on first, or None where there is none."""
    return decisions[0] if decisions else None


def advice_for_unknown(unknown: Sequence[tuple[str, str | None]]) -> UnknownAdvice | None:
    """What to say about (code, target) pairs that could not be seen, or None where everything was seen."""
    if not unknown:
        return None
    return UnknownAdvice(unseen=tuple(sorted(set(unknown), key=lambda pair: (pair[1] or "", pair[0]))))


def _decide_one(
    table: DecisionTable,
    target: str | None,
    found: Sequence[Finding],
    *,
    facts: frozenset[str],
    unknown: Sequence[tuple[str, str | None]],
    at: datetime,
) -> Decision:
    codes = frozenset(finding.code for finding in found)
    unmatched = frozenset(code for code in codes if table.first_match((code,), facts) is None)
    row = table.first_match(codes, facts)
    if row is not None and unmatched and row.severity.rank > UNMATCHED_SEVERITY.rank:
        # What nobody has thought about yet is not made less urgent by something minor beside it.
        row = None
    deciding = row.when if row else tuple(sorted(unmatched))
    cited = {item for finding in found if finding.code in deciding for item in finding.evidence}
    return Decision(
        target=target,
        row_id=row.id if row else None,
        findings=deciding,
        given=row.given if row else (),
        attributed=tuple(sorted(codes.difference(deciding))),
        unmatched=tuple(sorted(unmatched.difference(row.when if row else ()))),
        unseen=tuple(sorted({code for code, where in unknown if where == target})),
        evidence=tuple(sorted(cited)),
        severity=row.severity if row else UNMATCHED_SEVERITY,
        category=row.category if row else "",
        remediation=row.remediation if row else None,
        for_dependents=row.for_dependents if row else None,
        decide_by=isoformat(at + timedelta(seconds=DECIDE_S)),
        recover_by=isoformat(at + timedelta(seconds=RECOVER_S)),
        where=row.where if row else "",
        causes=row.cause if row else UNMATCHED_CAUSE,
        actions=row.action if row else UNMATCHED_ACTION,
    )


def _covering(decision: Decision, other: Dependent, severity: Severity) -> Decision:
    """The decision with one more target that fails because of its own."""
    worst = min(decision.severity, severity, key=lambda one: one.rank)
    return replace(decision, dependents=(*decision.dependents, other), severity=worst)


def _in(texts: Mapping[str, str], lang: str) -> str:
    return texts.get(lang) or texts[FALLBACK_LANGUAGE]
