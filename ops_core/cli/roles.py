"""`ops roles`: who may do what, with the column of this host marked."""

from __future__ import annotations

import typer

from ops_core.cli.options import ConfigOption, JsonOption, LangOption, ProfileOption, language_of, settings_of
from ops_core.cli.output import say, say_fitted, say_json
from ops_core.cli.permitting import place_of
from ops_core.errors import EXIT_DONE
from ops_core.handoff.roles import OPERATOR, PRODUCER, TABLE, Line

WORDS = {
    "en": {"act": "ACT", PRODUCER: "PRODUCER", OPERATOR: "OPERATOR", "typed": "TYPED AS", True: "yes", False: "no"},
    "ko": {"act": "항목", PRODUCER: "PRODUCER", OPERATOR: "OPERATOR", "typed": "명령", True: "예", False: "아니오"},
}
NO_ROLE = {
    "en": "this host has no role: everything may be done here",
    "ko": "이 호스트에는 역할이 없습니다. 모든 작업을 할 수 있습니다",
}
THIS = {"en": "this host", "ko": "이 호스트"}


def register(app: typer.Typer, verb: str, line: str) -> None:
    """Add the verb to `ops`."""
    app.command(verb, help=line)(roles)


def roles(
    config: ConfigOption = None, profile: ProfileOption = None, lang: LangOption = None, json: JsonOption = False
) -> int:
    """Show the table; there is nothing to fail."""
    settings = settings_of(config, profile)
    language = language_of(settings, lang)
    if json:
        told = {"role": settings.role, "where": place_of(settings), "acts": [line.as_dict() for line in TABLE]}
        say_json(told)
        return EXIT_DONE
    words = WORDS[language]
    head = (
        str(words["act"]),
        *(f"{words[role]}*" if role == settings.role else str(words[role]) for role in (PRODUCER, OPERATOR)),
        str(words["typed"]),
    )
    for cells in _padded([head, *(_row(line, language) for line in TABLE)]):
        say_fitted("  ".join((*cells[:-1], "")), cells[-1])
    say()
    if settings.role is None:
        say(NO_ROLE[language])
    else:
        say(f'*  {THIS[language]}: role = "{settings.role}"  ({place_of(settings)})')
    return EXIT_DONE


def _padded(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows whose columns are as wide as a terminal shows them: a Korean letter takes two places."""
    from ops_core.report.text import display_width, pad

    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    return [(*(pad(cell, width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]) for row in rows]


def _row(line: Line, lang: str) -> tuple[str, ...]:
    def cell(role: str) -> str:
        limit = line.only.get(role, {}).get(lang, "")
        return limit or str(WORDS[lang][line.allowed[role]])

    return line.title[lang], cell(PRODUCER), cell(OPERATOR), ", ".join(line.commands)
