"""Two faults at once. Each has to be found and answered for itself, the more urgent or the deeper one first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ops_core.drill import injectors as by
from ops_core.drill.catalogue.circumstances import UNDER_CIRCUMSTANCES
from ops_core.drill.catalogue.deployed import DEPLOYED
from ops_core.drill.catalogue.promises import PROMISES
from ops_core.drill.catalogue.running import RUNNING
from ops_core.drill.catalogue.service import HOPELESS_S, SINGLE
from ops_core.drill.fault import Fault, together

_KNOWN = {fault.name: fault for fault in (*RUNNING, *DEPLOYED, *SINGLE, *PROMISES, *UNDER_CIRCUMSTANCES)}


def _pair(name: str, en: str, ko: str, *parts: str, **changed: Any) -> Fault:
    return together(name, {"en": en, "ko": ko}, *(_KNOWN[part] for part in parts), **changed)


EMBEDDED_PAIRS = (
    _pair(
        "core-and-soul-killed",
        "core and the soul engine are killed: two targets, two restarts",
        "core와 soul engine이 함께 강제 종료됨: 대상 둘을 각각 재시작",
        "killed",
        "soul-killed",
    ),
    _pair(
        "frozen-and-dashboard-5xx",
        "core is stopped while the dashboard answers 500",
        "core가 정지된 동안 대시보드가 500으로 응답함",
        "frozen",
        "dashboard-5xx",
    ),
    _pair(
        "guard-open-and-soul-killed",
        "a configuration without the secret is deployed to core, and the soul engine is killed",
        "core에 시크릿이 누락된 구성이 배포되고 soul engine이 강제 종료됨",
        "secret-missing",
        "soul-killed",
    ),
    together(
        "bad-release-and-bad-config",
        {
            "en": "a bad release and a bad configuration are deployed to core together: to undo either does not help",
            "ko": "core에 잘못된 릴리스와 잘못된 구성이 함께 배포됨: 하나만 되돌려서는 도움이 되지 않음",
        },
        # One decision is made about both, and tries one after the other.
        replace(_KNOWN["bad-release"], curable=False),
        replace(_KNOWN["bad-config"], curable=False, row=None),
        # The bug of the release is met before the file is missed.
        holds=by.answers(500, 503),
        undone=True,
        verify_s=HOPELESS_S,
    ),
)

SERVICE_PAIRS = (
    _pair(
        "redis-stopped-and-bad-release",
        "Redis is stopped, and a release that cannot become ready is deployed",
        "Redis가 중지되고 준비 상태가 되지 못하는 릴리스가 배포됨",
        "unready-new-release",
        "redis-stopped",
    ),
    _pair(
        "database-stopped-and-weak-secret",
        "PostgreSQL is stopped, and a configuration with a short secret for tokens is deployed",
        "PostgreSQL이 중지되고 짧은 토큰 서명 시크릿이 담긴 구성이 배포됨",
        "weak-secret",
        "database-stopped",
    ),
    _pair(
        "database-and-redis-stopped",
        "PostgreSQL and Redis are stopped: the service can do nothing, and is not to blame",
        "PostgreSQL과 Redis가 모두 중지됨: 서비스는 아무것도 할 수 없지만 원인은 아님",
        "database-stopped",
        "redis-stopped",
    ),
)
PAIRS = (*EMBEDDED_PAIRS, *SERVICE_PAIRS)
