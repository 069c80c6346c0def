"""What a file at a mirror's place means: as it must be, not yet exported, or changed by somebody. Pure.

An export notes the digests that a mirror may have before it writes, and the one that it has after. So a crash at any
point leaves a file that the note knows, and everything that it does not know was put there by somebody else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from ops_core.control.integrity.looking import ABSENT, FILE, FILE_MODE, LINK, Seen, printable

EQUAL, PENDING, TAMPERED = "equal", "pending", "tampered"
NOTHING = "-"  # stands among the known digests for a mirror that is not there yet
KNOWN_MAX = 32
TELL_MAX_CHARS = 120


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What was found at one mirror's place.

    Attributes:
        path: of the mirror, with the word of its folder in front.
        state: "equal", "pending" or "tampered".
        what: edited, deleted, added, replaced …; why it is not equal.
        first_difference: the first field or line that differs, as far as it can be told.
        digest: of what was found.
        changed_at: its modification time; whoever changed the file may have set that as well.
        owner: user id of who owns what was found, -1 where nothing is there.
    """

    path: str
    state: str
    what: str = ""
    first_difference: str = ""
    digest: str = ""
    changed_at: str = ""
    owner: int = -1


def digest_of(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def known_of(noted: str) -> tuple[str, ...]:
    """The digests that a mirror may have, from its note."""
    return tuple(noted.split())


def noted_with(known: Iterable[str], more: str) -> str:
    """The note once the mirror may have one more digest; the oldest ones are forgotten."""
    kept = [one for one in dict.fromkeys(known) if one != more]
    return " ".join([*kept, more][-KNOWN_MAX:])


def judge(path: str, expected: bytes | None, noted: str | None, seen: Seen, owner: int) -> Judgement:
    """What is at a mirror's place.

    Args:
        path: the mirror.
        expected: what it has to hold now; None where there must be no such file.
        noted: the note of the last export; None where it was never exported.
        seen: what was found.
        owner: the user id that the file must have.
    """
    if expected is None:
        if seen.kind == ABSENT:
            return Judgement(path=path, state=EQUAL)
        return _tampered(path, seen, "added: no record of the store is shown there")
    if seen.kind not in {FILE, ABSENT}:
        return _tampered(path, seen, f"replaced by {_kind_in_words(seen)}")
    known, right = (NOTHING,) if noted is None else known_of(noted), digest_of(expected)
    if seen.kind == ABSENT:
        if NOTHING in known:
            return Judgement(path=path, state=PENDING, what="not yet exported")
        return _tampered(path, seen, "deleted")
    if seen.digest not in {right, *known}:
        what = "edited" if noted is not None else "there before its first export, with another content"
        return _tampered(path, seen, what, first_difference(expected, seen.data, seen.size))
    if around := _around(seen, owner):
        return _tampered(path, seen, around)
    if seen.digest != right:
        return Judgement(path=path, state=PENDING, what="older: not yet exported anew", digest=seen.digest)
    return Judgement(path=path, state=EQUAL, digest=seen.digest)


def _around(seen: Seen, owner: int) -> str:
    """What is wrong with a file whose content is right."""
    if seen.links != 1:
        return f"a hard link: the file has {seen.links} names"
    if seen.owner != owner:
        return f"its owner is user {seen.owner}, not {owner}"
    return "" if seen.mode == FILE_MODE else f"its mode is {seen.mode:04o}, not {FILE_MODE:04o}"


def first_difference(expected: bytes, data: bytes, size: int) -> str:
    """The first field, line or byte in which what was found differs from what must be there."""
    if expected[:1] == b"{" and expected.count(b"\n{") == 0:
        told = _fields(expected, data)
        if told:
            return told
    return _lines(expected, data, size)


def _fields(expected: bytes, data: bytes) -> str:
    try:
        want, got = json.loads(expected), json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(want, dict) or not isinstance(got, dict):
        return "it is no JSON object"
    if 0 < _seq(got) < _seq(want):
        return f"an older copy: it shows audit row {_seq(got)}, not {_seq(want)}"
    for name in sorted({*want, *got}, key=lambda one: (one not in want, one)):
        if name not in got:
            return f"{_short(name)} is missing"
        if name not in want:
            return f"{_short(name)} was added"
        if want[name] != got[name] or type(want[name]) is not type(got[name]):
            return f"{_short(name)} is {_short(json.dumps(got[name]))} instead of {_short(json.dumps(want[name]))}"
    return "the same fields, written in another way"


def _seq(told: dict[str, object]) -> int:
    """The audit row that a mirror shows; 0 where it names none."""
    found = told.get("checkpoint")
    seq = found.get("seq") if isinstance(found, dict) else None
    return seq if type(seq) is int else 0


def _lines(expected: bytes, data: bytes, size: int) -> str:
    want, got = expected.splitlines(keepends=True), data.splitlines(keepends=True)
    if size < len(expected) and expected.startswith(data):
        return f"cut after {len(got)} of {len(want)} lines" if data.endswith(b"\n") else f"cut in line {len(got)}"
    if data.startswith(expected):
        return f"line {len(want) + 1} was added"
    number = next(i for i in range(len(want) + 1) if i >= min(len(want), len(got)) or want[i] != got[i])
    if sorted(want) == sorted(got):
        return f"lines in another order from line {number + 1} on"
    tag = next(
        (
            one
            for one in SequenceMatcher(
                None, want[number : number + 50], got[number : number + 50], autojunk=False
            ).get_opcodes()
            if one[0] != "equal"
        ),
        ("replace",),
    )[0]
    word = {"delete": "was removed", "insert": "was added before it", "replace": "was changed"}[tag]
    return f"line {number + 1} {word}"


def _tampered(path: str, seen: Seen, what: str, difference: str = "") -> Judgement:
    return Judgement(
        path=path,
        state=TAMPERED,
        what=what,
        first_difference=difference,
        digest=seen.digest,
        changed_at=seen.changed_at,
        owner=seen.owner,
    )


def _kind_in_words(seen: Seen) -> str:
    words = {LINK: "a symbolic link", "folder": "a folder", "other": "a pipe, a socket or a device"}
    said = words.get(seen.kind, "something that cannot be read")
    return f"{said} ({seen.why})" if seen.why else said


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= TELL_MAX_CHARS else f"{shown[:TELL_MAX_CHARS]}…"
