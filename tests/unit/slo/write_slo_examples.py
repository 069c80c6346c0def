"""Write the reports under `reports/examples/slo` again from the month of drills: `python write_slo_examples.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from month import period, rehearse, told  # noqa: E402 - as a script it has to say first where our modules are

from ops_core.config import LANGUAGES  # noqa: E402 - the same
from ops_core.slo.documents import documents  # noqa: E402 - the same

EXAMPLES = ROOT / "reports" / "examples" / "slo"


def examples(world):
    """Every example document by its path below `reports/examples/slo`."""
    return {
        f"{lang}/{wanted.key}/{name}": text
        for lang in LANGUAGES
        for wanted in (period(world, "month", "2026-11"), period(world, "week", "2026-W47"))
        for name, text in documents(told(world, wanted), lang).items()
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for path, text in examples(rehearse(Path(folder))).items():
            file = EXAMPLES / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
