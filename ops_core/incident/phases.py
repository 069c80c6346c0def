"""The checklist of an incident that people handle: five phases in order, and what has to be answered in each. Pure.

An item is answered by evidence where there is some, and by a person where there is none. What another kind of trouble
asks is not asked: the scenario says so, and while it is not known everything is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ops_core.incident.severity import Scenario
from ops_core.report.seen import Text


class Phase(StrEnum):
    """The phases, in their order."""

    TRIAGE = "triage"
    STABILISE = "stabilise"
    DIAGNOSE = "diagnose"
    RECOVER = "recover"
    POST_INCIDENT = "post-incident"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing to be answered. `scenarios`: those in which it is asked; None: in all of them."""

    name: str
    phase: Phase
    question: Text
    scenarios: frozenset[Scenario] | None = None

    def asked(self, scenario: Scenario | None) -> bool:
        """Whether it is asked in this scenario."""
        return scenario is None or self.scenarios is None or scenario in self.scenarios


def _item(name: str, phase: Phase, en: str, ko: str, *scenarios: Scenario) -> Item:
    asked = frozenset(scenarios) or None
    return Item(name=name, phase=phase, question={"en": en, "ko": ko}, scenarios=asked)


CHECKLIST: tuple[Item, ...] = (
    _item(
        "scope",
        Phase.TRIAGE,
        "What is affected: which endpoints, authentication, database, Redis?",
        "영향 범위는? (엔드포인트, 인증, DB, Redis)",
    ),
    _item("began", Phase.TRIAGE, "When did it begin?", "언제 시작되었습니까?"),
    _item("version", Phase.TRIAGE, "Which version is affected?", "영향 받은 버전은?"),
    _item(
        "rollout",
        Phase.STABILISE,
        "If a rollout is under way: is it halted or rolled back?",
        "배포 진행 중이면 중단하거나 롤백했습니까?",
    ),
    _item(
        "dependency",
        Phase.STABILISE,
        "If a dependency is away: is the documented degraded mode entered?",
        "의존성 장애면 문서화된 강등 모드로 전환했습니까?",
        Scenario.DATABASE,
        Scenario.REDIS,
    ),
    _item(
        "database_load",
        Phase.STABILISE,
        "Is the database protected from overload (throttled, write pressure eased)?",
        "DB 과부하를 막고 있습니까? (스로틀링, 쓰기 압력 완화)",
        Scenario.DATABASE,
        Scenario.OVERLOAD,
    ),
    _item(
        "ingest_limits",
        Phase.STABILISE,
        "If ingest surges: are INGEST_MAX_BATCH_ITEMS and MAX_REQUEST_BODY_BYTES lowered for a time?",
        "ingest 급증 시 INGEST_MAX_BATCH_ITEMS, MAX_REQUEST_BODY_BYTES를 임시로 낮췄습니까?",
        Scenario.OVERLOAD,
    ),
    _item(
        "health",
        Phase.DIAGNOSE,
        "What do the health endpoints say?",
        "헬스 엔드포인트의 응답은? (/health/live, /health/ready)",
    ),
    _item(
        "metrics",
        Phase.DIAGNOSE,
        "What do the metrics say: error rate, p95 latency, requests?",
        "메트릭은? (오류율, p95 지연, 요청량)",
    ),
    _item(
        "trace",
        Phase.DIAGNOSE,
        "What does the log say about a request, followed by its X-Request-Id?",
        "X-Request-Id로 추적한 로그의 내용은?",
    ),
    _item("fix", Phase.RECOVER, "Which fix or rollback was applied?", "어떤 수정 또는 롤백을 적용했습니까?"),
    _item(
        "verified",
        Phase.RECOVER,
        "Are readiness, liveness and the main API paths verified?",
        "readiness/liveness와 핵심 API 경로를 검증했습니까?",
    ),
    _item(
        "cleared",
        Phase.RECOVER,
        "Has the alert cleared, and is traffic normal?",
        "알림이 해소되고 트래픽이 정상화되었습니까?",
    ),
    _item(
        "report",
        Phase.POST_INCIDENT,
        "Is the report written (timeline, root cause, prevention)?",
        "인시던트 보고서를 작성했습니까? (타임라인, 근본 원인, 예방 조치)",
    ),
    _item(
        "slo",
        Phase.POST_INCIDENT,
        "Are the error budget and the order of the backlog brought up to date?",
        "SLO/오류 예산 상태와 백로그 우선순위를 갱신했습니까?",
    ),
    _item(
        "changelog",
        Phase.POST_INCIDENT,
        "If a release caused it: does Unreleased in the changelog say so?",
        "릴리스로 인한 장애면 CHANGELOG Unreleased에 기록했습니까?",
        Scenario.RELEASE,
    ),
)
# What answers an item better than a person's word.
_EVIDENCE = "ops observe --suite service, then ops incident look {id}"
_TYPED = {
    "health": _EVIDENCE,
    "metrics": _EVIDENCE,
    "verified": _EVIDENCE,
    "report": "ops incident report {id}",
    "changelog": "ops incident changelog {id} --write CHANGELOG.md",
}
ITEMS: dict[str, Item] = {item.name: item for item in CHECKLIST}


def typed(item: Item, incident_id: str) -> str:
    """What to type so that an item is answered."""
    by_hand = f'ops incident update {incident_id} --answer {item.name}="…"'
    better = _TYPED.get(item.name)
    return f"{better.format(id=incident_id)}; or {by_hand}" if better else by_hand


def items_of(phase: Phase, scenario: Scenario | None) -> tuple[Item, ...]:
    """What is asked in a phase, in order."""
    return tuple(item for item in CHECKLIST if item.phase is phase and item.asked(scenario))
