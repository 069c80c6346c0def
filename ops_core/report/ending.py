"""How an incident ends at the terminal: what it came to, the times against their goals, the way back, the documents."""

from __future__ import annotations

from collections.abc import Sequence

from ops_core.report import words
from ops_core.report.language import translator
from ops_core.report.model import IncidentView, Phase, said
from ops_core.report.terminal import BOLD, GREEN, RED, YELLOW, Look, Row, severity_row, spent, with_head

_STATE_STYLE = {"recovered": f"{BOLD};{GREEN}", "open": f"{BOLD};{YELLOW}"}


def incident_lines(view: IncidentView, look: Look, reports: Sequence[str] = ()) -> list[str]:
    """The end of an incident: what it came to, what was done, the times against their goals, and the documents."""
    _ = translator(look.spoken)
    state = _(words.STATES[view.state])
    told = "; ".join(f"{part.target or '-'} {', '.join(part.codes)}" for part in view.impact) or _("no finding")
    rows = []
    if view.drill:
        rows.append(Row(label=_("drill"), value=_("the fault was injected on purpose")))
    if view.cause:
        rows.append(Row(label=_("cause"), value=said(view.cause, look.spoken)))
    if view.severity:
        rows.append(severity_row(view.severity, look))
    if view.action:
        rows.append(Row(label=_("action"), value=said(view.action, look.spoken)))
    if view.resolution:
        rows.append(Row(label=_("done"), value=said(view.resolution, look.spoken)))
    rows += [
        _phase_row(_("detect"), view.detect, look),
        _phase_row(_("decide"), view.decide, look),
        _phase_row(_("recover"), view.recover, look),
    ]
    if view.undo is not None and view.undo.outcome == "available" and view.state != "recovered":
        rows.append(Row(label=_("undo"), value=view.undo.command, style=BOLD, copied=True))
    rows += [Row(label=_("report"), value=path, copied=True) for path in reports]
    head = Row(label=_("INCIDENT"), value=f"{state}   {told}")
    return with_head(head, _STATE_STYLE.get(view.state, f"{BOLD};{RED}"), rows, look)


def _phase_row(label: str, phase: Phase, look: Look) -> Row:
    _ = translator(look.spoken)
    if phase.took_s is None:
        return Row(label=label, value=_("not reached"))
    value = spent(phase.took_s, phase.goal_s, _)
    return Row(label=label, value=value, style="" if phase.met else RED)
