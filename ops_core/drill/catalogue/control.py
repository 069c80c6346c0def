"""Faults of the control plane: stopped, left open, changed behind the program's back, misused, out of its time.

A person has to act on each of them, so each has to end with an escalation; what was changed must have no effect. They
are seen by four suites. Where a fault leaves something that cannot be put back, its way back says so (`put_back`).
"""

from __future__ import annotations

from functools import partial

from ops_core.drill import control_injectors as by
from ops_core.drill import control_tries as trying
from ops_core.drill.catalogue.operating import DAILY, LIVE_FIRE
from ops_core.drill.control_plane import ControlStack, at_rest, put_back
from ops_core.drill.fault import Fault
from ops_core.drill.injectors import in_turn

_fault = partial(Fault, service="", remediation=None)
_seen = partial(_fault, suite="observe", undo=at_rest)
_integrity = partial(_fault, stack=ControlStack, suite="integrity", undo=put_back)

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
        refused=trying.alert_refused,
    ),
)

CONTROL: tuple[Fault, ...] = (*SEEN, *INTEGRITY, *DAILY, *LIVE_FIRE)
