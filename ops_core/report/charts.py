"""The three pictures of a report: availability by day, what is left of the error budgets, how long recovery took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ops_core.report.language import Translate, translator
from ops_core.report.svg import Picture, width_of
from ops_core.report.text import duration, shortened

WIDTH = 860
MARGIN = 20
LABEL_MAX_CHARS = 20
BARS_MAX = 40
ROWS_MAX = 40
SERIES_MAX = 8
LINE_PX = 18
COLOURS = 4
TOP = 46


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A day of a target: shares of it from 0 to 1 that add up to 1, or to 0 where it has not begun."""

    label: str
    good: float
    bad: float
    unknown: float
    tip: str


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The days of a target, with what they come to in words."""

    label: str
    total: str
    cells: Sequence[Cell]


@dataclass(frozen=True, kw_only=True)
class Series:
    """What was left of a budget at the end of each day, 1 being all of it; None where nobody knows."""

    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """How long one recovery took; `done` is False where there was none, and it was looked at for that long."""

    label: str
    seconds: float
    done: bool


def availability_chart(strips: Sequence[Strip], lang: str) -> str:
    """Each target a row, each day a cell: good, bad on top, hatched what nobody knows."""
    _ = translator(lang)
    strips = [replace(strip, total=shortened(strip.total, LABEL_MAX_CHARS)) for strip in strips[:ROWS_MAX]]
    height = 34
    step = height + 24
    picture = Picture(
        WIDTH,
        TOP + step * len(strips) + 44,
        _("Availability by day"),
        "; ".join(f"{strip.label} {strip.total}" for strip in strips) or _("not known"),
    )
    picture.text(MARGIN, 26, _("Availability by day"), "strong")
    _legend(picture, _)
    left = MARGIN + _label_width([strip.label for strip in strips])
    right = WIDTH - MARGIN - max([60.0, *(width_of(strip.total) for strip in strips)]) - 10
    for row, strip in enumerate(strips):
        y = TOP + row * step
        picture.text(MARGIN, y + 21, shortened(strip.label, LABEL_MAX_CHARS))
        pitch = (right - left) / max(1, len(strip.cells))
        for column, cell in enumerate(strip.cells):
            _cell(picture, cell, left + column * pitch, y, pitch - 3, height)
        picture.text(right + 10, y + 21, strip.total)
    if strips:
        _days(picture, [cell.label for cell in strips[0].cells], left, right, TOP + len(strips) * step + 8)
    return str(picture)


def budget_chart(series: Sequence[Series], days: Sequence[str], lang: str) -> str:
    """What was left of each error budget at the end of each day, of those with the least; below 0 it is overspent."""
    _ = translator(lang)
    series = sorted(series, key=_last)[:SERIES_MAX]
    known = [value for one in series for value in one.values if value is not None]
    low = min(0.0, max(-2.0, min(known, default=0.0)))
    bottom, left = TOP + 190, MARGIN + 56.0
    words = [f"{shortened(one.label, LABEL_MAX_CHARS)} {_share(one, _)}" for one in series]
    picture = Picture(WIDTH, bottom + 44, _("Error budget left"), "; ".join(words) or _("not known"))
    picture.text(MARGIN, 26, _("Error budget left"), "strong")
    right = WIDTH - MARGIN - max([60.0, *(width_of(word) for word in words)]) - 16

    def height(value: float) -> float:
        return TOP + 10 + (1 - max(low, value)) / (1 - low) * (bottom - TOP - 10)

    for mark in sorted({1.0, 0.5, 0.0, low}):
        picture.line(left, height(mark), right, height(mark), "zero" if mark == 0 else "axis")
        picture.text(left - 8, height(mark) + 4, f"{mark * 100:.0f} %", "small quiet", "end")
    pitch = (right - left) / max(1, len(days))
    ends = [height(1.0 if _last(one) == math.inf else _last(one)) for one in series]
    beside = _apart(ends, TOP, bottom)
    for index, one in enumerate(series):
        points = [(left, height(1.0))] if one.values and one.values[0] is not None else []
        points += [(left + (n + 1) * pitch, height(v)) for n, v in enumerate(one.values) if v is not None]
        if len(points) > 1:
            picture.path(points, f"line c{index % COLOURS} d{index % COLOURS}")
        if points:
            picture.line(points[-1][0], points[-1][1], right + 8, beside[index], "axis")
        picture.text(right + 12, beside[index] + 4, words[index])
    _days(picture, days, left, right, bottom + 18)
    return str(picture)


def recovery_chart(bars: Sequence[Bar], goal_s: float, lang: str) -> str:
    """Each incident a bar, against the goal; hatched where recovery was never verified."""
    _ = translator(lang)
    bars = bars[-BARS_MAX:]
    step, left = 26, MARGIN + _label_width([bar.label for bar in bars])
    height = TOP + step * max(1, len(bars)) + 40
    not_over = _("without recovery")
    words = [duration(bar.seconds, _, 0) + ("" if bar.done else f" {not_over}") for bar in bars]
    told = "; ".join(f"{bar.label} {word}" for bar, word in zip(bars, words, strict=True))
    picture = Picture(WIDTH, height, _("Time to recovery"), told or _("no incident"))
    picture.text(MARGIN, 26, _("Time to recovery"), "strong")
    right = WIDTH - MARGIN - max([80.0, *(width_of(word) for word in words)]) - 10
    longest = max([goal_s * 1.25, *(bar.seconds for bar in bars)])
    for row, bar in enumerate(bars):
        y = TOP + row * step
        length = max(2.0, bar.seconds / longest * (right - left))
        kind = "unknown" if not bar.done else "bad" if bar.seconds >= goal_s else "good"
        picture.text(MARGIN, y + 15, shortened(bar.label, LABEL_MAX_CHARS))
        picture.rect(left, y + 3, length, 16, kind)
        picture.text(left + length + 8, y + 16, words[row])
    if not bars:
        picture.text(left, TOP + 16, _("no incident"), "quiet")
    x = left + goal_s / longest * (right - left)
    picture.line(x, TOP - 4, x, height - 28, "goal")
    picture.text(x, height - 12, _("goal %(goal)s") % {"goal": duration(goal_s, _, 0)}, "small", "middle")
    return str(picture)


def _cell(picture: Picture, cell: Cell, x: float, y: float, width: float, height: float) -> None:
    """Bad on top and never too thin to be seen; what is unknown below it; the rest good."""
    if cell.good + cell.bad + cell.unknown <= 0:
        picture.rect(x + 0.5, y + 0.5, width - 1, height - 1, "none", cell.tip)
        return
    bad = max(6.0, cell.bad * height) if cell.bad > 0 else 0.0
    unknown = max(4.0, cell.unknown * height) if cell.unknown > 0 else 0.0
    if bad + unknown > height:
        unknown = height - bad
    parts = (("bad", bad), ("unknown", unknown), ("good", height - bad - unknown))
    for kind, part in parts:
        if part > 0:
            picture.rect(x, y, width, part, kind, cell.tip)
            y += part
    if cell.bad > 0:
        picture.marker(x + width / 2, y + 2)


def _legend(picture: Picture, translate: Translate) -> None:
    _ = translate
    x = float(WIDTH - MARGIN)
    for kind, word in (("unknown", _("unknown")), ("bad", _("bad")), ("good", _("good"))):
        x -= width_of(word) + 8
        picture.text(x, 26, word, "small")
        x -= 18
        picture.rect(x, 16, 12, 12, kind)
        x -= 14


def _days(picture: Picture, labels: Sequence[str], left: float, right: float, y: float) -> None:
    """The days below a chart, as many as there is room for."""
    pitch = (right - left) / max(1, len(labels))
    widest = max([46.0, *(width_of(shortened(label, LABEL_MAX_CHARS)) for label in labels)])
    for index in range(0, len(labels), math.ceil(widest / pitch)):
        label = shortened(labels[index], LABEL_MAX_CHARS)
        picture.text(left + (index + 0.5) * pitch, y + 4, label, "small quiet", "middle")


def _label_width(labels: Sequence[str]) -> float:
    return max([60.0, *(width_of(shortened(label, LABEL_MAX_CHARS)) for label in labels)]) + 14


def _last(one: Series) -> float:
    """The last value that is known; where none is, more than any."""
    return next((value for value in reversed(one.values) if value is not None), math.inf)


def _apart(wanted: Sequence[float], top: float, bottom: float) -> list[float]:
    """Heights for lines of text near those wanted, in their order, and far enough apart to be read."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    found = list(wanted)
    limit = top
    for index in order:
        found[index] = limit = max(limit, wanted[index])
        limit += LINE_PX
    limit = bottom
    for index in reversed(order):
        found[index] = limit = min(limit, found[index])
        limit -= LINE_PX
    return found


def _share(one: Series, translate: Translate) -> str:
    _ = translate
    value = _last(one)
    return _("unknown") if value == math.inf else f"{math.floor(value * 1000 + 1e-6) / 10:.1f} %"
