"""Secrets are removed before anything is recorded, not when it is printed.

Two nets: the values of all known secrets, in the forms in which they travel (plain, URL-encoded in whole or in part,
base64 also inside of something longer, hexadecimal, escaped for JSON or HTML), and names that are known to carry
secrets (headers, query parameters), whatever their value.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

MASK = "[redacted]"
SHORTEST = 4
# Fewer characters of base64, or of a secret that was cut, would be found by chance.
CORE_SHORTEST = 5
CUT_SHORTEST = 3
_NAMES = re.compile(
    r"(^|[-_])(authorization|cookie2?|secret|token|password|passwd|pwd|api[-_]?key|apikey|key|signature|sig|credential"
    r"|jwt|session|otp|auth)s?($|[-_])",
    re.IGNORECASE,
)
_QUERY = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s\"'<>]*)")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
_RUN = re.compile(r"[A-Za-z0-9]+")


class Redactor:
    """Replaces secrets by a mask. Values shorter than four characters are only hidden where a name gives them away."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = [_Known(value) for value in set(values) if len(value) >= SHORTEST]
        # The longest first: a secret may be part of another one.
        self._known = sorted(known, key=lambda one: len(one.value), reverse=True)

    def text(self, text: str, *, cut: bool = False) -> str:
        """`text` without secret values, credentials in URLs, or secret-looking query parameters.

        Args:
            text: anything.
            cut: the text was cut off at its end, so the beginning of a secret may stand there.
        """
        # Most texts hold nothing of the kind, and there are many: a look is cheaper than a pattern.
        lower = text.lower()
        if self._known:
            for known in self._known:
                if known.may_be_in(lower):
                    text = known.pattern.sub(MASK, text)
            if cut:
                text = self._without_beginning(text)
        if "://" in text:
            text = _USERINFO.sub(f"{MASK}@", text)
        if "=" in text:
            text = _QUERY.sub(lambda m: f"{m[1]}{m[2]}={MASK if secret_name(m[2]) else m[3]}", text)
        if "bearer" in lower or "basic" in lower:
            text = _BEARER.sub(lambda m: f"{m[1]} {MASK}", text)
        return text

    def headers(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Header pairs, with the values of secret-looking names masked whole."""
        return tuple((self.text(name), MASK if secret_name(name) else self.text(value)) for name, value in headers)

    def value(self, value: object) -> object:
        """Any JSON value with every text in it redacted, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(k)): MASK if isinstance(v, str) and secret_name(str(k)) else self.value(v)
                for k, v in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def _without_beginning(self, text: str) -> str:
        # A character that was cut in two has been decoded as a replacement.
        whole = text.rstrip("\ufffd")
        starts = [at for known in self._known if (at := known.begins_at_end(whole)) is not None]
        return whole[: min(starts)] + MASK if starts else text


class _Known:
    """One secret value and how it may be written."""

    def __init__(self, value: str) -> None:
        self.value = value
        raw = value.encode("utf-8", "surrogateescape")
        self._spelled = [_spellings(character) for character in value]
        self._packed = sorted({raw.hex(), *_base64_cores(raw)}, key=len, reverse=True)
        spelled = "".join(
            f"(?:{'|'.join(map(re.escape, s))})" if len(s) > 1 else re.escape(s[0]) for s in self._spelled
        )
        self.pattern = re.compile("|".join([spelled, *map(re.escape, self._packed)]), re.IGNORECASE)
        # Letters and digits are written as they are in every spelling: without them the pattern need not be tried.
        run = max(_RUN.findall(value), key=len, default="")
        self._hints = (run.lower(), *(packed.lower() for packed in self._packed))
        self._longest = max(sum(len(s[0]) for s in self._spelled), *(len(packed) for packed in self._packed))

    def may_be_in(self, lower: str) -> bool:
        """A quick look at the text in lower case."""
        return any(hint in lower for hint in self._hints)

    def begins_at_end(self, text: str) -> int | None:
        """Where at the end of `text` a spelling of this secret begins, if one does."""
        for start in range(max(0, len(text) - self._longest), len(text) - CUT_SHORTEST + 1):
            tail = text[start:].lower()
            if self._spells_beginning(tail) or any(packed.lower().startswith(tail) for packed in self._packed):
                return start
        return None

    def _spells_beginning(self, tail: str) -> bool:
        at = 0
        for spellings in self._spelled:
            if at >= len(tail):
                return True
            lower = [one.lower() for one in spellings]
            found = next((one for one in lower if tail.startswith(one, at)), None)
            if found is None:
                return any(one.startswith(tail[at:]) for one in lower)
            at += len(found)
        return False


def secret_name(name: str) -> bool:
    """Whether a header, parameter or key of this name usually carries a secret."""
    return _NAMES.search(name) is not None


def _spellings(character: str) -> list[str]:
    """How one character may be written, the longest first."""
    if character.isascii() and character.isalnum():
        return [character]
    raw = character.encode("utf-8", "surrogateescape")
    # A header's bytes are read as Latin-1, whatever they were meant to be.
    found = {character, quote(raw, safe=""), "".join(f"%{byte:02X}" for byte in raw), raw.decode("latin-1")}
    found |= {
        json.dumps(character)[1:-1],
        json.dumps(character, ensure_ascii=False)[1:-1],
        _HTML.get(character, character),
    }
    found |= {f"&#{ord(character)};", f"&#x{ord(character):x};"}
    if character in "\"'\\/":
        found.add(f"\\{character}")
    if character == " ":
        found.add("+")
    if character == "\n":
        found |= {"\r\n", "\\r\\n", "%0D%0A"}
    return sorted(found, key=len, reverse=True)


def _base64_cores(raw: bytes) -> set[str]:
    """What base64 of any text around `raw` must contain: the characters that `raw` alone decides, at each offset."""
    cores = set()
    for offset in range(3):
        first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        core = base64.b64encode(bytes(offset) + raw).decode()[first:last]
        if len(core) >= CORE_SHORTEST:
            cores |= {core, core.replace("+", "-").replace("/", "_")}
    return cores
