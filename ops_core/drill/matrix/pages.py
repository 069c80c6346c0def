"""What people look at after a matrix run: one document for programs, one for a terminal or a forge, one page."""

from __future__ import annotations

import json
from pathlib import Path

from ops_core.drill.matrix.grid import MatrixView
from ops_core.errors import OpsError
from ops_core.observation.journal import write_atomically
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
        JSON_FILE: json.dumps(view.to_json(), ensure_ascii=False, indent=1) + "\n",
        MARKDOWN_FILE: render(MARKDOWN, {"view": view}, lang=lang, templates=templates),
        PAGE_FILE: render_page(PAGE, {"view": view}, lang=lang, templates=templates),
    }
    try:
        for name, text in texts.items():
            write_atomically(folder / name, text)
    except OSError as error:
        raise OpsError(f"the matrix cannot be written: {error.strerror}", where=str(folder)) from None
    return tuple(folder / name for name in texts)
