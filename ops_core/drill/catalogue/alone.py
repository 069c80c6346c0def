"""Faults of a service that is described as one target with all it brings, and those that a benchmark has to see.

What slows a benchmark down without anything having been deployed is done to the database by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ops_core.clock import isoformat
from ops_core.drill import service_injectors as by
from ops_core.drill import service_signs as seen
from ops_core.drill.alone_stack import AloneStack
from ops_core.drill.base_stack import Stack
from ops_core.drill.catalogue.circumstances import TURNS, audited, changed, patched, service_fault
from ops_core.drill.catalogue.service import HOPELESS_S
from ops_core.drill.control_plane import Skewed, opened
from ops_core.drill.fault import NEW_CONFIG, NEW_RELEASE, ROLLBACK_CONFIG, ROLLBACK_RELEASE, Fault
from ops_core.drill.injectors import Step, Test, in_turn
from ops_core.drill.service_layout import PASSWORD, REDIS
from ops_core.drill.service_stack import ServiceStack
from ops_core.drill.stack import EmbeddedStack

BENCH = "bench"
BASELINE = "default-ingest-baseline.json"
HARMLESS_CONFIG = {"RATE_LIMIT_PER_MINUTE": "6001"}
READ = "/api/items?limit=20"
_NEWEST = "    def newest(self, limit: int) -> list[dict[str, Any]]:\n"
_SLEEP = "        __import__('time').sleep({seconds})\n"


def remembered(stack: Stack[Any], _service: str) -> None:
    """A baseline of a slower day: what a busy machine does now and then is not slower than that."""
    path = stack.reports_dir / BENCH / BASELINE
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = {"at": isoformat(stack.clock.now()), "median_ms": 60.0, "p95_ms": 120.0}
    path.write_text(json.dumps(figures), encoding="utf-8")


def forgotten(stack: Stack[Any], _service: str) -> None:
    """The baseline is gone."""
    (stack.reports_dir / BENCH / BASELINE).unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Slowness:
    """How reading gets slow: always, at times, or only slower than it was.

    Attributes:
        stem: of the rows.
        finding: what the benchmark finds.
        absent: what it must not find beside it.
        en: in words.
        ko: in words.
        patch: of a release that makes it so.
        statements: what makes it so, by hand, in the database.
        holds: how one sees it.
        baseline: whether it is held against what was recorded.
    """

    stem: str
    finding: str
    absent: tuple[str, ...]
    en: str
    ko: str
    patch: dict[str, str]
    statements: tuple[str, ...]
    holds: Test[ServiceStack]
    baseline: bool = False


SLOWNESSES = (
    Slowness(
        stem="bench-slow",
        finding="bench.slow",
        absent=("bench.regressed",),
        en="every reading takes long",
        ko="모든 조회가 느려짐",
        patch={_NEWEST: _NEWEST + _SLEEP.format(seconds=0.3)},
        statements=audited("PERFORM pg_sleep(0.3); RETURN true;")[0],
        holds=seen.slow_to(READ, 0.25),
    ),
    Slowness(
        stem="bench-p95-slow",
        finding="bench.p95_slow",
        absent=("bench.slow", "bench.regressed"),
        en="every fourth reading takes long",
        ko="조회 네 건 중 한 건이 느려짐",
        patch={
            **TURNS,
            _NEWEST: _NEWEST + "        if next(_TURNS) % 4 == 0:\n    " + _SLEEP.format(seconds=0.6),
        },
        statements=audited(
            "IF nextval('turns') % 4 = 0 THEN PERFORM pg_sleep(0.6); END IF; RETURN true;", "CREATE SEQUENCE turns"
        )[0],
        holds=seen.at_times_slow_to(READ, 0.5),
    ),
    Slowness(
        stem="bench-regressed",
        finding="bench.regressed",
        absent=("bench.slow", "bench.p95_slow"),
        en="reading is slower than it was, and quick enough",
        ko="조회가 기준선보다 느려졌지만 한도 안에 있음",
        patch={_NEWEST: _NEWEST + _SLEEP.format(seconds=0.12)},
        statements=audited("PERFORM pg_sleep(0.12); RETURN true;")[0],
        holds=seen.slow_to(READ, 0.11),
        baseline=True,
    ),
)


def _bench(slowness: Slowness, suffix: str, en: str, ko: str, *steps: Step[ServiceStack], **about: Any) -> Fault:
    return service_fault(
        f"{slowness.stem}{suffix}",
        f"{slowness.en} {en}",
        f"{ko} {slowness.ko}",
        stack=AloneStack,
        suite=BENCH,
        findings=(slowness.finding,),
        absent=slowness.absent,
        row=f"{slowness.stem}{suffix}",
        prepare=remembered if slowness.baseline else None,
        undo=forgotten if slowness.baseline else None,
        # Exactly one item, and nobody else who reads: what happens at each reading happens when the benchmark reads.
        do=in_turn(by.nobody_visits, by.told("TRUNCATE items"), by.something_stored, *steps),
        holds=slowness.holds,
        **about,
    )


def _benches(slowness: Slowness) -> tuple[Fault, ...]:
    by_hand = by.told(*slowness.statements)
    return (
        _bench(
            slowness,
            "-new-release",
            "since the release was changed",
            "릴리스가 변경된 뒤",
            patched(slowness.patch),
            facts=NEW_RELEASE,
            remediation=ROLLBACK_RELEASE,
        ),
        _bench(
            slowness,
            "-new-config",
            "since somebody changed the database; the configuration that was changed as well is not to blame",
            "누군가 데이터베이스를 변경한 뒤(함께 변경된 구성은 원인이 아님)",
            changed(HARMLESS_CONFIG),
            by_hand,
            facts=NEW_CONFIG,
            remediation=ROLLBACK_CONFIG,
            curable=False,
            undone=True,
            verify_s=HOPELESS_S,
        ),
        _bench(
            slowness,
            "",
            "since somebody changed the database; nothing was deployed",
            "누군가 데이터베이스를 변경한 뒤(새로 배포된 것은 없음)",
            by_hand,
            remediation=None,
        ),
    )


def incident_forgotten(stack: Stack[Any], _service: str) -> None:
    """People opened an incident an hour ago, and have said nothing since."""
    from ops_core.incident.opening import open_incident
    from ops_core.incident.severity import Severity

    clock = Skewed(base=stack.clock, by=timedelta(hours=-1))
    settings, plane = opened(stack, clock)
    open_incident(
        settings,
        plane,
        clock,
        title="customers cannot log in",
        severity=Severity.SEV1,
        scenario=None,
        source="hand",
        key="drill",
        affected=["/login"],
        version="v1",
        actor="drill",
    )


def incident_overdue(stack: Stack[Any], _service: str) -> bool:
    """An incident that people handle is open."""
    settings, plane = opened(stack)
    return bool(_responses(stack).open_ones(settings.profile)) and plane.path.exists()


def incident_closed(stack: Stack[Any], _service: str) -> None:
    """Whatever incident of people is open is closed."""
    settings, _ = opened(stack)
    responses = _responses(stack)
    for one in responses.open_ones(settings.profile):
        responses.close(one.incident.id, "a rehearsal")


def _responses(stack: Stack[Any]) -> Any:
    from ops_core.incident.handling import Responses

    _, plane = opened(stack)
    return Responses(plane, stack.clock, "drill")


ALONE = (
    service_fault(
        "wrong-password",
        "a configuration with another password of the database is deployed: PostgreSQL lets nobody in with it",
        "데이터베이스 비밀번호가 다른 구성이 배포됨: PostgreSQL이 접속을 거부함",
        stack=AloneStack,
        findings=("database.unreachable",),
        facts=NEW_CONFIG,
        row="database-unreachable-new-config",
        remediation=ROLLBACK_CONFIG,
        do=changed({PASSWORD: "not-the-password-of-the-database"}),
        holds=seen.says("degraded"),
    ),
    service_fault(
        "redis-stopped-new-config",
        "a harmless configuration is deployed, then Redis is stopped: to roll the configuration back does not help",
        "문제없는 구성이 배포된 뒤 Redis가 중지됨: 구성을 롤백해도 도움이 되지 않음",
        stack=AloneStack,
        findings=("redis.unreachable",),
        facts=NEW_CONFIG,
        row="redis-unreachable-new-config",
        remediation=ROLLBACK_CONFIG,
        curable=False,
        undone=True,
        verify_s=HOPELESS_S,
        do=in_turn(changed(HARMLESS_CONFIG), by.at(REDIS, by.stopped)),
        holds=lambda stack, _service: seen.gone(stack, REDIS),
    ),
    service_fault(
        "nobody-asks",
        "the service is restarted, and nobody asks it anything any more, though visitors are expected all day",
        "서비스가 재시작된 뒤 요청이 전혀 들어오지 않음: 하루 종일 요청이 예상되는 서비스임",
        stack=AloneStack,
        findings=("traffic.none",),
        row="traffic-none",
        remediation=None,
        do=in_turn(by.nobody_visits, by.restarted),
        holds=seen.unvisited,
    ),
    *(fault for slowness in SLOWNESSES for fault in _benches(slowness)),
    service_fault(
        "bench-release-missing",
        "a release is put in force that is not on disk: what is measured could not start again",
        "디스크에 없는 릴리스가 적용됨: 측정 대상이 다시 시작될 수 없음",
        stack=AloneStack,
        suite=BENCH,
        findings=("release.missing",),
        facts=NEW_RELEASE,
        row="release-missing",
        remediation=ROLLBACK_RELEASE,
        do=by.release_pruned,
        holds=seen.dangling,
    ),
    service_fault(
        "bench-config-missing",
        "a configuration is put in force that is not on disk: what is measured could not start again",
        "디스크에 없는 구성이 적용됨: 측정 대상이 다시 시작될 수 없음",
        stack=AloneStack,
        suite=BENCH,
        findings=("config.missing",),
        facts=NEW_CONFIG,
        row="config-missing",
        remediation=ROLLBACK_CONFIG,
        do=by.config_pruned,
        holds=seen.dangling,
    ),
    Fault(
        name="update-forgotten",
        stack=EmbeddedStack,
        service="",
        suite="service",
        description={
            "en": "people opened an incident an hour ago and have told nobody anything since",
            "ko": "한 시간 전에 사람이 인시던트를 열었지만 그 뒤로 업데이트가 없음",
        },
        findings=("incident.update_overdue",),
        row="incident-update-overdue",
        remediation=None,
        do=incident_forgotten,
        holds=incident_overdue,
        undo=incident_closed,
    ),
)
