"""Faults of the service stack: what it stands on goes away, what was deployed is bad, there is too much work."""

from __future__ import annotations

import signal
from collections.abc import Mapping

from ops_core.drill import injectors as by
from ops_core.drill.fault import NEW_CONFIG, NEW_RELEASE, RESTART, ROLLBACK_CONFIG, ROLLBACK_RELEASE, Fault
from ops_core.drill.injectors import Test
from ops_core.drill.service_layout import API_KEY, DATABASE, INGEST, JWT_SECRET, LOAD, REDIS
from ops_core.drill.service_stack import GOOD_SCHEMA, ServiceStack

ROLLBACK_SCHEMA = "rollback_schema"
LOWER_LIMITS = "lower_limits"
BAD_SCHEMA = "0003"
STRONG_BYTES = 32
REQUESTS = 20
LARGEST_BATCH = 100
OVERSIZED_BODY = 70_000

_COUNTS_ON_A_ROW = {'FROM items LIMIT 0")': 'FROM items LIMIT 0").fetchone()[0]', "row[0],": 'row["id"],'}
_RENAMES_A_COLUMN = f'''"""A clearer name for what an item holds."""

from alembic import op

revision = "{BAD_SCHEMA}"
down_revision = "{GOOD_SCHEMA}"
# Only a name changes, and the rows stay what they are.
reversible = True
data_safe = True


def upgrade() -> None:
    op.alter_column("items", "payload", new_column_name="body")


def downgrade() -> None:
    op.alter_column("items", "body", new_column_name="payload")
'''


def stopped(stack: ServiceStack, service: str) -> None:
    """A server is stopped, in good order."""
    stack.supervision.stop(service)


def killed(stack: ServiceStack, service: str) -> None:
    """A process is killed (SIGKILL)."""
    stack.supervision.signal(service, signal.SIGKILL)


def migrated(stack: ServiceStack, _service: str) -> None:
    """A step is added to the schema and carried out; the release that is in force does not know it."""
    (stack.layout.versions / f"rev_{BAD_SCHEMA}_clearer_name.py").write_text(_RENAMES_A_COLUMN, encoding="utf-8")
    stack.migrate("upgrade", "head")


def flooded(stack: ServiceStack, _service: str) -> None:
    """Several clients send the largest batches that are taken, one after the other, until somebody ends them."""
    stack.load(on=True)
    # Until the measures show it: a single slow request is no overload.
    refused = 'http_requests_total{method="POST",path="/api/ingest",status="503"}'
    stack.wait(lambda: _measured(stack, refused) > REQUESTS, "the clients do not overload the service")


def gone(stack: ServiceStack, service: str) -> bool:
    """No process, nobody listens."""
    return stack.process(service).state != "RUNNING" and not stack.answers(service)


def says(word: str) -> Test[ServiceStack]:
    """Readiness answers 503 with this word."""

    def holds(stack: ServiceStack, _service: str) -> bool:
        return stack.ready() == (503, word)

    return holds


def answers(status: int) -> Test[ServiceStack]:
    """Readiness answers with this status."""

    def holds(stack: ServiceStack, _service: str) -> bool:
        return stack.status() == status

    return holds


def overloaded(stack: ServiceStack, _service: str) -> bool:
    """Clients flood the service, and it takes what they send."""
    if stack.supervision.info(LOAD).state != "RUNNING":
        return False
    return _sent(stack, {"items": [{}] * LARGEST_BATCH}) in (202, 503)


def accepts_too_much(stack: ServiceStack, _service: str) -> bool:
    """A batch and a body above what was promised are not refused for their size."""
    too_many = _sent(stack, {"items": [{}] * (LARGEST_BATCH + 1)})
    too_large = _sent(stack, {"items": [{"text": "x" * OVERSIZED_BODY}]})
    return 202 in (too_many, too_large)


def weak_secret(stack: ServiceStack, service: str) -> bool:
    """The secret that signs tokens, as the service was given it, can be guessed."""
    settings = stack.layout.read_config(service, stack.layout.in_force(service)[1])
    return len(settings.get(JWT_SECRET, "").encode()) < STRONG_BYTES


def _sent(stack: ServiceStack, batch: Mapping[str, object]) -> int:
    return stack.ask("/api/ingest", batch, {"X-API-Key": stack.secret(API_KEY)})[0]


def _measured(stack: ServiceStack, series: str) -> float:
    lines = (line for line in stack.text("/metrics").splitlines() if line.startswith(series))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


SERVICE = (
    Fault(
        name="database-stopped",
        stack=ServiceStack,
        service=DATABASE,
        description={
            "en": "PostgreSQL is stopped: the service can neither store nor read",
            "ko": "PostgreSQL이 중지됨: 서비스가 저장도 조회도 할 수 없음",
        },
        findings=("database.unreachable",),
        dependents=(INGEST,),
        remediation=RESTART,
        do=stopped,
        holds=gone,
    ),
    Fault(
        name="redis-stopped",
        stack=ServiceStack,
        service=REDIS,
        description={
            "en": "Redis is stopped: requests are counted by each process for itself, with a tenth of the limit",
            "ko": "Redis가 중지됨: 요청 제한이 프로세스별로 계산되고 한도가 10분의 1로 줄어듦",
        },
        findings=("redis.unreachable",),
        dependents=(INGEST,),
        remediation=RESTART,
        do=stopped,
        holds=gone,
    ),
    Fault(
        name="ingest-killed",
        stack=ServiceStack,
        service=INGEST,
        description={"en": "the service is killed (SIGKILL)", "ko": "서비스가 강제 종료됨 (SIGKILL)"},
        findings=("live.not_ok", "ready.not_ok"),
        remediation=RESTART,
        do=killed,
        holds=gone,
    ),
    Fault(
        name="ingest-bad-release",
        stack=ServiceStack,
        service=INGEST,
        description={
            "en": "release v2 of the service counts on a row that an empty answer has not got: it answers 500",
            "ko": "서비스의 v2 릴리스가 빈 결과에 없는 행을 사용함: 500을 반환함",
        },
        findings=("ready.not_ok",),
        facts=NEW_RELEASE,
        remediation=ROLLBACK_RELEASE,
        do=by.released(_COUNTS_ON_A_ROW),
        holds=answers(500),
    ),
    Fault(
        name="bad-migration",
        stack=ServiceStack,
        service=INGEST,
        description={
            "en": "a migration renames a column that the release in force asks for: nothing is stored or read",
            "ko": "마이그레이션이 적용 중인 릴리스가 사용하는 컬럼의 이름을 바꿈: 저장과 조회가 모두 실패함",
        },
        findings=("ready.not_ok",),
        facts=("schema.reversible", "schema.unproven"),
        remediation=ROLLBACK_SCHEMA,
        two_keys=True,
        # The step is taken back, but its file is still there: nobody but a person can tell what is to become of it.
        left=("schema.behind",),
        do=migrated,
        holds=says("unready"),
    ),
    Fault(
        name="wrong-database-port",
        stack=ServiceStack,
        service=INGEST,
        description={
            "en": "a configuration with the wrong port of the database is deployed: the service works without it",
            "ko": "데이터베이스 포트가 잘못된 구성이 배포됨: 서비스가 데이터베이스 없이 강등 상태로 동작함",
        },
        findings=("ready.degraded",),
        facts=NEW_CONFIG,
        remediation=ROLLBACK_CONFIG,
        do=by.configured({"DATABASE_URL": "postgresql://ingest@127.0.0.1:1/ingest"}),
        holds=says("degraded"),
    ),
    Fault(
        name="overload",
        stack=ServiceStack,
        service=INGEST,
        description={
            "en": "clients send the largest batches all the time: most are refused, the others take long",
            "ko": "클라이언트가 최대 크기의 배치를 계속 전송함: 대부분 거부되고 나머지는 느려짐",
        },
        findings=("errors.rate_high",),
        remediation=LOWER_LIMITS,
        do=flooded,
        holds=overloaded,
    ),
    Fault(
        name="oversized-accepted",
        stack=ServiceStack,
        service=INGEST,
        description={
            "en": "a configuration without limits is deployed: bodies and batches of any size are taken",
            "ko": "제한이 없는 구성이 배포됨: 크기와 관계없이 모든 본문과 배치를 받아들임",
        },
        findings=("payload.body_accepted", "payload.batch_accepted"),
        facts=NEW_CONFIG,
        remediation=ROLLBACK_CONFIG,
        do=by.configured({"MAX_REQUEST_BODY_BYTES": "0", "INGEST_MAX_BATCH_ITEMS": "0"}),
        holds=accepts_too_much,
    ),
    Fault(
        name="weak-secret",
        stack=ServiceStack,
        service=INGEST,
        description={
            "en": "a configuration with a short secret for tokens is deployed: whoever guesses it may do everything",
            "ko": "짧은 토큰 서명 시크릿이 담긴 구성이 배포됨: 추측한 사람이 모든 작업을 할 수 있음",
        },
        findings=("secret.weak",),
        facts=NEW_CONFIG,
        remediation=ROLLBACK_CONFIG,
        do=by.configured({JWT_SECRET: "tokens-of-2026"}),
        holds=weak_secret,
    ),
)
