"""What a person at a terminal reads: pure functions from data to lines, with no output of their own.

The verdict comes last, because that is where the eye is when a command ends; above it stands what it rests on. Colour
is spent on meaning alone (the verdict, what was bad, what to type), and everything that came from a target is shown,
never obeyed. Lines are laid out by terminal columns, so that Korean lines up as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ops_core.report import words
from ops_core.report.language import N_, plural, translator
from ops_core.report.seen import FindingView, Text, UnknownView, said
from ops_core.report.text import ascii_only, display_width, duration, pad, shortened, visible, wrap
from ops_core.verdict import Verdict

WIDTH_MIN = 40
WIDTH_MAX = 120
VALUE_MAX = 600
LISTED_MAX = 20

BOLD, RED, GREEN, YELLOW = "1", "31", "32", "33"
_VERDICT_STYLE = {
    Verdict.HEALTHY: f"{BOLD};{GREEN}",
    Verdict.UNHEALTHY: f"{BOLD};{RED}",
    Verdict.UNKNOWN: f"{BOLD};{YELLOW}",
    Verdict.SKIPPED: f"{BOLD};{YELLOW}",
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """How to write: terminal columns, whether colour and more than ASCII can be shown, and the language.

    Where only ASCII can be shown the language is English, and other characters are written as escapes.
    """

    width: int = 80
    colour: bool = False
    unicode: bool = True
    lang: str = "en"

    @property
    def columns(self) -> int:
        """The columns to fill: wide terminals are not filled to the edge, narrow ones overflow."""
        return max(WIDTH_MIN, min(WIDTH_MAX, self.width))

    @property
    def spoken(self) -> str:
        """The language that can be shown."""
        return self.lang if self.unicode else "en"

    def clean(self, text: str) -> str:
        """`text` from elsewhere as one line that acts on nothing."""
        shown = shortened(visible(text), VALUE_MAX)
        return shown if self.unicode else ascii_only(shown)

    def paint(self, text: str, style: str) -> str:
        """`text` in a style, where there is colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour and style and text else text


@dataclass(frozen=True, kw_only=True)
class Row:
    """A label and its value. A value that is meant to be copied is never broken into lines."""

    label: str
    value: str
    style: str = ""
    copied: bool = False


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What was decided about one target: severity by key of `words.SEVERITIES`, and the command to type, if any.

    `dependents` are the targets that fail because of this one, each with its codes.
    """

    target: str | None
    cause: Text
    severity: str
    action: Text
    command: str
    dependents: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an observation came to. Counts are checks; `advice` is ordered by urgency, the most urgent first.

    `command` is what to type next where no advice says so; `notes` are said above the time.
    """

    verdict: Verdict
    good: int
    bad: int
    unknown: int
    skipped: int
    findings: tuple[FindingView, ...]
    unseen: tuple[UnknownView, ...]
    advice: tuple[Advice, ...]
    used_s: float
    total_s: float
    record: str
    interrupted: str = ""
    command: str = ""
    notes: tuple[str, ...] = ()


def verdict_lines(result: Result, look: Look) -> list[str]:
    """The end of an observation: what was bad, what was not seen, and the verdict with what to do next."""
    _ = translator(look.spoken)
    lines: list[str] = []
    for title, block in (
        (
            _("findings"),
            _listed([_finding_lines(f, look) for f in result.findings[:LISTED_MAX]], result.findings, look),
        ),
        (_("not seen"), _listed([_unseen_lines(u, look) for u in result.unseen[:LISTED_MAX]], result.unseen, look)),
    ):
        if block:
            lines += [f" {title}", *block, ""]
    verdict = _(words.VERDICTS[result.verdict])
    head = Row(label=_("VERDICT"), value=f"{verdict}   {_tally(result, look)}")
    rows = [*_advice_rows(result, look), *_closing_rows(result, look)]
    return [*lines, *with_head(head, _VERDICT_STYLE[result.verdict], rows, look)]


def label_lines(rows: Iterable[Row], look: Look, *, label_width: int = 0) -> list[str]:
    """Labels and values in two columns; long values go on below themselves.

    Args:
        rows: what to write; everything in it is cleaned.
        look: how to write.
        label_width: the least number of columns for the labels.
    """
    cleaned = [(look.clean(row.label), row) for row in rows]
    labels = max([label_width, *(display_width(label) for label, _ in cleaned)])
    room = max(WIDTH_MIN // 2, look.columns - labels - 4)
    lines = []
    for label, row in cleaned:
        value = look.clean(row.value)
        parts = [value] if row.copied else wrap(value, room)
        for number, part in enumerate(parts):
            lead = pad(label if number == 0 else "", labels)
            lines.append(f" {lead}   {look.paint(part.rstrip(), row.style)}".rstrip())
    return lines


def with_head(head: Row, style: str, rows: Sequence[Row], look: Look) -> list[str]:
    """The block under its headline, whose first word carries the colour."""
    lines = label_lines([head, *rows], look)
    word = look.clean(head.value.split("   ")[0])
    at = lines[0].find(word, 1 + len(look.clean(head.label)))
    if at > 0:
        lines[0] = f"{lines[0][:at]}{look.paint(word, style)}{lines[0][at + len(word) :]}"
    return lines


def _tally(result: Result, look: Look) -> str:
    _, ngettext = translator(look.spoken), plural(look.spoken)
    total = result.good + result.bad + result.unknown
    if total == 0:
        return _("no check judged anything")
    parts = []
    if result.bad:
        told = ngettext("%(bad)s of %(num)s check failed", "%(bad)s of %(num)s checks failed", total)
        parts.append(told % {"bad": result.bad, "num": total})
    if result.unknown:
        parts.append(_("%(num)s not seen") % {"num": result.unknown})
    if not parts:
        parts.append(ngettext("%(num)s check passed", "all %(num)s checks passed", total) % {"num": total})
    if result.skipped:
        parts.append(_("%(num)s skipped") % {"num": result.skipped})
    return ", ".join(parts)


def _advice_rows(result: Result, look: Look) -> list[Row]:
    _ = translator(look.spoken)
    if not result.advice:
        return [Row(label=_("type"), value=result.command, style=BOLD, copied=True)] if result.command else []
    first, *others = result.advice
    rows = [Row(label=_("target"), value=first.target)] if first.target else []
    rows.append(Row(label=_("cause"), value=said(first.cause, look.spoken) or _("not known")))
    rows += _dependent_rows(first, look)
    rows.append(severity_row(first.severity, look))
    rows.append(Row(label=_("action"), value=said(first.action, look.spoken) or _("a person decides")))
    if first.command:
        rows.append(Row(label=_("type"), value=first.command, style=BOLD, copied=True))
    for other in others[:LISTED_MAX]:
        urgency = _(words.SEVERITIES[other.severity])
        told = f"{other.target or '-'}: {said(other.cause, look.spoken) or _('not known')} ({urgency})"
        rows += [Row(label=_("also"), value=told), *_dependent_rows(other, look)]
    if len(others) > LISTED_MAX:
        rows.append(Row(label=_("also"), value=_("%(num)s more in the record") % {"num": len(others) - LISTED_MAX}))
    return rows


def _dependent_rows(advice: Advice, look: Look) -> list[Row]:
    if not advice.dependents:
        return []
    _ = translator(look.spoken)
    listed = "; ".join(f"{target} {', '.join(codes)}" for target, codes in advice.dependents)
    told = _("because of %(target)s: %(findings)s") % {"target": advice.target or "-", "findings": listed}
    return [Row(label=_("dependents"), value=told)]


def _closing_rows(result: Result, look: Look) -> list[Row]:
    _ = translator(look.spoken)
    rows = []
    if result.interrupted:
        rows.append(Row(label=_("ended"), value=result.interrupted, style=YELLOW))
    rows += [Row(label=_("note"), value=note) for note in result.notes]
    rows.append(Row(label=_("time"), value=spent(result.used_s, result.total_s, _)))
    if result.record:
        rows.append(Row(label=_("record"), value=result.record, copied=True))
    return rows


def severity_row(severity: str, look: Look) -> Row:
    """How urgent it is, and what that asks of the reader."""
    _ = translator(look.spoken)
    told = f"{_(words.SEVERITIES[severity])} ({_(words.URGENCY[severity])})"
    return Row(label=_("severity"), value=told, style=RED if severity == "critical" else "")


def spent(used_s: float, total_s: float, translate: Callable[[str], str]) -> str:
    """`3.2 s of 60 s`."""
    used, total = duration(used_s, translate, 1), duration(total_s, translate, 1)
    return translate(N_("%(used)s of %(total)s")) % {"used": used, "total": total}


def _listed(blocks: Sequence[list[str]], everything: Sequence[object], look: Look) -> list[str]:
    lines = [line for block in blocks for line in block]
    if len(everything) > len(blocks):
        told = translator(look.spoken)(N_("%(num)s more in the record"))
        lines.append(f"   {told % {'num': len(everything) - len(blocks)}}")
    return lines


def _finding_lines(finding: FindingView, look: Look) -> list[str]:
    _ = translator(look.spoken)
    rows = [
        Row(label=_("expected"), value=finding.expected),
        Row(label=_("seen"), value=finding.seen),
        Row(label=_("where"), value=finding.where, copied=True),
    ]
    return [_title(finding.code, finding.target, RED, look), *_indented(rows, look)]


def _unseen_lines(unknown: UnknownView, look: Look) -> list[str]:
    row = Row(label=translator(look.spoken)(N_("why")), value=unknown.reason)
    return [_title(unknown.code, unknown.target, YELLOW, look), *_indented([row], look)]


def _title(code: str, target: str | None, style: str, look: Look) -> str:
    return f"   {look.paint(look.clean(code), style)}   {look.clean(target or '')}".rstrip()


def _indented(rows: Sequence[Row], look: Look) -> list[str]:
    narrower = Look(width=look.columns - 4, colour=look.colour, unicode=look.unicode, lang=look.lang)
    return [f"    {line}" for line in label_lines([row for row in rows if row.value], narrower)]
