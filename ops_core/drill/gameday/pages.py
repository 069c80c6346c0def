"""What people read after a game day: the same as its JSON, in Markdown, in their language."""

from __future__ import annotations

from pathlib import Path

from ops_core.drill.gameday.results import JSON_FILE, GameDay
from ops_core.observation.journal import write_together
from ops_core.report.render import render

MARKDOWN_FILE = "gameday.md"
MARKDOWN = "drill_gameday.md.j2"


def write_pages(folder: Path, day: GameDay, *, lang: str, templates: Path | None = None) -> tuple[Path, ...]:
    """Write the page beside the JSON that is there already.

    Args:
        folder: of the game day.
        day: what came of it.
        lang: the language to write in.
        templates: the user's own folder of templates.

    Raises:
        TemplateBroken: a template cannot be followed.
        OpsError: the file cannot be written.
    """
    text = render(MARKDOWN, {"day": day.to_json(), "problems": list(day.problems)}, lang=lang, templates=templates)
    return (*write_together(folder, {MARKDOWN_FILE: text}, "the page"), folder / JSON_FILE)
