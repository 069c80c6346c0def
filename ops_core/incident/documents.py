"""What people write about an incident that they handle: updates for the others, and the report of its scenario.

A report with an empty field is refused, and the field is named: what nobody knows has to be said outright.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ops_core.clock import isoformat, parse_instant
from ops_core.config import Settings
from ops_core.errors import OpsError, Refused
from ops_core.incident.answering import Answer, Basis, Seen, attempt_label
from ops_core.incident.events import Kind
from ops_core.incident.fields import REPORT, UPDATE, Field, Section
from ops_core.incident.files import folder_of, rendered
from ops_core.incident.phases import Phase
from ops_core.incident.response import Response, Update
from ops_core.incident.severity import CADENCE_S, MEANING, Scenario
from ops_core.incident.telling import ENDS, PHASES, sentence
from ops_core.incident.words import prevention
from ops_core.observation.journal import write_atomically
from ops_core.report.model import EvidenceView, ObservationView
from ops_core.report.render import SCENARIO, SEV_UPDATE
from ops_core.report.response import SCHEMA, Line, Part, ResponseView, Statement, ToldAt
from ops_core.report.seen import Text, said

HEADINGS: dict[Scenario | None, Text] = {
    None: {"en": "Incident", "ko": "인시던트"},
    Scenario.DATABASE: {"en": "Database incident", "ko": "DB 장애"},
    Scenario.REDIS: {"en": "Redis / rate limit incident", "ko": "Redis/rate_limit_backend 장애"},
    Scenario.RELEASE: {"en": "Release incident", "ko": "배포/릴리스 장애"},
    Scenario.OVERLOAD: {"en": "Overload incident", "ko": "과부하(트래픽 급증)"},
}
TRIAGE: tuple[tuple[str, Text], ...] = (
    ("scope", {"en": "Affected", "ko": "영향 범위"}),
    ("began", {"en": "Began", "ko": "시작 시각"}),
    ("version", {"en": "Version", "ko": "영향 받은 버전"}),
)
# The fields of the runbook's issue, each with the answers that fill it, the surest first.
ISSUE: tuple[tuple[Text, tuple[str, ...]], ...] = (
    ({"en": "Time", "ko": "발생 시각"}, ("began",)),
    ({"en": "Duration", "ko": "지속 시간"}, ()),
    ({"en": "Impact", "ko": "영향"}, ("impact.users", "scope")),
    ({"en": "Root cause", "ko": "근본 원인"}, ("cause.confirmed",)),
    ({"en": "Suspected cause", "ko": "추정 원인"}, ("cause.suspected",)),
    ({"en": "Resolution", "ko": "조치"}, ("fix", "mitigation.done")),
)
NOTHING_LEFT: Text = {"en": "post-incident, finished", "ko": "사후 처리 완료"}
# A field that another answer answers as well.
ALSO = {"impact.endpoints": "scope", "verification.figures": "verified"}


def update_view(response: Response) -> ResponseView:
    """What the others are to read after the latest update.

    Raises:
        Refused: there is none yet.
    """
    if not response.updates:
        raise Refused(
            "there is no update yet",
            where=f"incident {response.incident.id}",
            next_step=f'ops incident update {response.incident.id} --text "…"',
        )
    return _view(response, (), response.updates[-1])


def issue_view(response: Response) -> ResponseView:
    """What an issue says: the fields of the runbook's incident report, as far as they are known."""
    return _view(response, (), response.updates[-1] if response.updates else None, _issue_lines(response))


def report_view(response: Response) -> ResponseView:
    """The report of the scenario.

    Raises:
        Refused: the scenario is not known, or a field of its report is empty; the message names them.
    """
    where = f"incident {response.incident.id}"
    if response.scenario is None:
        raise Refused(
            "the scenario is not known, so nobody knows what the report has to say",
            where=where,
            allowed=", ".join(Scenario),
            next_step=f'ops incident update {response.incident.id} --scenario … --text "…"',
        )
    sections = REPORT[response.scenario]
    empty = [field for section in sections for field in section.fields if not _answers(response, field.name)]
    if empty:
        raise Refused(
            f"the report has empty fields: {', '.join(field.name for field in empty)}",
            where=where,
            allowed="every field filled, by evidence or by a person",
            next_step=f"ops incident update {response.incident.id} {empty[0].option}",
        )
    return _view(response, sections, response.updates[-1] if response.updates else None)


def write_update(settings: Settings, response: Response, lang: str, warn: Callable[[str], None]) -> tuple[Path, str]:
    """Write the latest update; its path and its text.

    Raises:
        OpsError: it cannot be written.
    """
    view = update_view(response)
    name = f"update-{view.number}.md"
    return _written(settings, view, name, rendered(settings, view, SEV_UPDATE, lang, warn))


def write_report(settings: Settings, response: Response, lang: str, warn: Callable[[str], None]) -> tuple[Path, str]:
    """Write the report of the scenario, and the record that it is made of; its path and its text.

    Raises:
        Refused: a field of it is empty.
        OpsError: it cannot be written.
    """
    view = report_view(response)
    record = json.dumps(view.to_json(), ensure_ascii=False, indent=2) + "\n"
    _written(settings, view, "response.json", record)
    return _written(settings, view, "report.md", rendered(settings, view, SCENARIO, lang, warn))


def _written(settings: Settings, view: ResponseView, name: str, text: str) -> tuple[Path, str]:
    path = folder_of(settings, view.id) / name
    try:
        write_atomically(path, text)
    except OSError as error:
        raise OpsError(f"the document cannot be written: {error.strerror}", where=str(path)) from None
    return path, text


def _issue_lines(response: Response) -> tuple[Line, ...]:
    lines = []
    for label, names in ISSUE:
        found = next((answers for name in names if (answers := _answers(response, name))), ())
        lines.append(Line(label=label, statements=_statements(found)))
    began = response.started_at or response.incident.opened_at
    over = response.finished.get(Phase.RECOVER) or response.end
    if over is not None:
        minutes = (parse_instant(over.at) - parse_instant(began)).total_seconds() / 60
        text = {"en": f"{minutes:.0f} minutes", "ko": f"{minutes:.0f}분"}
        lines[1] = Line(label=ISSUE[1][0], statements=(Statement(text=text, evidence=("E1", f"E{over.seq}")),))
    return tuple(lines)


def _view(
    response: Response, sections: Sequence[Section], update: Update | None, lines_told: tuple[Line, ...] = ()
) -> ResponseView:
    incident, owed = response.incident, response.owed
    basis = response.basis
    timeline = tuple(
        ToldAt(at=event.at, by=str(event.data.get("by") or "-"), text=text, evidence=(f"E{event.seq}",))
        for event in response.events
        if (text := sentence(event))
    )
    parts = tuple(Part(name=one.name, lines=tuple(_line(response, f) for f in one.fields)) for one in sections)
    if lines_told:
        parts = (Part(name="issue", lines=lines_told),)
    fields = tuple(_field(response, field) for field in UPDATE[response.severity]) if update else ()
    triage = tuple(Line(label=label, statements=_statements(response.answers(name))) for name, label in TRIAGE)
    told = (Statement(text={"en": update.text}, evidence=(f"E{update.seq}",)),) if update else ()
    lines = [*fields, *triage, *(line for part in parts for line in part.lines)]
    cited = [one for line in lines for statement in line.statements for one in statement.evidence]
    cited += [one for entry in (*timeline, *told) for one in entry.evidence]
    return ResponseView(
        schema=SCHEMA,
        id=incident.id,
        profile=incident.profile,
        drill=bool(incident.data.get("drill")),
        title=response.title,
        severity=response.severity.value,
        meaning=dict(MEANING[response.severity]),
        scenario=response.scenario.value if response.scenario else "",
        heading=HEADINGS[response.scenario],
        state=dict(ENDS[response.state]),
        opened_at=incident.opened_at,
        phase=dict(PHASES[response.phase] if response.phase else NOTHING_LEFT),
        cadence_min=CADENCE_S[response.severity] // 60,
        owed_at=isoformat(owed.due_at) if owed else "",
        number=len(response.updates),
        told_at=update.at if update else incident.opened_at,
        by=update.by if update else "",
        update=told,
        triage=triage,
        fields=fields,
        parts=parts,
        prevention=prevention(tuple(dict.fromkeys(bad.code for seen in basis.seen for bad in seen.look.bad))),
        timeline=timeline,
        observations=tuple(_observation(seen) for seen in basis.seen),
        evidence=_evidence(response, basis, set(cited)),
    )


def _answers(response: Response, name: str) -> tuple[Answer, ...]:
    found = response.answers(name)
    return found or (response.answers(ALSO[name]) if name in ALSO else ())


def _line(response: Response, field: Field) -> Line:
    return Line(label=dict(field.label), statements=_statements(_answers(response, field.name)))


def _field(response: Response, field: Field) -> Line:
    text, cited = response.field(field.name)
    statements = (Statement(text={"en": text}, evidence=cited),) if text else ()
    return Line(label=dict(field.label), statements=statements)


def _statements(answers: Iterable[Answer]) -> tuple[Statement, ...]:
    return tuple(Statement(text=dict(one.text), evidence=one.cited) for one in answers)


def _observation(seen: Seen) -> ObservationView:
    look = seen.look
    return ObservationView(
        label=seen.label,
        run_id=look.run_id,
        record=look.record,
        purpose=look.purpose,
        verdict=look.verdict,
        used_s=look.used_s,
        total_s=look.total_s,
    )


def _evidence(response: Response, basis: Basis, cited: set[str]) -> tuple[EvidenceView, ...]:
    """What is cited, in the order of looks, attempts and events."""
    found = [
        EvidenceView(id=f"{seen.label}:{one.id}", explanation=one.explanation, reason=one.reason)
        for seen in basis.seen
        for one in seen.look.evidence
        if f"{seen.label}:{one.id}" in cited
    ]
    for number, history in basis.runs:
        for attempt in history.attempts:
            label = attempt_label(number, attempt)
            if label in cited and attempt.plan is not None:
                explanation = f"{attempt.remediation} {attempt.target}, plan {attempt.plan.digest[:12]}"
                found.append(EvidenceView(id=label, explanation=explanation))
    for event in response.events:
        if f"E{event.seq}" in cited:
            by = event.data.get("by") or response.source
            kind = "" if event.kind is Kind.NOTED else f"{event.kind.value.replace('_', ' ')}: "
            text = said(sentence(event), "en") or "-"
            found.append(EvidenceView(id=f"E{event.seq}", explanation=f"{event.at} {by}, {kind}{text}"))
    return tuple(found)
