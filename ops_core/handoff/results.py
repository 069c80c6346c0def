"""The results that a producer hands over: found by their patterns, read once, and looked at before they are signed.

What is signed is what was read: nothing is read a second time. Results that nobody made lately are not handed over as
new, because a signature says more about them than they deserve.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

from ops_core.errors import OpsError
from ops_core.handoff.model import FILE_MAX_BYTES, FILES_MAX, TOTAL_MAX_BYTES, BundleFile, clash_in, fit_path
from ops_core.operations import HandoffTable

LOOKED_AT_MAX = 20_000
# File systems of other systems know the time to two seconds.
TICK_S = 2.0
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Result:
    """One file of the results as it was read: its path, its content, and when it was written (seconds since 1970)."""

    path: str
    data: bytes
    written_at: float

    @property
    def file(self) -> BundleFile:
        """As it stands in a manifest."""
        return BundleFile(path=self.path, size=len(self.data), sha256=hashlib.sha256(self.data).hexdigest())


def collect(handoff: HandoffTable) -> tuple[Result, ...]:
    """The results that the patterns name, in the order of their paths.

    Raises:
        OpsError: there are none, or one of them cannot be handed over; the message names it.
    """
    names = sorted(name for name in _names(handoff.results) if any(_matches(name, one) for one in handoff.files))
    if not names:
        _wrong(handoff, "there are no results", f"files that match {', '.join(handoff.files)}")
    if len(names) > FILES_MAX:
        _wrong(handoff, f"there are {len(names)} results", f"at most {FILES_MAX}; choose them with `files`")
    for name in names:
        if not fit_path(name):
            _wrong(
                handoff,
                f"the name {name[:80]!r} cannot be handed over",
                "letters, digits, dot, dash and underscore in each name, joined by /",
            )
    if clash := clash_in(names):
        _wrong(
            handoff, f"{clash} cannot lie beside the other results everywhere", "names that differ by more than case"
        )
    found, total = [], 0
    for name in names:
        found.append(_read(handoff, name))
        total += len(found[-1].data)
        if total > TOTAL_MAX_BYTES:
            _wrong(handoff, "the results are too large", f"at most {TOTAL_MAX_BYTES // 1024**2} MiB together")
    return tuple(found)


def check(handoff: HandoffTable, found: tuple[Result, ...]) -> None:
    """Look whether the results are what they have to be: whole, not empty, of the schema that is asked for.

    Raises:
        OpsError: naming the first that is not.
    """
    by_path = {one.path: one for one in found}
    wanted = [*handoff.schemas, *([handoff.decision_file] if handoff.decision_file else [])]
    for name in wanted:
        if name not in by_path:
            _wrong(handoff, f"{name} is not among the results", "it is asked for by `schemas` or `decision_file`")
    for one in found:
        if not one.data:
            _wrong(handoff, f"{one.path} is empty", "results with something in them")
        told = _json(handoff, one) if one.path.lower().endswith(".json") or one.path in wanted else None
        schema = handoff.schemas.get(one.path)
        if schema is not None and (not isinstance(told, Mapping) or told.get("schema") != schema):
            _wrong(handoff, f"{one.path} is not of the schema {schema}", f'"schema": "{schema}" in it')
        if one.path == handoff.decision_file and (not isinstance(told, Mapping) or handoff.decision_key not in told):
            _wrong(handoff, f"{one.path} says nothing under {handoff.decision_key!r}", "the decision of the day")


def check_made(handoff: HandoffTable, found: tuple[Result, ...], *, since: float) -> tuple[str, ...]:
    """The results that were not written since an instant (seconds since 1970); refuse them where none was.

    Raises:
        OpsError: none of them was.
    """
    old = tuple(one.path for one in found if one.written_at < since - TICK_S)
    if len(old) == len(found):
        what = "the steps wrote none of the results" if handoff.steps else "nobody wrote any of the results lately"
        _wrong(handoff, f"{what}: they would be handed over as new, and they are not", "results of this run")
    return old


def _names(results: Path) -> list[str]:
    """The paths of everything in the folder that is no folder; links are never followed."""
    found: list[str] = []

    def fail(error: OSError) -> NoReturn:
        raise OpsError(f"nothing is published: the results cannot be read: {error.strerror}", where=str(results))

    for where, folders, files in os.walk(results, followlinks=False, onerror=fail):
        linked = [name for name in folders if (Path(where) / name).is_symlink()]
        below = Path(where).relative_to(results)
        found += [(below / name).as_posix() for name in (*files, *linked)]
        folders[:] = [name for name in folders if name != ".git"]
        if len(found) > LOOKED_AT_MAX:
            raise OpsError(
                "there are too many files to look through", where=str(results), allowed=f"{LOOKED_AT_MAX} in `results`"
            )
    return found


def _matches(path: str, pattern: str) -> bool:
    """Whether the pattern names that path: part for part, `**` standing for any number of folders."""
    return _match(path.split("/"), pattern.split("/"))


def _match(parts: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_match(parts[at:], patterns[1:]) for at in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _match(parts[1:], patterns[1:])


def _read(handoff: HandoffTable, name: str) -> Result:
    try:
        with os.fdopen(os.open(handoff.results / name, _READ), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                _wrong(handoff, f"{name} is no plain file", "files; no link, no pipe")
            data = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        why = "it is a symbolic link" if (handoff.results / name).is_symlink() else str(error.strerror)
        _wrong(handoff, f"{name} cannot be read: {why}", "files; no link, no pipe")
    if len(data) > FILE_MAX_BYTES:
        _wrong(handoff, f"{name} is too large", f"at most {FILE_MAX_BYTES // 1024**2} MiB")
    return Result(path=name, data=data, written_at=found.st_mtime)


def _json(handoff: HandoffTable, one: Result) -> Any:
    def constant(word: str) -> NoReturn:
        raise ValueError(word)

    try:
        told = json.loads(one.data.decode("utf-8"), parse_constant=constant)
    except (ValueError, RecursionError):
        _wrong(handoff, f"{one.path} is no whole JSON document", "JSON in UTF-8; no NaN, no Infinity")
    if told is None or told in ("", {}, []):
        _wrong(handoff, f"{one.path} says nothing", "JSON with something in it")
    return told


def _wrong(handoff: HandoffTable, what: str, allowed: str) -> NoReturn:
    raise OpsError(f"nothing is published: {what}", where=str(handoff.results), allowed=allowed)
