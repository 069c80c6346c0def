"""Write the reports under `reports/examples` again from the incident that lies there: `python write_examples.py`."""

from __future__ import annotations

from report_views import EXAMPLES, SHIPPED, example

from ops_core.config import LANGUAGES
from ops_core.report.render import render_incident


def documents() -> dict[str, str]:
    """Every example document by its path below `reports/examples`."""
    return {
        f"{lang}/{name.removesuffix('.j2')}": render_incident(example(), name, lang=lang)
        for lang in LANGUAGES
        for name in SHIPPED
    }


if __name__ == "__main__":
    for path, text in documents().items():
        file = EXAMPLES / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
