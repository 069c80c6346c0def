"""Faults of the service stack, one by one: what it stands on goes away, it works with less, it has too much to do.

Those that repeat under each circumstance are in `circumstances`, broken promises and lost deployments in `promises`.
"""

from __future__ import annotations

from ops_core.drill import service_injectors as by
from ops_core.drill import service_signs as seen
from ops_core.drill.catalogue.circumstances import (
    HALT_ROLLOUT,
    HARMLESS_MIGRATION,
    ROLLBACK_SCHEMA,
    ROLLOUT,
    SCHEMA,
    TROUBLES,
    UNREADY,
    changed,
    patched,
    service_fault,
)
from ops_core.drill.fault import (
    ESCALATED,
    NEW_CONFIG,
    NEW_RELEASE,
    RESTART,
    ROLLBACK_CONFIG,
    ROLLBACK_RELEASE,
)
from ops_core.drill.injectors import in_turn
from ops_core.drill.service_layout import BUSY, DATABASE, HOLDER, INGEST, LOAD, REDIS, WRITERS
from ops_core.temporary import Kind

LOWER_LIMITS, RESTORE_LIMITS = "lower_limits", "restore_limits"
ENTER_DEGRADED, LEAVE_DEGRADED = "enter_degraded_mode", "leave_degraded_mode"
# What does not help is given this long to help all the same.
HOPELESS_S = 5.0
# Where something else has to help after it, that needs longer, and it gets no more.
PATIENT_S = 8.0
WRONG_PORT = {"DATABASE_URL": "postgresql://ingest@127.0.0.1:1/ingest"}
REFUSES_WRITES = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'closed'; END$$",
    "CREATE TRIGGER closed BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse()",
)
LOWERED = {"INGEST_MAX_BATCH_ITEMS": "50", "MAX_REQUEST_BODY_BYTES": "32768"}
TOO_LOW = {"MAX_BATCHES_AT_ONCE": "1", "ITEM_WORK_MS": "150"}
LOSES_IDS = {'(b"x-request-id", request_id.encode())': '(b"x-correlation-id", request_id.encode())'}
WRONG_REDIS = {"redis.Redis.from_url(\n        url,": 'redis.Redis.from_url(\n        url.rpartition("/")[0] + "/7",'}
UNREADY_PATCH = next(one.patch for one in TROUBLES if one.name == UNREADY)


FOUNDATIONS = (
    service_fault(
        "database-stopped",
        "PostgreSQL is stopped: the service can neither store nor read",
        "PostgreSQL이 중지됨: 서비스가 저장도 조회도 할 수 없음",
        service=DATABASE,
        findings=("database.unreachable",),
        dependents=(INGEST,),
        row="database-unreachable",
        remediation=RESTART,
        do=by.stopped,
        holds=seen.gone,
    ),
    service_fault(
        "database-lost",
        "PostgreSQL is killed and one of its files is lost: it cannot start, and the service goes on without it",
        "PostgreSQL이 강제 종료되고 파일이 유실되어 시작할 수 없음: 서비스는 강등 모드로 계속 동작함",
        service=DATABASE,
        findings=("database.unreachable",),
        dependents=(INGEST,),
        row="database-unreachable",
        remediation=RESTART,
        then=(ENTER_DEGRADED,),
        curable=False,
        verify_s=HOPELESS_S,
        do=by.cluster_damaged,
        holds=seen.gone,
    ),
    service_fault(
        "database-lost-and-ids",
        "PostgreSQL cannot start, and a release of the service loses request ids: its degraded mode does not help",
        "PostgreSQL을 시작할 수 없고 서비스 릴리스가 요청 ID도 잃어버림: 강등 모드가 도움이 되지 않음",
        service=DATABASE,
        findings=("database.unreachable",),
        dependents=(INGEST,),
        row="database-unreachable",
        remediation=RESTART,
        then=(ENTER_DEGRADED,),
        curable=False,
        undone=True,
        taken_back=ENTER_DEGRADED,
        verify_s=HOPELESS_S,
        do=in_turn(by.at(INGEST, patched(LOSES_IDS)), by.cluster_damaged),
        holds=seen.gone,
    ),
    service_fault(
        "redis-stopped",
        "Redis is stopped: requests are counted by each process for itself, with a tenth of the limit",
        "Redis가 중지됨: 요청 제한이 프로세스별로 계산되고 한도가 10분의 1로 줄어듦",
        service=REDIS,
        findings=("redis.unreachable",),
        dependents=(INGEST,),
        row="redis-unreachable",
        remediation=RESTART,
        do=by.stopped,
        holds=seen.gone,
    ),
)

ALIVE = (
    service_fault(
        "ingest-killed",
        "the service is killed (SIGKILL)",
        "서비스가 강제 종료됨 (SIGKILL)",
        findings=("live.not_ok", "ready.not_ok"),
        row="live-not-ok",
        remediation=RESTART,
        do=by.killed,
        holds=seen.gone,
    ),
    service_fault(
        "ingest-frozen",
        "the service is stopped (SIGSTOP): it takes connections and never answers, so nobody can say how it does",
        "서비스가 정지됨 (SIGSTOP): 연결은 받지만 응답하지 않아 상태를 알 수 없음",
        findings=(),
        unseen=("live.not_ok", "ready.not_ok"),
        remediation=None,
        do=by.frozen,
        holds=seen.stopped_by_signal,
    ),
    service_fault(
        "dead-new-schema",
        "a harmless migration is carried out, then the service is killed: to take it back does not help",
        "문제없는 마이그레이션이 실행된 뒤 서비스가 강제 종료됨: 되돌려도 도움이 되지 않음",
        findings=("live.not_ok",),
        facts=SCHEMA,
        row="live-not-ok-new-schema",
        remediation=ROLLBACK_SCHEMA,
        then=(RESTART,),
        two_keys=True,
        undone=True,
        verify_s=PATIENT_S,
        do=in_turn(by.migrated(HARMLESS_MIGRATION), by.killed),
        holds=seen.gone,
    ),
    service_fault(
        "table-renamed",
        "somebody renames the table by hand: the service is alive and not ready, and no deployment is to blame",
        "누군가 테이블 이름을 직접 바꿈: 서비스는 살아 있지만 준비되지 않음. 배포 때문이 아님",
        findings=("ready.not_ok",),
        absent=("live.not_ok",),
        row="ready-not-ok",
        remediation=RESTART,
        curable=False,
        verify_s=HOPELESS_S,
        do=by.told("ALTER TABLE items RENAME TO items_old"),
        holds=seen.says("unready"),
    ),
    service_fault(
        "connections-frozen",
        "what serves the service within PostgreSQL stops: its connections are there, and nobody answers on them",
        "PostgreSQL에서 서비스를 담당하는 프로세스가 멈춤: 연결은 있지만 응답이 없음",
        findings=("ready.degraded",),
        absent=("live.not_ok", "database.unreachable"),
        row="ready-degraded",
        remediation=RESTART,
        do=in_turn(by.running(WRITERS), by.sessions_frozen),
        holds=seen.sessions_hang,
    ),
    service_fault(
        "wrong-database-port",
        "a configuration with the wrong port of the database is deployed: the service works without it",
        "데이터베이스 포트가 잘못된 구성이 배포됨: 서비스가 데이터베이스 없이 강등 상태로 동작함",
        findings=("ready.degraded",),
        facts=NEW_CONFIG,
        row="ready-degraded-new-config",
        remediation=ROLLBACK_CONFIG,
        do=changed(WRONG_PORT),
        holds=seen.says("degraded"),
    ),
    service_fault(
        "wrong-redis-database",
        "release v2 of the service asks Redis for a database that it has not got: it works without",
        "서비스의 v2 릴리스가 Redis에 없는 데이터베이스를 사용함: Redis 없이 강등 상태로 동작함",
        findings=("ready.degraded",),
        facts=NEW_RELEASE,
        row="ready-degraded-new-release",
        remediation=ROLLBACK_RELEASE,
        do=patched(WRONG_REDIS),
        holds=seen.says("degraded"),
    ),
    service_fault(
        "wrong-redis-database-rolled-out",
        "a release that asks Redis for a database that it has not got is being rolled out",
        "Redis에 없는 데이터베이스를 사용하는 릴리스의 배포가 진행 중",
        findings=("ready.degraded",),
        facts=(*NEW_RELEASE, *ROLLOUT),
        row="ready-degraded-rollout",
        remediation=HALT_ROLLOUT,
        then=(ROLLBACK_RELEASE,),
        do=in_turn(by.rolled_out(WRONG_REDIS), by.restarted),
        holds=seen.says("degraded"),
    ),
    service_fault(
        "left-degraded",
        "the service was put into its degraded mode, and nobody has taken it out: nothing is wrong any more",
        "서비스가 강등 모드로 전환된 뒤 해제되지 않음: 더 이상 문제가 없음",
        findings=("ready.degraded",),
        facts=("degraded.on",),
        row="ready-degraded-on",
        remediation=LEAVE_DEGRADED,
        do=in_turn(by.for_a_while(Kind.DEGRADED, {"DEGRADED_MODE": "1"}), by.restarted),
        holds=seen.for_a_while_in_force(Kind.DEGRADED),
    ),
    service_fault(
        "left-degraded-too-early",
        "the service is in its degraded mode, and the configuration under it has the wrong port of the database",
        "서비스가 강등 모드이며 그 바탕이 되는 구성의 데이터베이스 포트가 잘못됨",
        findings=("ready.degraded",),
        facts=("degraded.on", *NEW_CONFIG),
        row="ready-degraded-on",
        remediation=LEAVE_DEGRADED,
        then=(ROLLBACK_CONFIG,),
        undone=True,
        verify_s=PATIENT_S,
        do=in_turn(
            by.configured(WRONG_PORT), by.for_a_while(Kind.DEGRADED, {"DEGRADED_MODE": "1"}, "2.env"), by.restarted
        ),
        holds=seen.says("degraded"),
    ),
)

LOADED = (
    service_fault(
        "overload",
        "clients send the largest batches all the time: most are refused, the others take long",
        "클라이언트가 최대 크기의 배치를 계속 전송함: 대부분 거부되고 나머지는 느려짐",
        findings=("errors.rate_high",),
        row="errors-rate-high",
        remediation=LOWER_LIMITS,
        do=by.flooded,
        holds=seen.overloaded(LOAD),
    ),
    service_fault(
        "busy",
        "clients send as many of the largest batches as the service can take: none is refused, all take long",
        "클라이언트가 처리 한도까지 최대 크기의 배치를 전송함: 거부되지는 않지만 모두 느려짐",
        findings=("latency.p95_high",),
        absent=("errors.rate_high",),
        row="latency-p95-high",
        remediation=LOWER_LIMITS,
        do=by.running(BUSY),
        holds=seen.overloaded(BUSY),
    ),
    service_fault(
        "writes-refused",
        "somebody has the database refuse what is written by hand: writers fail, and lower limits do not help",
        "누군가 데이터베이스가 쓰기를 거부하도록 직접 변경함: 쓰기가 실패하며 상한을 낮춰도 도움이 되지 않음",
        findings=("errors.rate_high",),
        absent=("ready.not_ok", "ready.degraded"),
        row="errors-rate-high",
        remediation=LOWER_LIMITS,
        curable=False,
        undone=True,
        verify_s=HOPELESS_S,
        do=in_turn(by.told(*REFUSES_WRITES), by.running(WRITERS)),
        holds=seen.failing,
    ),
    service_fault(
        "writes-refused-lowered",
        "limits are lowered already, and writers still fail: the database refuses what is written",
        "이미 상한을 낮췄지만 쓰기가 계속 실패함: 데이터베이스가 쓰기를 거부함",
        findings=("errors.rate_high",),
        facts=("limits.lowered",),
        row="errors-rate-high-lowered",
        remediation=None,
        do=in_turn(by.for_a_while(Kind.LOWERED, LOWERED), by.restarted, by.told(*REFUSES_WRITES), by.running(WRITERS)),
        holds=seen.failing,
    ),
    service_fault(
        "table-locked-lowered",
        "limits are lowered already, and writers still wait: somebody's session locks the table again and again",
        "이미 상한을 낮췄지만 쓰기가 계속 지연됨: 누군가의 세션이 테이블을 반복해서 잠금",
        findings=("latency.p95_high",),
        absent=("errors.rate_high",),
        facts=("limits.lowered",),
        row="latency-p95-high-lowered",
        remediation=None,
        do=in_turn(by.for_a_while(Kind.LOWERED, LOWERED), by.restarted, by.running(HOLDER, WRITERS)),
        holds=seen.slow,
    ),
    service_fault(
        "limits-lowered-too-far",
        "limits were lowered so far that writers fail because of it: a person gives the service its limits back",
        "상한을 지나치게 낮춰 쓰기가 실패함: 사람이 상한을 복원함",
        findings=("errors.rate_high",),
        facts=("limits.lowered",),
        remediation=RESTORE_LIMITS,
        by_hand=True,
        do=in_turn(by.for_a_while(Kind.LOWERED, {**LOWERED, **TOO_LOW}), by.restarted, by.running(WRITERS)),
        holds=seen.failing,
    ),
    service_fault(
        "limits-restored-in-vain",
        "a person gives the service its limits back while writers fail: that does not help, and is taken back",
        "쓰기가 실패하는 중에 사람이 상한을 복원함: 도움이 되지 않아 되돌림",
        findings=("errors.rate_high",),
        facts=("limits.lowered",),
        remediation=RESTORE_LIMITS,
        by_hand=True,
        curable=False,
        undone=True,
        end=ESCALATED,
        verify_s=HOPELESS_S,
        do=in_turn(by.for_a_while(Kind.LOWERED, LOWERED), by.restarted, by.told(*REFUSES_WRITES), by.running(WRITERS)),
        holds=seen.failing,
    ),
    service_fault(
        "rollout-not-halted",
        "a bad release is being rolled out, and what rolls it out hears nobody: the halt fails and is taken back",
        "잘못된 릴리스의 배포가 진행 중이며 배포 에이전트가 응답하지 않음: 중단이 실패하여 되돌림",
        findings=("ready.not_ok",),
        facts=(*NEW_RELEASE, *ROLLOUT),
        row="ready-not-ok-rollout",
        remediation=HALT_ROLLOUT,
        then=(ROLLBACK_RELEASE,),
        undone=True,
        verify_s=PATIENT_S,
        do=in_turn(by.rolled_out(UNREADY_PATCH), by.restarted, by.rollout_agent_frozen),
        holds=seen.answers(500),
    ),
)

SINGLE = (*FOUNDATIONS, *ALIVE, *LOADED)
