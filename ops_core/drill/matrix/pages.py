"""What people look at after a matrix run: one document for programs, one for a terminal or a forge, one page."""

from __future__ import annotations

from pathlib import Path

from ops_core.drill.matrix.grid import MatrixView
from ops_core.drill.matrix.results import json_text
from ops_core.observation.journal import write_together
from ops_core.report.page import render_page
from ops_core.report.render import render

JSON_FILE = "matrix.json"
MARKDOWN_FILE = "matrix.md"
PAGE_FILE = "matrix.html"
MARKDOWN = "drill_matrix.md.j2"
PAGE = "drill_matrix.html.j2"


def write_pages(folder: Path, view: MatrixView, *, lang: str, templates: Path | None = None) -> tuple[Path, ...]:
    """Write all three into the folder of the run; each is there whole or as it was before.

    Args:
        folder: of the run.
        view: what is shown.
        lang: the language to write in.
        templates: the user's own folder of templates.

    Raises:
        TemplateBroken: a template cannot be followed.
        OpsError: a file cannot be written.
    """
    texts = {
        JSON_FILE: json_text(view.to_json()),
        MARKDOWN_FILE: render(MARKDOWN, {"view": view}, lang=lang, templates=templates),
        PAGE_FILE: render_page(PAGE, {"view": view}, lang=lang, templates=templates),
    }
    return write_together(folder, texts, "the matrix")
