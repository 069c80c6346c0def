"""What a command says: text for people, one JSON document for programs, errors in the same four parts for both."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_core.errors import OpsError

if TYPE_CHECKING:
    from ops_core.report.terminal import Look

TEXT_MIN_COLUMNS = 20  # below that, broken lines are harder to read than those that the terminal breaks


def say(text: str = "") -> None:
    """One line for a person."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """The one JSON document of a command called with `--json`."""
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    # A name of a file may hold what no encoding has; JSON has an escape for it.
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def note(text: str) -> None:
    """Something that is not the answer: progress, a warning."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Story:
    """Tells what happens while it happens: each line with the seconds since the beginning, details below it.

    Args:
        now: monotonic seconds.
        write: takes each finished line.
    """

    def __init__(self, now: Callable[[], float], write: Callable[[str], None] = say) -> None:
        self._now = now
        self._write = write
        self._started = now()

    def __call__(self, line: str) -> None:
        """One line; an indented one belongs to the line before."""
        stamp = " " * 8 if line.startswith(" ") else f"{self._now() - self._started:6.1f} s"
        self._write(f"{stamp}  {line}".rstrip())


def fail(error: OpsError, *, as_json: bool) -> int:
    """Tell an error and return its exit code."""
    if as_json:
        say_json({**error.as_dict(), "exit_code": error.exit_code})
    else:
        from ops_core.report.text import visible

        # Names of files and words of others stand in errors: they must not steer the terminal.
        note("\n".join(visible(line) for line in f"ops: {error}".split("\n")))
    return error.exit_code


def counted(number: int, what: str) -> str:
    """`1 incident`, `2 incidents`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def table(rows: list[tuple[str, ...]], indent: str = "  ") -> list[str]:
    """Rows with aligned columns; the last column is left as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)] if rows else []
    return [
        indent + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def say_table(rows: list[tuple[str, ...]], indent: str = "") -> None:
    """Rows with aligned columns; at a terminal, what is too long in the last one goes on below its own beginning."""
    for row, line in zip(rows, table(rows, indent), strict=True):
        say_row(row, line)


def say_row(row: tuple[str, ...], line: str) -> None:
    """One of the lines that `table` made of these rows, fitted like all of them."""
    last = row[-1].rstrip()
    say_fitted(line.removesuffix(last), last)


def say_fitted(head: str, text: str) -> None:
    """A line whose `text`, where somebody looks and it is too long for the terminal, goes on below its own beginning.

    What is read by a program, or meant to be copied as a whole, is not broken: use `say`.
    """
    from ops_core.report.text import display_width, wrap

    room = _columns() - display_width(head)
    lines = wrap(text, room) if TEXT_MIN_COLUMNS <= room < display_width(text) else [text]
    say(head + lines[0])
    for line in lines[1:]:
        say(" " * display_width(head) + line)


def say_cut(line: str) -> None:
    """A line of a list; at a terminal, what does not fit is left out, and an ellipsis says so."""
    from ops_core.report.text import display_width

    columns = _columns()
    if columns and display_width(line) > columns:
        while display_width(line) >= columns:
            line = line[:-1]
        line += "…"
    say(line)


def _columns() -> int:
    """The columns of the terminal; 0 where there is none."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 0


def look_for(lang: str) -> Look:
    """How to write to the terminal that we have: colour and width only where somebody looks."""
    import os
    import shutil

    from ops_core.report.terminal import Look

    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding = str(getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    width = shutil.get_terminal_size((100, 24)).columns if terminal else 100
    return Look(width=width, colour=colour, unicode=encoding.startswith("utf"), lang=lang)


def shown(path: Path | None) -> str:
    """A path as short as it can be from here."""
    if path is None:
        return ""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
