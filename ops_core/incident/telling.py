"""What people did about an incident, told event by event, and the whole of it as JSON values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ops_core.clock import isoformat
from ops_core.incident.answering import Answer
from ops_core.incident.events import Event, Kind, State
from ops_core.incident.phases import Phase
from ops_core.incident.response import Response
from ops_core.incident.words import told as reason_told
from ops_core.report.seen import Text, said

PHASES: Mapping[Phase, Text] = MappingProxyType(
    {
        Phase.TRIAGE: {"en": "triage", "ko": "초기 분류"},
        Phase.STABILISE: {"en": "stabilise", "ko": "안정화"},
        Phase.DIAGNOSE: {"en": "diagnose", "ko": "진단"},
        Phase.RECOVER: {"en": "recover", "ko": "복구"},
        Phase.POST_INCIDENT: {"en": "post-incident", "ko": "사후 처리"},
    }
)
SENTENCES: Mapping[Kind, Text] = MappingProxyType(
    {
        Kind.DECLARED: {"en": "Opened as {severity}: {title}", "ko": "{severity}로 접수: {title}"},
        Kind.UPDATED: {"en": "Update{severity}: {text}", "ko": "업데이트{severity}: {text}"},
        Kind.ANSWERED: {"en": "Answered {answers}", "ko": "답변 {answers}"},
        Kind.FINISHED: {"en": "Phase finished: {phase}", "ko": "단계 완료: {phase}"},
        Kind.NOTED: {"en": "{source}: {text}", "ko": "{source}: {text}"},
        Kind.ATTACHED: {
            "en": "What the loop did is attached: incident {run}",
            "ko": "자동 대응 기록 연결: 인시던트 {run}",
        },
        Kind.LOOKED: {"en": "Looked: {verdict}, {record}", "ko": "관측: {verdict}, {record}"},
        Kind.REPORTED: {"en": "Report written: {path}", "ko": "보고서 작성: {path}"},
        Kind.ISSUE: {"en": "Issue {state}: {detail}", "ko": "이슈 {state}: {detail}"},
        Kind.CHANGELOG: {"en": "Changelog entry written: {path}", "ko": "변경 이력 작성: {path}"},
        Kind.CLOSED: {"en": "Closed, {state}{why}", "ko": "종료, {state}{why}"},
    }
)
ENDS: Mapping[State, Text] = MappingProxyType(
    {
        State.OPEN: {"en": "open", "ko": "진행 중"},
        State.RECOVERED: {"en": "recovered", "ko": "복구됨"},
        State.CLOSED: {"en": "closed, recovery not verified", "ko": "종료됨, 복구 미확인"},
    }
)


def sentence(event: Event) -> Text:
    """What an event tells, in every language; nothing where it tells people nothing."""
    text = SENTENCES.get(event.kind)
    if text is None:
        return {}
    return {lang: text[lang].format_map(_params(event, lang)) for lang in text}


def _params(event: Event, lang: str) -> dict[str, str]:
    data = event.data
    params = {name: str(value) for name, value in data.items() if isinstance(value, str)}
    if event.kind is Kind.UPDATED:
        params["severity"] = f" ({data['severity']})" if data["severity"] else ""
    elif event.kind is Kind.ANSWERED:
        params["answers"] = ", ".join(data["answers"])
    elif event.kind is Kind.FINISHED:
        params["phase"] = said(PHASES[Phase(data["phase"])], lang)
    elif event.kind is Kind.LOOKED:
        params |= {"verdict": str(data["look"]["verdict"]), "record": str(data["look"]["record"])}
    elif event.kind is Kind.CLOSED:
        why = reason_told(data["reason"], lang) if data["reason"] else ""
        params["state"] = said(ENDS[State(data["state"])], lang)
        params["why"] = f": {why}" if why else ""
    return params


def as_dict(response: Response, now: datetime, lang: str = "en") -> dict[str, Any]:
    """The incident as JSON values."""
    owed, incident = response.owed, response.incident
    current = response.phase
    return {
        "id": incident.id,
        "profile": incident.profile,
        "state": response.state.value,
        "title": response.title,
        "severity": response.severity.value,
        "scenario": response.scenario.value if response.scenario else None,
        "source": response.source,
        "opened_at": incident.opened_at,
        "started_at": response.started_at or None,
        "affected": list(response.affected),
        "version": response.version or None,
        "phase": current.value if current else None,
        "update": None
        if owed is None
        else {
            "last_at": isoformat(owed.last_at),
            "due_at": isoformat(owed.due_at),
            "overdue": owed.overdue(now),
        },
        "attached": list(response.attached),
        "phases": [
            {
                "phase": phase.value,
                "finished_at": response.finished[phase].at if phase in response.finished else None,
                "items": [
                    {
                        "item": found.item.name,
                        "question": said(found.item.question, lang),
                        "open": found.open,
                        "answers": [_answer(one, lang) for one in found.answers],
                    }
                    for found in response.items(phase)
                ],
            }
            for phase in Phase
        ],
        "timeline": timeline(response, lang),
    }


def timeline(response: Response, lang: str) -> list[dict[str, Any]]:
    """The events that people have to know of, in order."""
    told = ((event, said(sentence(event), lang)) for event in response.events)
    return [
        {
            "seq": event.seq,
            "at": event.at,
            "kind": event.kind.value,
            "by": str(event.data.get("by", "")),
            "text": text,
        }
        for event, text in told
        if text
    ]


def _answer(answer: Answer, lang: str) -> dict[str, Any]:
    return {"by": answer.by, "text": said(answer.text, lang), "cited": list(answer.cited), "at": answer.at}
