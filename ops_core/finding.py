"""The stable code that a failing check stands for.

Codes are `subject.state` in lower case: `guard.open`, `stream.silent`. They are contracts: decision tables, reports and
people rely on them, so a code is never renamed, only retired.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ops_core.errors import UsageError

CODE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
MARK = "finding"

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One code raised about one target (None: about no target in particular) by one check."""

    code: str
    target: str | None
    check: str
    evidence: tuple[str, ...] = ()
    expected: str = ""
    seen: str = ""
    where: str = ""


def valid_code(code: object) -> bool:
    """Whether `code` has the form of a finding code."""
    return isinstance(code, str) and CODE.fullmatch(code) is not None


def finding(code: str) -> Callable[[F], F]:
    """Decorate a check with the code that its failure stands for.

    Raises:
        UsageError: `code` is not of the form `subject.state`.
    """
    if not valid_code(code):
        raise UsageError(
            f"{code!r} is not a finding code",
            where='@finding("…")',
            allowed="lower-case words joined by dots, such as guard.open",
        )

    def mark(check: F) -> F:
        import pytest

        marked: F = getattr(pytest.mark, MARK)(code)(check)
        return marked

    return mark
