"""Faults that were deployed: releases with bugs, careless configurations, versions that are not there."""

from __future__ import annotations

import signal

from ops_core.drill import injectors as by
from ops_core.drill.fault import NEW_CONFIG, NEW_RELEASE, RESTART, ROLLBACK_CONFIG, ROLLBACK_RELEASE, Fault
from ops_core.drill.layout import SECRET

# Passages of core's code, and what a careless change makes of them.
_COUNTS_ON_A_MISSING_FIELD = {
    '"thoughts": len(thoughts)}': '"thoughts": len(thoughts), "authors": len({t["author"] for t in thoughts})}'
}
_NEEDS_A_MISSING_MODULE = {"import hmac\n": "import hmac\n\nimport thought_store\n"}
_DROPS_THE_GUARD = {"if expected and not hmac": "if given and expected and not hmac"}
_RENAMES_THE_HEADER = {'headers.get("x-internal-secret", "")': 'headers.get("x-internal-token", "")'}
_WAITS_FOR_A_THOUGHT = {'if self.degradation != "silent":': 'if number and self.degradation != "silent":'}
_STREAMS_UNDER_A_WRONG_STATUS = {'exchange.begin(200, "text/event-stream': 'exchange.begin(503, "text/event-stream'}
_CHECKS_ONE_BY_ONE = {
    'exchange.answer(200, {"status": "ok", **self.identity(), "thoughts"': (
        "for _thought in thoughts:\n            time.sleep(0.5)\n"
        '        exchange.answer(200, {"status": "ok", **self.identity(), "thoughts"'
    )
}
_HARMLESS = {'{"status": "idle", ': '{"status": "ready", '}

DEPLOYED = (
    Fault(
        name="secret-missing",
        description={
            "en": "a configuration without the internal secret is deployed: the guard lets everybody in",
            "ko": "시크릿이 누락된 구성이 배포됨: 보안 가드가 모든 호출을 통과시킴",
        },
        findings=("guard.open",),
        facts=NEW_CONFIG,
        row="guard-open-new-config",
        remediation=ROLLBACK_CONFIG,
        do=by.configured({SECRET: None}),
        holds=by.guard_open,
    ),
    Fault(
        name="wrong-secret",
        description={
            "en": "a configuration with another secret is deployed: the guard refuses those it should let in",
            "ko": "다른 시크릿이 담긴 구성이 배포됨: 보안 가드가 올바른 시크릿을 거부함",
        },
        findings=("guard.rejects_secret",),
        facts=NEW_CONFIG,
        row="guard-rejects-secret-new-config",
        remediation=ROLLBACK_CONFIG,
        do=by.configured({SECRET: "not-the-secret-that-the-callers-have"}),
        holds=by.secret_refused,
    ),
    Fault(
        name="bad-release",
        description={
            "en": "release v2 of core counts on a field that the data has not got: health answers 500",
            "ko": "core의 v2 릴리스가 데이터에 없는 필드를 사용함: 헬스가 500을 반환함",
        },
        findings=("health.not_ok",),
        facts=NEW_RELEASE,
        row="health-not-ok-new-release",
        remediation=ROLLBACK_RELEASE,
        do=by.released(_COUNTS_ON_A_MISSING_FIELD),
        holds=by.answers(500),
    ),
    Fault(
        name="release-missing",
        description={
            "en": "a release of core is put in force that is not on disk: core runs, but could not start again",
            "ko": "디스크에 없는 core 릴리스가 적용됨: 지금은 실행 중이지만 다시 시작할 수 없음",
        },
        findings=("release.missing",),
        facts=NEW_RELEASE,
        row="release-missing",
        remediation=ROLLBACK_RELEASE,
        do=by.new_release_pruned,
        holds=by.dangling,
    ),
    Fault(
        name="config-missing",
        description={
            "en": "a configuration of core is put in force that is not on disk: core runs, but could not start again",
            "ko": "디스크에 없는 core 구성이 적용됨: 지금은 실행 중이지만 다시 시작할 수 없음",
        },
        findings=("config.missing",),
        facts=NEW_CONFIG,
        row="config-missing",
        remediation=ROLLBACK_CONFIG,
        do=by.new_config_pruned,
        holds=by.dangling,
    ),
    Fault(
        name="crashing-release",
        description={
            "en": "release v2 of core needs a module that is not installed: it does not start",
            "ko": "core의 v2 릴리스에 필요한 모듈이 설치되어 있지 않음: 시작되지 않음",
        },
        findings=("process.not_running", "health.not_ok"),
        facts=NEW_RELEASE,
        row="process-not-running-new-release",
        remediation=ROLLBACK_RELEASE,
        do=by.released(_NEEDS_A_MISSING_MODULE),
        holds=by.gone,
    ),
    Fault(
        name="crashing-config",
        description={
            "en": "a configuration with a word where seconds belong is deployed: core does not start",
            "ko": "초 단위 숫자 자리에 글자가 들어간 구성이 배포됨: core가 시작되지 않음",
        },
        findings=("process.not_running", "health.not_ok"),
        facts=NEW_CONFIG,
        row="process-not-running-new-config",
        remediation=ROLLBACK_CONFIG,
        do=by.configured({"HEARTBEAT_S": "often"}),
        holds=by.gone,
    ),
    Fault(
        name="bad-config",
        description={
            "en": "a configuration that names a file that is not there is deployed: health answers 503",
            "ko": "없는 파일을 가리키는 구성이 배포됨: 헬스가 503을 반환함",
        },
        findings=("health.not_ok",),
        facts=NEW_CONFIG,
        row="health-not-ok-new-config",
        remediation=ROLLBACK_CONFIG,
        do=by.configured({"THOUGHTS_FILE": "thoughts-2.json"}),
        holds=by.answers(503),
    ),
    Fault(
        name="unguarded-release",
        description={
            "en": "release v2 of core asks for the secret only of those who bring one: the guard is open",
            "ko": "core의 v2 릴리스가 시크릿을 보낸 호출만 검사함: 보안 가드가 열려 있음",
        },
        findings=("guard.open",),
        facts=NEW_RELEASE,
        row="guard-open-new-release",
        remediation=ROLLBACK_RELEASE,
        do=by.released(_DROPS_THE_GUARD),
        holds=by.guard_open,
    ),
    Fault(
        name="header-renamed",
        description={
            "en": "release v2 of core reads the secret from another header: nobody is let in",
            "ko": "core의 v2 릴리스가 다른 헤더에서 시크릿을 읽음: 아무도 통과하지 못함",
        },
        findings=("guard.rejects_secret",),
        facts=NEW_RELEASE,
        row="guard-rejects-secret-new-release",
        remediation=ROLLBACK_RELEASE,
        do=by.released(_RENAMES_THE_HEADER),
        holds=by.secret_refused,
    ),
    Fault(
        name="silent-release",
        description={
            "en": "release v2 of core sends heartbeats only after the first thought, and so never",
            "ko": "core의 v2 릴리스가 첫 이벤트 이후에만 heartbeat를 보내려 해서 결국 아무것도 보내지 않음",
        },
        findings=("stream.silent",),
        facts=NEW_RELEASE,
        row="stream-silent-new-release",
        remediation=ROLLBACK_RELEASE,
        do=by.released(_WAITS_FOR_A_THOUGHT),
        holds=by.silent,
    ),
    Fault(
        name="stream-refused",
        description={
            "en": "release v2 of core answers the event stream with 503, and sends heartbeats all the same",
            "ko": "core의 v2 릴리스가 SSE 스트림에 503으로 응답하면서 heartbeat는 계속 보냄",
        },
        findings=("stream.silent",),
        absent=("health.not_ok",),
        facts=NEW_RELEASE,
        row="stream-silent-new-release",
        remediation=ROLLBACK_RELEASE,
        do=by.released(_STREAMS_UNDER_A_WRONG_STATUS),
        holds=by.speaks_unwell,
    ),
    Fault(
        name="slow-release",
        description={
            "en": "release v2 of core checks every thought before it answers health: it is late",
            "ko": "core의 v2 릴리스가 헬스 응답 전에 모든 데이터를 하나씩 점검함: 응답이 느림",
        },
        findings=("health.slow",),
        facts=NEW_RELEASE,
        row="health-slow-new-release",
        remediation=ROLLBACK_RELEASE,
        do=by.released(_CHECKS_ONE_BY_ONE),
        holds=by.slow,
    ),
    Fault(
        name="secret-missing-half-undone",
        description={
            "en": "a configuration without the secret was taken back, but core was not restarted: still open",
            "ko": "시크릿이 누락된 구성을 되돌렸지만 core를 재시작하지 않음: 보안 가드가 여전히 열려 있음",
        },
        findings=("guard.open",),
        row="guard-open",
        remediation=ROLLBACK_CONFIG,
        do=by.in_turn(by.configured({SECRET: None}), by.relinked_config),
        holds=by.guard_open,
    ),
    Fault(
        name="wrong-secret-half-undone",
        description={
            "en": "a configuration with another secret was taken back, but core was not restarted: it still refuses",
            "ko": "다른 시크릿이 담긴 구성을 되돌렸지만 core를 재시작하지 않음: 여전히 거부함",
        },
        findings=("guard.rejects_secret",),
        row="guard-rejects-secret",
        remediation=ROLLBACK_CONFIG,
        do=by.in_turn(by.configured({SECRET: "not-the-secret-that-the-callers-have"}), by.relinked_config),
        holds=by.secret_refused,
    ),
    Fault(
        name="frozen-after-release",
        description={
            "en": "a harmless release of core is deployed, then somebody stops the process (SIGSTOP)",
            "ko": "문제없는 core 릴리스가 배포된 뒤 누군가 프로세스를 정지시킴 (SIGSTOP)",
        },
        findings=("process.frozen",),
        facts=NEW_RELEASE,
        row="process-frozen-new-release",
        remediation=RESTART,
        do=by.in_turn(by.released(_HARMLESS), by.signalled(signal.SIGSTOP)),
        holds=by.stopped,
    ),
    Fault(
        name="frozen-after-config",
        description={
            "en": "a harmless configuration of core is deployed, then somebody stops the process (SIGSTOP)",
            "ko": "문제없는 core 구성이 배포된 뒤 누군가 프로세스를 정지시킴 (SIGSTOP)",
        },
        findings=("process.frozen",),
        facts=NEW_CONFIG,
        row="process-frozen-new-config",
        remediation=RESTART,
        do=by.in_turn(by.configured({"THOUGHT_S": "3"}), by.signalled(signal.SIGSTOP)),
        holds=by.stopped,
    ),
    Fault(
        name="good-release-lost",
        description={
            "en": "the last good release of core is deleted while it is in force: there is nothing to go back to",
            "ko": "적용 중인 마지막 정상 릴리스가 삭제됨: 되돌아갈 곳이 없음",
        },
        findings=("release.missing",),
        row="release-missing",
        remediation=ROLLBACK_RELEASE,
        curable=False,
        do=by.good_release_pruned,
        holds=by.dangling,
    ),
)
