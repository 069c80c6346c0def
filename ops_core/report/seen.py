"""What the terminal and the reports both show: findings, what was not seen, and texts in several languages.

Apart from the incident because the summary of every observation needs these, and not the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ops_core.report.language import SOURCE

Text = Mapping[str, str]


def said(text: Text, lang: str) -> str:
    """`text` in `lang`, else in English, else in the first language it has, else nothing."""
    return text.get(lang) or text.get(SOURCE) or next((text[key] for key in sorted(text)), "")


@dataclass(frozen=True, kw_only=True)
class FindingView:
    """One thing seen to be bad."""

    code: str
    target: str | None
    check: str
    expected: str
    seen: str
    where: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UnknownView:
    """One thing that could not be seen: the code of the check that had to do without, and why."""

    code: str
    target: str | None
    reason: str
    evidence: tuple[str, ...]
