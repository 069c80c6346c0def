"""What migrations declare of themselves, read as text: a migration is never imported in order to look at it.

What one declares has to stand at the top of its file as a literal that is set once; anything else is no promise.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops_core.errors import CannotLook

FILES_MAX = 2000
FILE_MAX_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a migration says of itself. `before` is None where it follows none, or several; `digest` is of its bytes."""

    revision: str
    before: str | None
    follows: tuple[str, ...]
    several: bool
    reversible: bool
    data_safe: bool
    where: str
    digest: str


def script_folder(ini: Path) -> Path:
    """The folder of migrations that an `alembic.ini` names.

    Raises:
        CannotLook: it cannot be read, or names none.
    """
    import configparser

    parser = configparser.ConfigParser(defaults={"here": str(ini.parent)})
    try:
        with ini.open(encoding="utf-8") as file:
            parser.read_file(file)
        named = parser.get("alembic", "script_location")
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise CannotLook(f"the migrations are not known: {said}", where=str(ini)) from None
    return (ini.parent / named).resolve()


def declarations(folder: Path) -> dict[str, Declared]:
    """What every migration of a folder declares, by revision.

    Raises:
        CannotLook: there are too many, one is not Python, or two are the same revision.
    """
    found: dict[str, Declared] = {}
    files = sorted((folder / "versions").rglob("*.py"))
    if len(files) > FILES_MAX:
        raise CannotLook(f"more than {FILES_MAX} migrations", where=str(folder))
    for file in files:
        declared = _declared(file)
        if declared is None:
            continue
        if declared.revision in found:
            raise CannotLook(f"two migrations are the revision {declared.revision}", where=str(file))
        found[declared.revision] = declared
    return found


def heads_of(declared: Mapping[str, Declared]) -> tuple[str, ...]:
    """The revisions that no other one follows."""
    followed = {one for each in declared.values() for one in each.follows}
    return tuple(sorted(set(declared) - followed))


def _declared(file: Path) -> Declared | None:
    try:
        with file.open("rb") as opened:
            text = opened.read(FILE_MAX_BYTES + 1)
        if len(text) > FILE_MAX_BYTES:
            # What stands behind the cut might take back what stands before it.
            raise CannotLook(f"a migration cannot be read: it is larger than {FILE_MAX_BYTES} bytes", where=str(file))
        tree = ast.parse(text, filename=str(file))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = getattr(error, "strerror", None) or getattr(error, "msg", None) or str(error)
        raise CannotLook(f"a migration cannot be read: {said}", where=str(file)) from None
    said = _literals(tree)
    revision, before = said.get("revision"), said.get("down_revision")
    if not isinstance(revision, str):
        return None
    follows = tuple(one for one in (before if isinstance(before, tuple | list) else (before,)) if isinstance(one, str))
    return Declared(
        revision=revision,
        before=before if isinstance(before, str) else None,
        follows=follows,
        several=not (before is None or isinstance(before, str)) or "down_revision" not in said,
        # Exactly True: nothing that merely counts as true is a promise.
        reversible=said.get("reversible") is True,
        data_safe=said.get("data_safe") is True,
        where=str(file),
        digest=hashlib.sha256(text).hexdigest(),
    )


def _literals(tree: ast.Module) -> Mapping[str, Any]:
    """The names that a module sets to a literal, at its top and nowhere else: what is set twice says nothing."""
    times = Counter(name for node in ast.walk(tree) for name in _set_by(node))
    found: dict[str, Any] = {}
    for node in tree.body:
        names = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if len(names) != 1 or not isinstance(names[0], ast.Name) or times[names[0].id] != 1:
            continue
        try:
            found[names[0].id] = ast.literal_eval(node.value)  # type: ignore[attr-defined]  # an assignment has one
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            found[names[0].id] = ...
    return found


def _set_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.alias):
        return [node.asname or node.name]
    return [node.name] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else []
