"""What people read after healthy rounds: the same as its JSON, in Markdown, in their language."""

from __future__ import annotations

from pathlib import Path

from ops_core.drill.healthy.results import JSON_FILE, Healthy
from ops_core.observation.journal import write_together
from ops_core.report.render import render

MARKDOWN_FILE = "healthy.md"
MARKDOWN = "drill_healthy.md.j2"


def write_pages(folder: Path, rounds: Healthy, *, lang: str, templates: Path | None = None) -> tuple[Path, ...]:
    """Write the page beside the JSON that is there already.

    Args:
        folder: of the run.
        rounds: what came of it.
        lang: the language to write in.
        templates: the user's own folder of templates.

    Raises:
        TemplateBroken: a template cannot be followed.
        OpsError: the file cannot be written.
    """
    text = render(MARKDOWN, {"run": rounds.to_json()}, lang=lang, templates=templates)
    return (*write_together(folder, {MARKDOWN_FILE: text}, "the page"), folder / JSON_FILE)
