"""Text from elsewhere made safe to show, and measured as a terminal measures it.

What a target answered is written by whoever holds the target. It may carry terminal escapes, line breaks, or characters
that turn the reading direction around. `visible` shows such characters instead of obeying them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

# Controls, formats (bidi overrides, zero-width joiners, tags), lone surrogates, private use, line separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Letters and symbols that show as nothing, although their category says they would.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
COMBINING_MAX = 4


def visible(text: str) -> str:
    r"""`text` on one line, with every character that would act or hide shown as an escape such as `\n` or `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    combining = 0
    for char in text:
        category = unicodedata.category(char)
        combining = combining + 1 if category in ("Mn", "Me") else 0
        if category in _HIDDEN or char in _BLANK or combining > COMBINING_MAX:
            shown.append(_escape(char))
        else:
            shown.append(char)
    return "".join(shown)


def ascii_only(text: str) -> str:
    """`text` for a terminal that shows ASCII alone; our own punctuation becomes its plain counterpart."""
    plain = text.replace("…", "...").replace("·", "-").replace("→", "->").replace("—", "-")
    return "".join(char if char.isascii() else _escape(char) for char in plain)


def shortened(text: str, limit: int) -> str:
    """`text`, or its beginning with a note of how many characters are left out. Accents are not cut off."""
    if len(text) <= limit:
        return text
    end = limit
    while end > 0 and unicodedata.combining(text[end]):
        end -= 1
    return f"{text[:end]}… (+{len(text) - end})"


def display_width(text: str) -> int:
    """How many terminal columns `text` takes: East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def pad(text: str, width: int) -> str:
    """`text` filled with spaces to `width` columns; longer text stays as it is."""
    return text + " " * max(0, width - display_width(text))


def wrap(text: str, width: int) -> list[str]:
    """`text` broken into lines of at most `width` columns: at spaces where there are any, else inside the word.

    The lines hold all of the text except the spaces at which it was broken. There is always at least one line.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        candidate = f"{line} {word}" if line else word
        if display_width(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        *full, line = _chunks(word, width)
        lines.extend(full)
    return [*lines, line]


def duration(seconds: float, translate: Callable[[str], str], digits: int = 3) -> str:
    """A length of time in words, exact to `digits` decimals of a second: `1 h 2 min 3.04 s`, `45 s`, `60 s`.

    What happened took time: a length that would be rounded to nothing gets the decimals it needs, up to three.
    """
    from ops_core.report import words

    while round(abs(seconds) * 10**digits) == 0 and digits < 3:
        digits += 1
    ticks = round(abs(seconds) * 10**digits)
    whole, rest = divmod(ticks, 10**digits)
    hours, minutes, left = whole // 3600, whole % 3600 // 60, whole % 60
    if ticks <= 60 * 10**digits:
        minutes, left = 0, whole
    exact = f"{left}.{rest:0{digits}d}".rstrip("0").rstrip(".") if digits else str(left)
    parts = []
    if hours:
        parts.append(translate(words.HOURS) % {"n": hours})
    if minutes:
        parts.append(translate(words.MINUTES) % {"n": minutes})
    if exact != "0" or not parts:
        parts.append(translate(words.SECONDS) % {"n": exact})
    return ("-" if seconds < 0 and ticks else "") + " ".join(parts)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _chunks(word: str, width: int) -> list[str]:
    chunks, used = [""], 0
    for char in word:
        columns = _columns(char)
        if chunks[-1] and used + columns > width:
            chunks.append("")
            used = 0
        chunks[-1] += char
        used += columns
    return chunks
