"""What an incident says about itself, in the reader's language.

Events keep a key and its parameters, never a sentence: the same incident is told in English and in Korean, and a
wording can be improved after the fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ops_core.report.model import Text

Reason = Mapping[str, Any]

# Why an incident ended as it did, or what happened on the way.
REASONS: Mapping[str, Text] = MappingProxyType(
    {
        "not_asked": {
            "en": "looking and deciding was all that was asked for",
            "ko": "관측과 판정까지만 요청되었습니다",
        },
        "no_remediation": {
            "en": "the decision table names no remediation for what is left: {codes}",
            "ko": "남은 문제에 대해 판정표에 정해진 복구가 없습니다: {codes}",
        },
        "nothing_left": {
            "en": "what the table names was tried or could not be planned; still bad: {codes}",
            "ko": "판정표의 복구를 모두 시도했거나 계획할 수 없었습니다. 여전히 비정상: {codes}",
        },
        "rounds_over": {
            "en": "still bad after {rounds} rounds: {codes}",
            "ko": "{rounds}회 반복 후에도 비정상입니다: {codes}",
        },
        "time_over": {
            "en": "{minutes} minutes have passed since it was found: {codes}",
            "ko": "발견 후 {minutes}분이 지났습니다: {codes}",
        },
        "not_seen": {
            "en": "not everything could be seen at the end, so that nobody can say that it is well: {codes}",
            "ko": "마지막에 관측하지 못한 항목이 있어 정상이라고 말할 수 없습니다: {codes}",
        },
        "cannot_tell": {
            "en": "nobody can tell whether a step had its effect: {detail}",
            "ko": "단계가 실제로 반영되었는지 확인할 수 없습니다: {detail}",
        },
        "undo_failed": {
            "en": "the way back failed: {detail}",
            "ko": "되돌리기에 실패했습니다: {detail}",
        },
        "guard": {"en": "{detail}", "ko": "{detail}"},
        "given": {"en": "{detail}", "ko": "{detail}"},
        "stopped": {
            "en": "ended by the emergency stop: {detail}",
            "ko": "긴급정지로 중단되었습니다: {detail}",
        },
        "crashed": {
            "en": "the program that ran it ended before the end; another one goes on",
            "ko": "실행하던 프로그램이 끝나기 전에 종료되어 다른 실행이 이어서 진행합니다",
        },
        "too_old": {
            "en": "it was left alone for more than {minutes} minutes: what was seen then says nothing about now",
            "ko": "{minutes}분 넘게 중단되어 있었습니다. 당시의 관측으로는 현재를 판단할 수 없습니다",
        },
        "superseded": {
            "en": "{remediation} of {target} was chosen meanwhile: what was planned before is not gone on with",
            "ko": "그 사이 {target}에 {remediation}이(가) 선택되어, 이전에 계획된 조치는 이어서 진행하지 않습니다",
        },
        "unplanned": {
            "en": "{remediation} cannot be planned: {detail}",
            "ko": "{remediation} 계획을 세울 수 없습니다: {detail}",
        },
        "unapplied": {
            "en": "{remediation} was not applied whole: {detail}",
            "ko": "{remediation} 적용이 끝까지 진행되지 못했습니다: {detail}",
        },
        "by_hand": {
            "en": "{remediation} was all that was asked for; still bad: {codes}",
            "ko": "{remediation}만 요청되었습니다. 여전히 비정상: {codes}",
        },
        "on_purpose": {
            "en": "what is left is so on purpose: {codes}",
            "ko": "남은 항목은 의도된 상태입니다: {codes}",
        },
        "still_bad": {
            "en": "{remediation} did not help: {codes}",
            "ko": "{remediation}(으)로 해결되지 않았습니다: {codes}",
        },
        "gate_open": {
            "en": "the gate stands at REAL_ENABLED, as it has to for this; close it now",
            "ko": "이번 복구를 위해 게이트가 REAL_ENABLED입니다. 이제 되돌리십시오",
        },
        "again": {
            "en": "step {step} is armed once more: {detail}",
            "ko": "{step} 단계를 다시 실행 준비합니다: {detail}",
        },
    }
)

# What keeps it from coming back, by the subject of the finding; in the words of the runbook that this replaces.
PREVENTION: Mapping[str, Text] = MappingProxyType(
    {
        "guard": {
            "en": "make sure that every configuration names the secret before it is put in force",
            "ko": "구성을 적용하기 전에 시크릿(.env, env_file)이 모두 들어 있는지 확인",
        },
        "process": {
            "en": "consider a health check and an automatic restart for the process",
            "ko": "프로세스에 healthcheck와 자동 재시작 추가 검토",
        },
        "stream": {
            "en": "watch the heartbeat of the stream",
            "ko": "heartbeat 로그 모니터링 추가",
        },
        "health": {
            "en": "add a check that would have found this before it was put in force",
            "ko": "적용 전에 이 문제를 발견할 수 있는 검사 추가",
        },
        "release": {
            "en": "keep the versions in force and last seen good when old ones are removed",
            "ko": "오래된 릴리스를 정리할 때 적용 중인 버전과 마지막 정상 버전은 보존",
        },
        "emergency_stop": {
            "en": "write down who may engage the emergency stop, and who is told",
            "ko": "긴급정지를 걸 수 있는 사람과 통보 대상을 문서화",
        },
        "gate": {
            "en": "close the gate at the end of every real run",
            "ko": "실제 실행이 끝날 때마다 게이트를 되돌리기",
        },
    }
)

# What is said while it happens.
SAID: Mapping[str, Text] = MappingProxyType(
    {
        "restoring": {
            "en": "{target}: its time is over, {remediation}",
            "ko": "{target}: 지정된 시간이 지나 {remediation} 실행",
        },
        "not_restored": {
            "en": "{target}: its time is over, but {remediation} is not possible: {detail}",
            "ko": "{target}: 지정된 시간이 지났지만 {remediation}을(를) 실행할 수 없음: {detail}",
        },
        "looking": {"en": "looking ({suite})", "ko": "관측 중 ({suite})"},
        "verdict": {"en": "{verdict} after {used_s:.1f} s", "ko": "{verdict} ({used_s:.1f}초)"},
        "found": {"en": "found {codes}", "ko": "발견: {codes}"},
        "opened": {"en": "incident {id}", "ko": "장애 {id}"},
        "resumed": {"en": "incident {id} was interrupted: going on", "ko": "중단된 장애 {id}를 이어서 진행"},
        "decided": {
            "en": "{target}: {severity}, {cause} → {remediation}",
            "ko": "{target}: {severity}, {cause} → {remediation}",
        },
        "because": {"en": "because of it: {listed}", "ko": "이로 인한 영향: {listed}"},
        "chosen": {
            "en": "{remediation} was chosen for {target}, by hand or because its time was over",
            "ko": "{target}에 대해 {remediation}이(가) 수동으로, 또는 시간이 지나 선택되었습니다",
        },
        "nobody": {"en": "a person has to act", "ko": "사람이 조치해야 함"},
        "planned": {"en": "plan {digest}: {summary}", "ko": "계획 {digest}: {summary}"},
        "permitted": {"en": "permitted: {detail}", "ko": "허가됨: {detail}"},
        "refused": {"en": "refused: {detail}", "ko": "거부됨: {detail}"},
        "verifying": {"en": "the same checks again: {verdict}", "ko": "같은 검사 재실행: {verdict}"},
        "undoing": {"en": "undoing {remediation}", "ko": "{remediation} 되돌리는 중"},
        "closed": {"en": "incident {id}: {state}{detail}", "ko": "장애 {id}: {state}{detail}"},
    }
)


def reason(key: str, **params: object) -> dict[str, Any]:
    """A reason as events keep it."""
    return {"key": key, "params": {name: str(value) for name, value in params.items()}}


def told(why: Reason, lang: str) -> str:
    """The sentence of a reason; what is not known by its key is shown as it is."""
    text = REASONS.get(str(why.get("key")))
    params = why.get("params") or {}
    return _fill(text, lang, params) if text else f"{why.get('key')} {dict(params)}"


def say(key: str, lang: str, **params: object) -> str:
    """A line that is said while it happens."""
    return _fill(SAID[key], lang, params)


def prevention(codes: tuple[str, ...]) -> tuple[Text, ...]:
    """What keeps these findings from coming back: one item per subject, in the order of the findings."""
    subjects = dict.fromkeys(code.partition(".")[0] for code in codes)
    return tuple(PREVENTION[subject] for subject in subjects if subject in PREVENTION)


def _fill(text: Text, lang: str, params: Mapping[str, Any]) -> str:
    return (text.get(lang) or text["en"]).format_map(params)
