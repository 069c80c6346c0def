"""Faults of the service stack that break a promise, and those of what is deployed: guards, secrets, migrations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops_core.drill import service_injectors as by
from ops_core.drill import service_signs as seen
from ops_core.drill.catalogue.circumstances import (
    HARMLESS_MIGRATION,
    RENAMING_MIGRATION,
    ROLLBACK_SCHEMA,
    SCHEMA,
    TURNS,
    changed,
    patched,
    service_fault,
)
from ops_core.drill.catalogue.service import HOPELESS_S, LOSES_IDS
from ops_core.drill.fault import NEW_CONFIG, NEW_RELEASE, ROLLBACK_CONFIG, ROLLBACK_RELEASE
from ops_core.drill.injectors import Step, in_turn
from ops_core.drill.service_layout import JWT_SECRET, STEADY

NO_LIMITS = {"MAX_REQUEST_BODY_BYTES": "0", "INGEST_MAX_BATCH_ITEMS": "0"}
WEAK = "tokens-of-2026"
HARMLESS_RELEASE = {'{"message": "started", ': '{"message": "begun", '}
LARGE_BODIES = {
    "self._inner, self._paths, self._body_max_bytes, self._say = inner, paths, body_max_bytes, say": (
        "self._inner, self._paths, self._body_max_bytes, self._say = inner, paths, body_max_bytes * 16, say"
    )
}
UNLOGGED_IDS = {'"request_id": scope["request_id"],': '"request_id": secrets.token_hex(8),'}
UNSURE_WHETHER_ALIVE = {'{"status": "live"}': '{"status": "live", "since": service.since}'}
# One of a hundred may fail; ten of a hundred are too many for whoever asks only about as many.
FAILS_NOW_AND_THEN = {
    **TURNS,
    "        with self._connection() as connection, connection.cursor() as cursor:\n": (
        "        if next(_TURNS) % 20 == 0:\n            raise RuntimeError('the twentieth')\n"
        "        with self._connection() as connection, connection.cursor() as cursor:\n"
    ),
}
LARGE_BATCHES = {"if most and len(items) > most:": "if most and len(items) > 10 * most:"}


def edited(changes: Mapping[str, str | None]) -> Step[Any]:
    """Somebody edits the good configuration where it lies, and the service is restarted with it."""
    return in_turn(by.edited(changes), by.restarted)


def _weak(value: str) -> bool:
    return len(value.encode()) < seen.STRONG_BYTES


BROKEN = (
    service_fault(
        "oversized-accepted",
        "a configuration without limits is deployed: bodies and batches of any size are taken",
        "제한이 없는 구성이 배포됨: 크기와 관계없이 모든 본문과 배치를 받아들임",
        findings=("payload.body_accepted", "payload.batch_accepted"),
        facts=NEW_CONFIG,
        row="payload-body-new-config",
        remediation=ROLLBACK_CONFIG,
        do=changed(NO_LIMITS),
        holds=seen.accepts_large_bodies,
    ),
    service_fault(
        "large-bodies-released",
        "release v2 of the service counts the limit of bodies in other units: far larger ones are taken",
        "서비스의 v2 릴리스가 본문 상한의 단위를 잘못 계산함: 훨씬 큰 본문을 받아들임",
        findings=("payload.body_accepted",),
        facts=NEW_RELEASE,
        row="payload-body-new-release",
        remediation=ROLLBACK_RELEASE,
        do=patched(LARGE_BODIES),
        holds=seen.accepts_large_bodies,
    ),
    service_fault(
        "large-bodies-edited",
        "somebody removes the limit of bodies where the configuration lies: nothing was deployed",
        "누군가 구성 파일에서 본문 상한을 직접 제거함: 새로 배포된 것은 없음",
        findings=("payload.body_accepted",),
        row="payload-body",
        remediation=None,
        do=edited({"MAX_REQUEST_BODY_BYTES": "0"}),
        holds=seen.accepts_large_bodies,
    ),
    service_fault(
        "large-batches-configured",
        "a configuration without a limit of batches is deployed: batches of any size are taken",
        "배치 상한이 없는 구성이 배포됨: 크기와 관계없이 모든 배치를 받아들임",
        findings=("payload.batch_accepted",),
        facts=NEW_CONFIG,
        row="payload-batch-new-config",
        remediation=ROLLBACK_CONFIG,
        do=changed({"INGEST_MAX_BATCH_ITEMS": "0"}),
        holds=seen.accepts_large_batches,
    ),
    service_fault(
        "large-batches-released",
        "release v2 of the service takes batches of ten times the promised size",
        "서비스의 v2 릴리스가 약속한 크기의 10배인 배치를 받아들임",
        findings=("payload.batch_accepted",),
        facts=NEW_RELEASE,
        row="payload-batch-new-release",
        remediation=ROLLBACK_RELEASE,
        do=patched(LARGE_BATCHES),
        holds=seen.accepts_large_batches,
    ),
    service_fault(
        "large-batches-edited",
        "somebody removes the limit of batches where the configuration lies: nothing was deployed",
        "누군가 구성 파일에서 배치 상한을 직접 제거함: 새로 배포된 것은 없음",
        findings=("payload.batch_accepted",),
        row="payload-batch",
        remediation=None,
        do=edited({"INGEST_MAX_BATCH_ITEMS": "0"}),
        holds=seen.accepts_large_batches,
    ),
    service_fault(
        "ids-lost",
        "release v2 of the service brings request ids back under another name: nobody can follow a request",
        "서비스의 v2 릴리스가 요청 ID를 다른 헤더로 돌려줌: 요청을 추적할 수 없음",
        findings=("request_id.lost",),
        row="request-id-lost",
        remediation=None,
        do=patched(LOSES_IDS),
        holds=seen.ids_lost,
    ),
    service_fault(
        "ids-unlogged",
        "release v2 of the service brings request ids back, and logs ids of its own: nobody finds a request there",
        "서비스의 v2 릴리스가 요청 ID를 돌려주지만 로그에는 다른 ID를 남김: 로그에서 요청을 찾을 수 없음",
        findings=("request_id.lost",),
        row="request-id-lost",
        remediation=None,
        do=patched(UNLOGGED_IDS),
        holds=seen.ids_unlogged,
    ),
    service_fault(
        "token-secret-missing",
        "a configuration without the secret for tokens is deployed: the next start will fail",
        "토큰 서명 시크릿이 누락된 구성이 배포됨: 다음 시작은 실패함",
        findings=("secret.missing",),
        facts=NEW_CONFIG,
        row="secret-missing-new-config",
        remediation=ROLLBACK_CONFIG,
        do=by.configured({JWT_SECRET: None}),
        holds=seen.setting_is(JWT_SECRET, lambda value: not value),
    ),
    service_fault(
        "token-secret-removed",
        "somebody removes the secret for tokens where the configuration lies: nothing was deployed",
        "누군가 구성 파일에서 토큰 서명 시크릿을 직접 제거함: 새로 배포된 것은 없음",
        findings=("secret.missing",),
        row="secret-missing",
        remediation=None,
        do=by.edited({JWT_SECRET: None}),
        holds=seen.setting_is(JWT_SECRET, lambda value: not value),
    ),
    service_fault(
        "weak-secret",
        "a configuration with a short secret for tokens is deployed: whoever guesses it may do everything",
        "짧은 토큰 서명 시크릿이 담긴 구성이 배포됨: 추측한 사람이 모든 작업을 할 수 있음",
        findings=("secret.weak",),
        facts=NEW_CONFIG,
        row="secret-weak-new-config",
        remediation=ROLLBACK_CONFIG,
        do=changed({JWT_SECRET: WEAK}),
        holds=seen.setting_is(JWT_SECRET, _weak),
    ),
    service_fault(
        "weak-secret-edited",
        "somebody writes a short secret for tokens into the configuration where it lies: nothing was deployed",
        "누군가 구성 파일의 토큰 서명 시크릿을 짧은 값으로 바꿈: 새로 배포된 것은 없음",
        findings=("secret.weak",),
        row="secret-weak",
        remediation=None,
        do=by.edited({JWT_SECRET: WEAK}),
        holds=seen.setting_is(JWT_SECRET, _weak),
    ),
)

SERVICE_DEPLOYED = (
    service_fault(
        "ingest-release-missing",
        "a release of the service is put in force that is not on disk",
        "디스크에 없는 서비스 릴리스가 적용됨",
        findings=("release.missing",),
        facts=NEW_RELEASE,
        row="release-missing",
        remediation=ROLLBACK_RELEASE,
        do=by.release_pruned,
        holds=seen.dangling,
    ),
    service_fault(
        "ingest-config-missing",
        "a configuration of the service is put in force that is not on disk",
        "디스크에 없는 서비스 구성이 적용됨",
        # Its secrets are gone with it, and to leave one out is what a new configuration did.
        findings=("config.missing", "secret.missing"),
        facts=NEW_CONFIG,
        row="secret-missing-new-config",
        remediation=ROLLBACK_CONFIG,
        do=by.config_pruned,
        holds=seen.dangling,
    ),
    service_fault(
        "live-answers-500",
        "release v2 of the service is ready for work, and answers 500 to whoever asks whether it is alive",
        "서비스의 v2 릴리스가 준비 상태이지만 liveness에는 500으로 응답함",
        findings=("live.not_ok",),
        absent=("ready.not_ok", "ready.degraded", "errors.rate_high"),
        facts=NEW_RELEASE,
        row="live-not-ok-new-release",
        remediation=ROLLBACK_RELEASE,
        do=patched(UNSURE_WHETHER_ALIVE),
        holds=seen.answers(500, seen.LIVE),
    ),
    service_fault(
        "failing-now-and-then",
        "release v2 of the service fails with every twentieth batch: few requests fail, and more than may",
        "서비스의 v2 릴리스가 스무 번째 배치마다 실패함: 일부 요청만 실패하지만 허용 비율을 넘음",
        findings=("errors.rate_high",),
        absent=("live.not_ok", "ready.not_ok", "ready.degraded"),
        facts=NEW_RELEASE,
        row="errors-rate-high-new-release",
        remediation=ROLLBACK_RELEASE,
        do=in_turn(patched(FAILS_NOW_AND_THEN), by.running(STEADY)),
        holds=seen.failing,
    ),
    service_fault(
        "bad-migration",
        "a migration renames a column that the release in force asks for: nothing is stored or read",
        "마이그레이션이 적용 중인 릴리스가 사용하는 컬럼의 이름을 바꿈: 저장과 조회가 모두 실패함",
        findings=("ready.not_ok",),
        facts=SCHEMA,
        row="ready-not-ok-new-schema",
        remediation=ROLLBACK_SCHEMA,
        two_keys=True,
        # The step is taken back, but its file is still there: nobody but a person can tell what is to become of it.
        left=("schema.behind",),
        do=by.migrated(RENAMING_MIGRATION),
        holds=seen.says("unready"),
    ),
    service_fault(
        "migration-forgotten",
        "a migration is deployed, and nobody carries it out",
        "마이그레이션이 배포되었지만 실행되지 않음",
        findings=("schema.behind",),
        row="schema-behind",
        remediation=None,
        do=by.migration_written(HARMLESS_MIGRATION),
        holds=seen.schema_ahead,
    ),
    service_fault(
        "migration-forgotten-new-release",
        "a release is deployed with its migration, and nobody carries the migration out",
        "릴리스가 마이그레이션과 함께 배포되었지만 마이그레이션이 실행되지 않음",
        findings=("schema.behind",),
        facts=NEW_RELEASE,
        row="schema-behind-new-release",
        remediation=None,
        do=in_turn(patched(HARMLESS_RELEASE), by.migration_written(HARMLESS_MIGRATION)),
        holds=seen.schema_ahead,
    ),
    service_fault(
        "migration-lost",
        "the database has a revision that no migration knows: it was migrated from another branch",
        "데이터베이스의 리비전을 아는 마이그레이션이 없음: 다른 브랜치에서 마이그레이션됨",
        findings=("schema.unknown_revision",),
        unseen=("schema.behind",),
        row="schema-unknown",
        remediation=None,
        do=in_turn(by.migrated(HARMLESS_MIGRATION), by.migration_lost),
        holds=seen.schema_at(by.NEW_SCHEMA),
    ),
    service_fault(
        "migration-lost-new-release",
        "a release is deployed without the migration that the database has: to roll it back does not help",
        "데이터베이스에 적용된 마이그레이션이 빠진 릴리스가 배포됨: 롤백해도 도움이 되지 않음",
        findings=("schema.unknown_revision",),
        facts=NEW_RELEASE,
        row="schema-unknown-new-release",
        remediation=ROLLBACK_RELEASE,
        curable=False,
        undone=True,
        verify_s=HOPELESS_S,
        do=in_turn(by.migrated(HARMLESS_MIGRATION), by.migration_lost, patched(HARMLESS_RELEASE)),
        holds=seen.schema_at(by.NEW_SCHEMA),
    ),
    service_fault(
        "rollout-unreadable",
        "the program that says whether a rollout is under way needs an interpreter that is not there",
        "배포 진행 여부를 알려 주는 프로그램에 필요한 인터프리터가 없음",
        findings=("rollout.unreadable",),
        row="rollout-unreadable",
        remediation=None,
        do=by.rollout_program_broken,
        holds=seen.rollout_unanswered,
    ),
)

PROMISES = (*BROKEN, *SERVICE_DEPLOYED)
