"""Faults of the operations: what the daily checklist and the preconditions of a live fire have to find.

The control plane is sound; a stop, a window, a clock, a cycle or the calendar is not as the day needs it.
"""

from __future__ import annotations

from functools import partial

from ops_core.drill import control_injectors as by
from ops_core.drill import control_tries as trying
from ops_core.drill.control_plane import ControlStack, put_back, ready_to_fire
from ops_core.drill.fault import Fault

_fault = partial(Fault, stack=ControlStack, service="", remediation=None, undo=put_back)
_daily = partial(_fault, suite="daily")
_fire = partial(_fault, suite="live_fire", prepare=ready_to_fire)

DAILY = (
    _daily(
        name="daily-stopped",
        description={"en": "the day begins with the emergency stop engaged", "ko": "긴급정지 상태에서 하루가 시작됨"},
        findings=("daily.stopped",),
        row="daily-stopped",
        do=by.acted(by.engaged),
        holds=by.is_stopped,
    ),
    _daily(
        name="daily-store-lost",
        description={
            "en": "the control store is gone when the day begins",
            "ko": "하루를 시작할 때 제어 저장소가 사라져 있음",
        },
        findings=("daily.stopped",),
        row="daily-stopped",
        do=by.store_lost,
        holds=by.is_stopped,
    ),
    _daily(
        name="clock-put-back",
        description={
            "en": "the gate was set an hour from now: the clock was put back, and nobody can tell which gate holds",
            "ko": "게이트가 한 시간 뒤 시각에 설정됨: 시계가 되돌려져 어떤 게이트가 유효한지 알 수 없음",
        },
        findings=("daily.gate",),
        row="daily-gate",
        do=trying.gate_from_the_future,
        holds=trying.behind,
    ),
    _daily(
        name="real-without-window",
        description={
            "en": "the gate is REAL_ENABLED, and nobody has asked for a window",
            "ko": "게이트가 REAL_ENABLED인데 윈도우가 요청되지 않음",
        },
        findings=("daily.window",),
        row="daily-window",
        do=by.acted(by.left_open),
        holds=by.gate_stands("REAL_ENABLED"),
    ),
    _daily(
        name="window-expired",
        description={
            "en": "a window with both keys runs out while one is at it",
            "ko": "두 키가 승인된 윈도우가 작업 도중 만료됨",
        },
        findings=("daily.window",),
        row="daily-window",
        do=trying.window_expired,
        holds=trying.window_is("EXPIRED", 2),
    ),
    _daily(
        name="one-person-twice",
        description={
            "en": "one person tries to give both keys, with a second account too: refused, and one key stays one",
            "ko": "한 사람이 두 번째 계정까지 만들어 두 키를 모두 승인하려 함: 거부되고 키는 하나로 남음",
        },
        findings=("daily.window",),
        row="daily-window",
        do=trying.one_person_twice,
        holds=trying.window_is("REQUESTED", 1),
    ),
    _daily(
        name="approver-left",
        description={
            "en": "one of the two who approved the window is an operator no more",
            "ko": "윈도우를 승인한 두 사람 중 한 명의 운영자 권한이 해지됨",
        },
        findings=("daily.approvals",),
        row="daily-approvals",
        do=trying.approver_left,
        holds=trying.window_is("ACTIVE", 2),
    ),
    _daily(
        name="cycle-due",
        description={"en": "a cycle is due, and nobody has run it", "ko": "사이클 시각이 되었지만 실행되지 않음"},
        findings=("daily.cycle",),
        row="daily-cycle",
        do=trying.cycle_due,
        holds=trying.not_as_arranged,
    ),
    _daily(
        name="cycle-missed",
        description={"en": "the cycle of this morning was missed", "ko": "오늘 오전 사이클이 누락됨"},
        findings=("daily.cycle",),
        row="daily-cycle",
        do=trying.cycle_missed,
        holds=trying.not_as_arranged,
    ),
    _daily(
        name="cycle-killed",
        description={
            "en": "a cycle is killed (SIGKILL) in the middle: it began and did not end",
            "ko": "사이클이 도중에 강제 종료됨 (SIGKILL): 시작했지만 끝나지 않음",
        },
        findings=("daily.cycle",),
        row="daily-cycle",
        do=trying.cycle_killed,
        holds=trying.latest_cycle_is("OPEN"),
    ),
    _daily(
        name="cycle-failed",
        description={
            "en": "a cycle does not find a file that it needs, and says so in its receipt",
            "ko": "사이클에 필요한 파일이 없어 실패가 영수증에 기록됨",
        },
        findings=("daily.result",),
        row="daily-result",
        do=trying.cycle_failed,
        holds=trying.latest_cycle_is("PREFLIGHT_FAIL"),
    ),
)

LIVE_FIRE = (
    _fire(
        name="fire-stopped",
        description={"en": "the emergency stop is engaged before a live fire", "ko": "라이브 파이어 직전에 긴급정지됨"},
        findings=("live_fire.emergency_stop",),
        row="live-fire-emergency-stop",
        do=by.acted(by.engaged),
        holds=by.is_stopped,
    ),
    _fire(
        name="fire-secret-open",
        description={
            "en": "the file of a secret can be read by everybody: the self test fails",
            "ko": "시크릿 파일을 누구나 읽을 수 있음: 자체 점검 실패",
        },
        findings=("live_fire.self_test",),
        row="live-fire-self-test",
        do=trying.secret_opened,
        holds=trying.secret_is_open,
    ),
    _fire(
        name="fire-gate-shut",
        description={
            "en": "the gate is set to DRY_RUN before a live fire",
            "ko": "라이브 파이어 직전에 게이트가 DRY_RUN으로 설정됨",
        },
        findings=("live_fire.gate_mode",),
        row="live-fire-gate-mode",
        do=by.acted(trying.gate_shut),
        holds=by.gate_stands("DRY_RUN"),
    ),
    _fire(
        name="fire-nothing-to-send",
        description={"en": "every message that waits is withdrawn", "ko": "대기 중인 메시지가 모두 철회됨"},
        findings=("live_fire.outbox_messages", "live_fire.window_active"),
        row="live-fire-outbox-messages",
        do=by.acted(trying.outbox_emptied),
        holds=trying.outbox_is_empty,
    ),
    _fire(
        name="fire-sender-off",
        description={
            "en": "the sender is switched off before a live fire",
            "ko": "라이브 파이어 직전에 발송이 비활성화됨",
        },
        findings=("live_fire.sender_enable",),
        row="live-fire-sender-enable",
        do=by.acted(trying.sender_off),
        holds=trying.sender_is_off,
    ),
    _fire(
        name="fire-window-revoked",
        description={"en": "the window is taken back before a live fire", "ko": "라이브 파이어 직전에 윈도우가 철회됨"},
        findings=("live_fire.window_active",),
        row="live-fire-window-active",
        do=by.acted(trying.window_revoked),
        holds=trying.window_is("REVOKED", 2),
    ),
    _fire(
        name="fire-window-expired",
        description={"en": "the window runs out before a live fire", "ko": "라이브 파이어 직전에 윈도우가 만료됨"},
        findings=("live_fire.window_active",),
        row="live-fire-window-active",
        do=trying.window_expired,
        holds=trying.window_is("EXPIRED", 2),
    ),
    _fire(
        name="fire-clock-skewed",
        description={
            "en": "another host whose clock is an hour ahead records something: the window's keys prove nothing now",
            "ko": "시계가 한 시간 빠른 다른 호스트가 기록을 남김: 윈도우 승인을 신뢰할 수 없음",
        },
        findings=("live_fire.window_active",),
        row="live-fire-window-active",
        do=trying.recorded_ahead,
        holds=trying.behind,
    ),
    _fire(
        name="fire-no-trading-day",
        description={"en": "today is no trading day", "ko": "오늘은 거래일이 아님"},
        findings=("live_fire.weekday",),
        row="live-fire-weekday",
        do=trying.closed_today,
        holds=trying.not_as_arranged,
    ),
    _fire(
        name="fire-after-hours",
        description={"en": "trading is over for today", "ko": "오늘 거래 시간이 끝남"},
        findings=("live_fire.hours",),
        row="live-fire-hours",
        do=trying.closed_now,
        holds=trying.not_as_arranged,
    ),
)
