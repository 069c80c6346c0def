"""What is wrong with a decision table or with the checks it decides on, gathered before anyone is told.

A person who repairs a table wants to see everything that is wrong with it at once, not one mistake per run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ops_core.errors import ConfigError

SHOWN_MAX = 50


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong: where (`file:line`), what, and what to do about it."""

    where: str
    what: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    next  {self.next_step}"


class TableError(ConfigError):
    """The decision table cannot be relied on. `problems` holds everything found, in the order of the files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        lines = [f"the decision table has {count} problem{'' if count == 1 else 's'}"]
        lines += [f"  {problem}" for problem in problems[:SHOWN_MAX]]
        if count > SHOWN_MAX:
            lines.append(f"  and {count - SHOWN_MAX} more")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)
