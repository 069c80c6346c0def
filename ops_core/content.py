"""Where the shipped checks, remediations and templates lie: in the installed package, or beside it in a checkout."""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def content_dir() -> Path:
    """The folder that holds `checks/`, `remediations/`, `templates/` and the shipped `ops.toml`."""
    package = Path(__file__).resolve().parent
    packaged = package / "content"
    return packaged if packaged.is_dir() else package.parent


def own_templates(root: Path | None) -> Path | None:
    """The templates of a repository's own; None where it has none, or is the shipped one."""
    if root is None or not (own := root / "templates").is_dir():
        return None
    return None if own.resolve() == (content_dir() / "templates").resolve() else own
