"""What an update has to say for each severity, and what a report has to say for each scenario, in order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ops_core.incident.severity import Scenario, Severity
from ops_core.report.seen import Text


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing to be said. `option` is how a person says it with `ops incident update`."""

    name: str
    label: Text
    option: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One heading of a scenario report and what stands below it."""

    name: str
    fields: tuple[Field, ...]


def _said(name: str, option: str, en: str, ko: str) -> Field:
    return Field(name=name, label={"en": en, "ko": ko}, option=option)


def _told(name: str, en: str, ko: str) -> Field:
    return _said(name, f'--answer {name}="…"', en, ko)


_ETA = _said("mitigation_eta", '--eta "…"', "Mitigation expected", "임시조치 ETA")
_BACK = _said("recovery_eta", '--recovery-eta "…"', "Recovery expected", "최종 복구 ETA")

UPDATE: Mapping[Severity, tuple[Field, ...]] = MappingProxyType(
    {
        Severity.SEV1: (
            _said("impact", '--impact "…"', "Affected now", "현재 영향 범위"),
            _said("customers", '--customers "…"', "What customers notice", "고객 영향"),
            _said("workaround", '--workaround "…"', "Can it not be worked around", "우회 불가 여부"),
            _ETA,
            _BACK,
        ),
        Severity.SEV2: (
            _said("impact", '--impact "…"', "Main functions affected", "주요 기능 영향 범위"),
            _said("workaround", '--workaround "…"', "Can it be worked around", "우회 가능 여부"),
            _ETA,
            _BACK,
        ),
        Severity.SEV3: (
            _said("impact", '--impact "…"', "Parts affected", "부분 영향 범위"),
            _said("workaround", '--workaround "…"', "The way around", "임시 우회 경로"),
            _said("fix_eta", '--fix-eta "…"', "Permanent fix planned for", "영구 조치 일정"),
        ),
    }
)
UPDATE_FIELDS = ("impact", "customers", "workaround", "mitigation_eta", "recovery_eta", "fix_eta")

_COMMON = (
    Section(
        name="impact",
        fields=(
            _told("impact.users", "Users", "사용자"),
            _told("impact.endpoints", "Endpoints", "엔드포인트"),
            _told("impact.period", "Period", "시간대"),
        ),
    ),
    Section(
        name="cause",
        fields=(
            _told("cause.suspected", "Suspected", "추정 원인"),
            _told("cause.confirmed", "Confirmed", "확정 원인"),
        ),
    ),
    Section(
        name="mitigation",
        fields=(
            _told("mitigation.done", "At once", "즉시 완화 조치"),
            _told("mitigation.risk", "Its risk", "리스크"),
        ),
    ),
    Section(
        name="verification",
        fields=(
            _told("verification.figures", "Figures", "복구 확인 지표"),
            _told("verification.at", "Verified at", "확인 시각"),
        ),
    ),
)
_FOLLOW_UP = Section(name="follow_up", fields=(_told("follow_up", "Follow-up", "후속조치"),))
_ROLLBACK = Section(
    name="rollback_record", fields=(_told("rollback_record", "Rolled back or deployed again", "롤백/재배포 기록"),)
)
_CAPACITY = Section(name="capacity", fields=(_told("capacity", "Capacity and performance", "용량/성능 후속조치"),))

REPORT: Mapping[Scenario, tuple[Section, ...]] = MappingProxyType(
    {
        Scenario.DATABASE: (*_COMMON, _FOLLOW_UP),
        Scenario.REDIS: (*_COMMON, _FOLLOW_UP),
        Scenario.RELEASE: (*_COMMON, _ROLLBACK),
        Scenario.OVERLOAD: (*_COMMON, _CAPACITY),
    }
)
REPORT_FIELDS: tuple[str, ...] = tuple(
    dict.fromkeys(field.name for sections in REPORT.values() for section in sections for field in section.fields)
)
