"""Faults of running services: crashes, freezes, degradation, damaged data. No deployment is to blame."""

from __future__ import annotations

import signal

from ops_core.drill import injectors as by
from ops_core.drill.fault import RESTART, Fault

RUNNING = (
    Fault(
        name="killed",
        description={"en": "core is killed (SIGKILL)", "ko": "core가 강제 종료됨 (SIGKILL)"},
        findings=("process.not_running", "health.not_ok"),
        row="process-not-running",
        remediation=RESTART,
        do=by.signalled(signal.SIGKILL),
        holds=by.gone,
    ),
    Fault(
        name="frozen",
        description={
            "en": "core is stopped (SIGSTOP): it accepts connections and never answers",
            "ko": "core가 정지됨 (SIGSTOP): 연결은 받지만 응답하지 않음",
        },
        findings=("process.frozen",),
        row="process-frozen",
        remediation=RESTART,
        do=by.signalled(signal.SIGSTOP),
        holds=by.stopped,
    ),
    Fault(
        name="answering-5xx",
        description={"en": "core runs but answers 500 and 503", "ko": "core가 실행 중이지만 500과 503으로 응답함"},
        findings=("health.not_ok",),
        row="health-not-ok",
        remediation=RESTART,
        do=by.degraded("5xx"),
        holds=by.answers(500),
    ),
    Fault(
        name="stream-silent",
        description={
            "en": "the event stream opens and then says nothing, not even a heartbeat",
            "ko": "SSE 스트림이 열리지만 heartbeat조차 보내지 않음",
        },
        findings=("stream.silent",),
        row="stream-silent",
        remediation=RESTART,
        do=by.degraded("silent"),
        holds=by.silent,
    ),
    Fault(
        name="slow",
        description={"en": "core answers its health check, but late", "ko": "core의 헬스 체크 응답이 느려짐"},
        findings=("health.slow",),
        row="health-slow",
        remediation=RESTART,
        do=by.degraded("slow"),
        holds=by.slow,
    ),
    Fault(
        name="soul-killed",
        service="soul",
        description={"en": "the soul engine is killed (SIGKILL)", "ko": "soul engine이 강제 종료됨 (SIGKILL)"},
        findings=("process.not_running", "health.not_ok"),
        row="process-not-running",
        remediation=RESTART,
        do=by.signalled(signal.SIGKILL),
        holds=by.gone,
    ),
    Fault(
        name="dashboard-5xx",
        service="dashboard",
        description={"en": "the dashboard runs but answers 500", "ko": "대시보드가 실행 중이지만 500으로 응답함"},
        findings=("health.not_ok",),
        row="health-not-ok",
        remediation=RESTART,
        do=by.degraded("5xx"),
        holds=by.answers(500),
    ),
    Fault(
        name="incurable",
        description={
            "en": "the data that every release of core needs is damaged: neither restart nor rollback helps",
            "ko": "core의 모든 릴리스에 필요한 데이터가 손상됨: 재시작도 롤백도 소용없음",
        },
        findings=("health.not_ok",),
        row="health-not-ok",
        remediation=RESTART,
        curable=False,
        do=by.data_damaged,
        holds=by.answers(503),
    ),
)
