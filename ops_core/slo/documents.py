"""The weekly and the monthly report: figures as a Markdown document with three pictures beside it.

A document is a function of the figures: written again from the same records it is the same to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ops_core.clock import isoformat
from ops_core.config import Settings
from ops_core.content import own_templates
from ops_core.control.model.calendar import read_zone
from ops_core.observation.journal import write_together
from ops_core.report.charts import Bar, Cell, Series, Strip, availability_chart, budget_chart, recovery_chart
from ops_core.report.render import render
from ops_core.slo.availability import BudgetState, Verdict, rates
from ops_core.slo.figures import Day, Figures, Goal, TargetFigures
from ops_core.slo.periods import Kind, Period
from ops_core.slo.recovery import Happened, Mean

TEMPLATES = {Kind.WEEK: "weekly.md.j2", Kind.MONTH: "monthly.md.j2"}
CHARTS = ("availability.svg", "budget.svg", "recovery.svg")
SHOWN_INCIDENTS_MAX = 200
CITED_MAX = 10


def documents(found: Figures, lang: str, templates: Path | None = None) -> dict[str, str]:
    """The report and its pictures by the names of their files.

    Args:
        found: the figures of a week or a month.
        lang: the language to write in.
        templates: the user's own folder of templates.

    Raises:
        TemplateBroken: a template cannot be followed.
        UsageError: there is no such language.
    """
    name = TEMPLATES[found.period.kind]
    return {
        name.removesuffix(".j2"): render(name, {"view": view_of(found)}, lang=lang, templates=templates),
        **charts(found, lang),
        "figures.json": json.dumps(found.to_json(), ensure_ascii=False, indent=2) + "\n",
    }


def charts(found: Figures, lang: str) -> dict[str, str]:
    """The three pictures by the names of their files."""
    zone = read_zone(found.period.zone)
    strips = [
        Strip(label=one.name, total=percent(one.availability.ratio) or "—", cells=[_cell(day) for day in one.days])
        for one in found.targets
    ]
    series = [Series(label=one.name, values=[_left(one, day) for day in one.days]) for one in found.targets]
    days = [_label(day.day) for day in found.targets[0].days] if found.targets else []
    bars = [
        Bar(
            label=f"{one.detected_at.astimezone(zone):%m-%d %H:%M} {', '.join(one.targets)}",
            seconds=one.recovery_at_least(found.until).total_seconds(),
            done=one.recovered_at is not None,
        )
        for one in found.recovery.incidents
    ]
    drawn = (
        availability_chart(strips, lang),
        budget_chart(series, days, lang),
        recovery_chart(bars, found.promised.mttr_max_s, lang),
    )
    return dict(zip(CHARTS, drawn, strict=True))


def write_documents(settings: Settings, found: Figures, lang: str) -> tuple[Path, ...]:
    """Write the report, its pictures and its figures to `reports/slo/<period>/`; returns their paths.

    Raises:
        OpsError: one cannot be written.
        TemplateBroken: a template of the user's cannot be followed.
    """
    folder = folder_of(settings, found.period)
    texts = documents(found, lang, own_templates(settings.root))
    return write_together(folder, texts, "the report")


def folder_of(settings: Settings, period: Period) -> Path:
    """Where the report of a period lies."""
    return settings.reports_dir / "slo" / period.key


def view_of(found: Figures) -> dict[str, Any]:
    """What the templates are handed: plain values, percentages as text, times as ISO 8601."""
    zone = read_zone(found.period.zone)
    recovery, reading, told = found.recovery, found.reading, found.told
    return {
        "profile": found.profile,
        "drill": found.drill,
        "key": found.period.key,
        "zone": found.period.zone,
        "start": isoformat(found.period.start),
        "end": isoformat(found.period.end),
        "until": isoformat(found.until),
        "over": found.until >= found.period.end,
        "goals": [_goal(goal, found) for goal in found.goals],
        "targets": [_target(one) for one in found.targets],
        "known_min": percent(found.promised.known_min, 0),
        "valid_s": found.promised.observation_valid_s,
        "suites": list(found.promised.suites),
        "counted": list(found.promised.counted),
        "mttd": _mean(recovery.mttd),
        "mttr": _mean(recovery.mttr),
        "mttr_at_least": _mean(recovery.mttr_at_least),
        "unrecovered": _ids(recovery.unrecovered),
        "automatic_rate": percent(recovery.automatic_rate, 1),
        "automatic": _ids(recovery.automatic),
        "ended": _ids(recovery.ended),
        "escalated": _ids(recovery.escalated),
        "open": _ids(recovery.open),
        "security": _ids(recovery.security),
        "incidents": [_incident(one, zone) for one in recovery.incidents[:SHOWN_INCIDENTS_MAX]],
        "incidents_more": max(0, len(recovery.incidents) - SHOWN_INCIDENTS_MAX),
        "records": reading.records,
        "damaged": reading.damaged,
        "damaged_named": list(reading.named),
        "left_out": reading.left_out,
        "problem": told.problem,
        "problem_named": list(told.named),
        "next": _next(found),
    }


def percent(ratio: float | None, digits: int = 3) -> str:
    """`99.986 %`, cut and not rounded, so that what is below a promise is never shown as kept; empty: not known."""
    if ratio is None:
        return ""
    scale = 10**digits
    return f"{int(ratio * 100 * scale + (1e-6 if ratio > 0 else -1e-6)) / scale:.{digits}f} %"


def _goal(goal: Goal, found: Figures) -> dict[str, Any]:
    return {
        "key": goal.key,
        "wanted_s": goal.wanted,
        "wanted": f"{goal.wanted:g}" if goal.key == "security" else f"{goal.wanted * 100:.6g} %",
        "value": goal.value,
        "percent": percent(goal.value),
        "count": None if goal.value is None else f"{goal.value:g}",
        "verdict": goal.verdict.value,
        "observations": sum(one.observations for one in found.targets),
        **_ids(goal.basis),
    }


def _target(one: TargetFigures) -> dict[str, Any]:
    availability, budget = one.availability, one.budget
    by_window = rates(one.burns)
    return {
        "name": one.name,
        "objective": f"{one.objective * 100:.6g} %",
        "promised": one.promised,
        "ratio": percent(availability.ratio),
        "at_least": percent(availability.at_least),
        "at_most": percent(availability.at_most),
        "verdict": one.verdict.value,
        "known": availability.ratio is not None,
        "bad_s": availability.totals.bad.total_seconds(),
        "unknown_s": availability.totals.unknown.total_seconds(),
        "unknown": percent(availability.unknown_share, 1),
        "observations": one.observations,
        "outages": one.outages,
        "allowed_s": budget.allowed_s,
        "left_s": budget.left_s,
        "left": percent(budget.left_ratio, 1),
        "state": one.budget_state.value,
        "burn": [{"window": name, "rate": "" if rate is None else f"{rate:.1f}"} for name, rate in by_window.items()],
        "burning": [burn.alert.name for burn in one.burns if burn.firing],
    }


def _incident(one: Happened, zone: ZoneInfo) -> dict[str, Any]:
    recovery = one.recovery
    return {
        "id": one.id,
        "found": f"{one.detected_at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        "targets": ", ".join(one.targets),
        "detection_s": one.detection.total_seconds(),
        "began_known": one.began_known,
        "recovery_s": None if recovery is None else recovery.total_seconds(),
        "state": one.state,
        "automatic": one.automatic,
        "security": one.security,
    }


def _next(found: Figures) -> list[dict[str, Any]]:
    """What follows from the figures: one entry per thing to do, most urgent first; the words are the template's."""
    todo: list[dict[str, Any]] = []
    spent = [one.name for one in found.targets if one.budget_state is BudgetState.SPENT]
    unknown = [one.name for one in found.targets if one.verdict is Verdict.UNKNOWN]
    burning = [one.name for one in found.targets if any(burn.firing for burn in one.burns)]
    for key, names in (
        ("security", list(found.recovery.security)),
        ("spent", spent),
        ("burning", burning),
        ("escalated", list(found.recovery.escalated)),
        ("unknown", unknown),
    ):
        if names:
            todo.append({"key": key, **_ids(names)})
    return todo


def _mean(mean: Mean) -> dict[str, Any]:
    return {"seconds": mean.seconds, **_ids(mean.incidents)}


def _ids(ids: tuple[str, ...] | list[str]) -> Mapping[str, Any]:
    return {"ids": list(ids[:CITED_MAX]), "count_ids": len(ids), "more": max(0, len(ids) - CITED_MAX)}


def _cell(day: Day) -> Cell:
    totals = day.availability.totals
    length = totals.length.total_seconds()
    shares = [part.total_seconds() / length if length else 0.0 for part in (totals.good, totals.bad, totals.unknown)]
    told = percent(day.availability.ratio) or "—"
    tip = f"{day.day.isoformat()}: {told}" if day.begun else day.day.isoformat()
    return Cell(label=_label(day.day), good=shares[0], bad=shares[1], unknown=shares[2], tip=tip)


def _left(one: TargetFigures, day: Day) -> float | None:
    """What was left at the end of that day; of a day that has not begun, or before anything was known, nobody knows."""
    if not day.begun or day.so_far.ratio is None or one.budget.allowed_s <= 0:
        return None
    return 1 - day.so_far.totals.bad.total_seconds() / one.budget.allowed_s


def _label(day: date) -> str:
    return f"{day:%m-%d}"
