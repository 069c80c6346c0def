"""Faults of the control plane: stopped, left open, changed behind the program's back, misused, out of its time.

A person has to act on each of them, so each has to end with an escalation; what was changed must have no effect. They
are seen by four suites. Where a fault leaves something that cannot be put back, its way back says so (`put_back`).
"""

from __future__ import annotations

from functools import partial

from ops_core.drill import control_injectors as by
from ops_core.drill import control_tries as trying
from ops_core.drill.control_plane import ControlStack, at_rest, put_back, ready_to_fire
from ops_core.drill.fault import Fault
from ops_core.drill.injectors import in_turn

_fault = partial(Fault, service="", remediation=None)
_seen = partial(_fault, suite="observe", undo=at_rest)
_integrity = partial(_fault, stack=ControlStack, suite="integrity", undo=put_back)
_daily = partial(_fault, stack=ControlStack, suite="daily", undo=put_back)
_fire = partial(_fault, stack=ControlStack, suite="live_fire", prepare=ready_to_fire, undo=put_back)

SEEN = (
    _seen(
        name="stop-engaged",
        description={"en": "somebody engages the emergency stop", "ko": "누군가 긴급정지를 작동시킴"},
        findings=("emergency_stop.engaged",),
        row="emergency-stop-engaged",
        do=by.acted(by.engaged),
        holds=by.is_stopped,
    ),
    _seen(
        name="stop-latched",
        description={
            "en": "somebody makes the latch file beside the store: everything is stopped, whatever the store says",
            "ko": "누군가 저장소 옆에 래치 파일을 생성함: 저장소의 상태와 관계없이 모두 정지됨",
        },
        findings=("emergency_stop.engaged",),
        row="emergency-stop-engaged",
        do=by.latched,
        holds=by.is_stopped,
    ),
    _seen(
        name="control-store-lost",
        description={
            "en": "the control store is gone: what cannot be known counts as stopped",
            "ko": "제어 저장소가 사라짐: 알 수 없는 상태는 정지로 간주됨",
        },
        findings=("emergency_stop.engaged",),
        row="emergency-stop-engaged",
        do=by.store_lost,
        holds=by.is_stopped,
    ),
    _seen(
        name="gate-left-open",
        description={
            "en": "the gate is left at REAL_ENABLED while nobody carries out a real change",
            "ko": "실제 변경이 없는데 게이트가 REAL_ENABLED로 남아 있음",
        },
        findings=("gate.real_enabled",),
        row="gate-real-enabled",
        do=by.acted(by.left_open),
        holds=by.gate_stands("REAL_ENABLED"),
    ),
)

INTEGRITY = (
    _integrity(
        name="gate-mirror-forced",
        description={
            "en": "REAL_ENABLED is written into the gate's mirror by hand; the gate does not move",
            "ko": "게이트 미러 파일에 REAL_ENABLED가 수동으로 기록됨. 실제 게이트는 바뀌지 않음",
        },
        findings=("integrity.gate_mirror",),
        row="integrity-gate-mirror",
        do=by.rewritten(by.GATE, "MOCK_ONLY", "REAL_ENABLED"),
        holds=by.says(by.GATE, "REAL_ENABLED"),
    ),
    _integrity(
        name="stop-mirror-deleted",
        description={"en": "the mirror of the emergency stop is deleted", "ko": "긴급정지 미러 파일이 삭제됨"},
        findings=("integrity.stop_mirror",),
        row="integrity-stop-mirror",
        do=by.stop_mirror_deleted,
        holds=by.stop_mirror_gone,
    ),
    _integrity(
        name="stop-mirror-edited",
        description={
            "en": "the mirror of the emergency stop is edited: it says engaged, and nothing is",
            "ko": "긴급정지 미러 파일이 수정됨: 작동 중이라고 하지만 실제로는 아님",
        },
        findings=("integrity.stop_mirror",),
        row="integrity-stop-mirror",
        do=by.rewritten(by.STOP, "false", "true"),
        holds=by.says(by.STOP, "true"),
    ),
    _integrity(
        name="sender-mirror-edited",
        description={
            "en": "the mirror of the sender is edited: it says enabled, and no message may leave",
            "ko": "발송 설정 미러 파일이 수정됨: 활성이라고 하지만 발송은 금지된 상태임",
        },
        findings=("integrity.other_mirrors",),
        row="integrity-other-mirrors",
        do=by.rewritten(by.SENDER, "false", "true"),
        holds=by.says(by.SENDER, "true"),
    ),
    _integrity(
        name="ticket-edited",
        description={
            "en": "a line of the request journal is edited: another person asked",
            "ko": "요청 저널의 한 줄이 수정됨: 요청자가 다른 사람으로 바뀜",
        },
        findings=("integrity.tickets",),
        row="integrity-tickets",
        do=by.rewritten(by.JOURNAL, '"drill"', f'"{by.FORGED}"'),
        holds=by.says(by.JOURNAL, by.FORGED),
    ),
    _integrity(
        name="ticket-edited-in-the-store",
        description={
            "en": "an entry of the request journal is edited in the store's file itself",
            "ko": "저장소 파일 자체에서 요청 저널 항목이 수정됨",
        },
        findings=("integrity.tickets",),
        row="integrity-tickets",
        do=by.cell_edited("ticket", "line", "{}"),
        holds=by.kept_aside("ticket"),
        undo=in_turn(by.cell_restored("ticket", "line"), put_back),
    ),
    _integrity(
        name="log-cut",
        description={
            "en": "the second half of the program's log disappears; the audit still holds what was done",
            "ko": "프로그램 로그의 뒷부분이 잘려 나감. 감사 기록에는 남아 있음",
        },
        findings=("integrity.logs",),
        row="integrity-logs",
        do=by.log_cut,
        holds=by.log_differs,
    ),
    _integrity(
        name="log-deleted",
        description={"en": "the program's log is deleted", "ko": "프로그램 로그가 삭제됨"},
        findings=("integrity.logs",),
        row="integrity-logs",
        do=by.log_deleted,
        holds=by.log_differs,
    ),
    _integrity(
        name="allowlist-widened",
        description={
            "en": "a request type is added to the allowlist, and nobody accepts it",
            "ko": "승인 없이 Allowlist에 요청 유형이 추가됨",
        },
        findings=("integrity.contracts",),
        row="integrity-contracts",
        do=by.allowlist_widened,
        holds=by.contracts_differ,
    ),
    _integrity(
        name="contract-added",
        description={"en": "a contract appears that nobody accepted", "ko": "승인되지 않은 계약 파일이 추가됨"},
        findings=("integrity.contracts",),
        row="integrity-contracts",
        do=by.contract_added,
        holds=by.contracts_differ,
    ),
    _integrity(
        name="audit-edited",
        description={
            "en": "a row of the audit is edited in the store's file: another person did it",
            "ko": "저장소 파일에서 감사 기록의 한 행이 수정됨: 행위자가 다른 사람으로 바뀜",
        },
        findings=("integrity.chain",),
        row="integrity-chain",
        prepare=by.long_history,
        do=by.cell_edited("audit", "actor", by.FORGED, row=3),
        holds=by.kept_aside("audit"),
        undo=in_turn(by.cell_restored("audit", "actor"), put_back),
    ),
    _integrity(
        name="receipt-edited",
        description={
            "en": "the receipt of a cycle is edited in the store's file",
            "ko": "저장소 파일에서 사이클 영수증이 수정됨",
        },
        findings=("integrity.chain",),
        row="integrity-chain",
        do=by.cell_edited("cycle_run", "receipt", '{"result":"OK"}'),
        holds=by.kept_aside("cycle_run"),
        undo=in_turn(by.cell_restored("cycle_run", "receipt"), put_back),
    ),
    _integrity(
        name="host-key-replaced",
        description={
            "en": "another key lies in the place of the key with which this host signs checkpoints",
            "ko": "체크포인트 서명용 호스트 키가 다른 키로 바뀜",
        },
        findings=("integrity.chain",),
        row="integrity-chain",
        do=by.host_key_replaced,
        holds=by.kept_aside("host_key.pem"),
        undo=in_turn(by.host_key_restored, put_back),
    ),
    _integrity(
        name="fired-without-window",
        description={
            "en": "somebody starts a live fire without a window; it is refused",
            "ko": "윈도우 없이 라이브 파이어가 시도되었고 거부됨",
        },
        findings=("integrity.real_without_permission",),
        row="integrity-real-without-permission",
        do=by.acted(trying.fired_without_window),
        holds=trying.recorded("live_fire.blocked"),
    ),
    _integrity(
        name="cycle-asked-for-more",
        description={
            "en": "somebody asks a cycle for what the allowlist does not name; it is refused",
            "ko": "Allowlist에 없는 요청이 사이클에 전달되었고 거부됨",
        },
        findings=("integrity.real_without_permission",),
        row="integrity-real-without-permission",
        do=by.acted(trying.asked_for_more),
        holds=trying.latest_cycle_is("ALLOWLIST_VIOLATION"),
    ),
    _integrity(
        name="webhook-forged",
        description={
            "en": "somebody sends alerts as if they were the monitoring system: refused, and nothing is opened",
            "ko": "모니터링 시스템을 사칭한 알림이 전송됨: 거부되고 아무 인시던트도 열리지 않음",
        },
        findings=(),
        end="healthy",
        do=trying.alert_forged,
        holds=trying.forged_in_vain,
    ),
)

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

CONTROL: tuple[Fault, ...] = (*SEEN, *INTEGRITY, *DAILY, *LIVE_FIRE)
