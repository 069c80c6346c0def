"""Takes the shell out of files: whole scripts, and the fenced blocks of Markdown. Lines keep their numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ops_core.errors import OpsError, UsageError

FILE_MAX_BYTES = 1 << 20
FILES_MAX = 5000
SCRIPTS = {".sh", ".bash", ".ksh"}
DOCUMENTS = {".md", ".markdown"}
LANGUAGES = {"", "sh", "bash", "shell", "zsh", "ksh", "console", "shell-session", "sh-session", "terminal"}
PROMPTED = {"console", "shell-session", "sh-session", "terminal"}
_SHEBANG = re.compile(rb"#!.*\b(ba|da|k|z)?sh\b")
_PROMPT = re.compile(r"^\s*(?:\S*[$#]|>) ")
_COMMENT = re.compile(r"^<!--\s*(ops-lint:.*?)\s*-->\s*$")


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A passage of shell: its text, the line of the file that stands before it, and what is suppressed in all of it."""

    path: str
    text: str
    before: int = 0
    whole: bool = True
    suppressions: tuple[tuple[int, str], ...] = field(default=())

    @cached_property
    def lines(self) -> list[str]:
        """The text by lines."""
        return self.text.split("\n")


def files_in(paths: Iterable[Path]) -> list[Path]:
    """Every script and document among these, those in folders included; each once, in the order of their names.

    Raises:
        UsageError: one is not there, there are none at all, or too many.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path)))
        elif path.exists():
            found[path] = None
        else:
            raise UsageError("there is no such file", where=str(path), allowed="scripts, Markdown files, or folders")
        if len(found) > FILES_MAX:
            raise UsageError(f"more than {FILES_MAX} files", where=str(path), next_step="name a smaller folder")
    if not found:
        raise UsageError(
            "there is nothing to look at",
            where=", ".join(map(str, paths)),
            allowed="files that end in .sh, .bash or .md, or begin with #!/bin/sh",
        )
    return list(found)


def passages_of(path: Path) -> list[Passage]:
    """The shell in a file; none in a document without any.

    Raises:
        OpsError: the file cannot be read, is too large, or is no text.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise OpsError(f"the file cannot be read: {error.strerror}", where=str(path)) from None
    if len(raw) > FILE_MAX_BYTES:
        raise OpsError(f"the file is larger than {FILE_MAX_BYTES // 1024} KiB", where=str(path))
    if b"\0" in raw:
        raise OpsError("the file is no text", where=str(path))
    text = raw.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    if path.suffix.lower() in DOCUMENTS:
        return list(_blocks(str(path), text))
    return [Passage(path=str(path), text=text)]


def _below(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(
            one for one in folders if not one.startswith(".") and one not in {"node_modules", "__pycache__"}
        )
        for name in sorted(names):
            path = Path(where) / name
            suffix = path.suffix.lower()
            if suffix in SCRIPTS | DOCUMENTS or (not suffix and _is_script(path)):
                yield path


def _is_script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return path.is_file() and bool(_SHEBANG.match(file.readline(200)))
    except OSError:
        return False


def _blocks(path: str, text: str) -> Iterator[Passage]:
    """The fenced blocks that hold shell, and how a comment right above one speaks of all of it."""
    from markdown_it import MarkdownIt

    above: tuple[int, str] | None = None
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block" and token.map is not None:
            match = _COMMENT.match(token.content.strip())
            above = (token.map[0] + 1, match[1]) if match else None
            continue
        if token.type == "fence" and token.map is not None:
            language = token.info.strip().partition(" ")[0].lower()
            if language in LANGUAGES:
                content = _typed(token.content) if language in PROMPTED else token.content
                yield Passage(
                    path=path,
                    text=content,
                    before=token.map[0] + 1,
                    whole=False,
                    suppressions=(above,) if above else (),
                )
        above = None


def _typed(session: str) -> str:
    """What a person typed in a session; what the programs said becomes empty lines."""
    lines, goes_on = [], False
    for line in session.split("\n"):
        prompt = _PROMPT.match(line)
        typed = " " * prompt.end() + line[prompt.end() :] if prompt else line if goes_on else ""
        goes_on = typed.rstrip().endswith("\\")
        lines.append(typed)
    return "\n".join(lines)
