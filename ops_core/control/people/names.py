"""One spelling for each operator's name, so that two names that look alike cannot be two people."""

from __future__ import annotations

import unicodedata

from ops_core.errors import UsageError

NAME_MAX_CHARS = 64
ALLOWED = "1 to 64 letters of one script, ASCII digits, and - _ . @ inside; no blanks"
_JOINERS = frozenset("-_.@")
_DIGITS = frozenset("0123456789")
# What is written together in one language counts as one script.
_WRITTEN_TOGETHER = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)
# Small letters of other scripts that are drawn like Latin ones. A name of nothing else reads as a Latin name.
_LOOK_LATIN = frozenset(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u04bb\u0501\u051b\u051d\u0455\u04cf"
    "\u03bf\u03bd\u03c1\u03b9\u03b1\u03ba\u03c5\u0585\u057d\u0578\u0570"
)
# Latin letters in daily use; beyond them lie phonetic letters drawn like these.
_LATIN_RANGES = ((0x61, 0x7A), (0xDF, 0x17F), (0x1E00, 0x1EFF))
_LATIN_REFUSED = frozenset("\u0131\u0138\u017f")  # drawn like i, k and f


def fold_name(name: str) -> str:
    """The one spelling of an operator's name: compatibility forms and capitals folded, surrounding blanks gone.

    Raises:
        UsageError: it is empty or too long, holds what cannot be seen or typed, or mixes scripts.
    """
    if len(name) > 4 * NAME_MAX_CHARS:
        raise UsageError(f"a name of {len(name)} characters is too long", where="name", allowed=ALLOWED)
    folded = _fold(name.strip(" "))
    if not 1 <= len(folded) <= NAME_MAX_CHARS:
        raise UsageError(f"a name of {len(folded)} characters cannot be", where="name", allowed=ALLOWED)
    problem = _problem(folded)
    if problem:
        raise UsageError(f"the name {name!a} cannot be: {problem}", where="name", allowed=ALLOWED)
    return folded


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _problem(name: str) -> str:
    if _fold(name) != name:
        return "it has no one spelling"
    letters = [char for char in name if char not in _JOINERS and char not in _DIGITS]
    for char in letters:
        shown = f"U+{ord(char):04X} {unicodedata.name(char, 'without a name')}"
        if unicodedata.category(char)[0] not in "LM" or "FILLER" in shown or "COMBINING" in shown:
            return f"it holds {shown}"
        if _script(char) == "LATIN" and not _daily_latin(char):
            return f"it holds {shown}, which looks like another letter"
    if name[0] in _JOINERS or name[-1] in _JOINERS or unicodedata.category(name[0])[0] == "M":
        return "it must begin and end with a letter or digit"
    scripts = {_script(char) for char in letters}
    if len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER):
        return f"it mixes {' and '.join(sorted(scripts))} letters"
    if letters and all(char in _LOOK_LATIN for char in letters):
        return f"all its {scripts.pop()} letters look like Latin ones"
    return ""


def _script(char: str) -> str:
    """The script, as the first word of the character's name tells it."""
    return unicodedata.name(char, "UNKNOWN").split(" ")[0].split("-")[0]


def _daily_latin(char: str) -> bool:
    return char not in _LATIN_REFUSED and any(low <= ord(char) <= high for low, high in _LATIN_RANGES)
