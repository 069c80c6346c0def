"""Secrets are removed before anything is recorded, not when it is printed.

Two nets: the values of all known secrets, in the forms in which they travel (plain, URL-encoded, base64, JSON-escaped),
and names that are known to carry secrets (headers, query parameters), whatever their value.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "[redacted]"
SHORTEST = 4
_NAMES = re.compile(
    r"(^|[-_])(authorization|cookie2?|secret|token|password|passwd|pwd|api[-_]?key|apikey|key|signature|sig|credential|jwt|session"
    r"|otp|auth)s?($|[-_])",
    re.IGNORECASE,
)
_QUERY = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s\"'<>]*)")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)


class Redactor:
    """Replaces secrets by a mask. Values shorter than four characters are only hidden where a name gives them away."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for value in values:
            if len(value) < SHORTEST:
                continue
            raw = value.encode()
            forms |= {value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1]}
            forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex()}
            forms |= {base64.b64encode(raw).decode().rstrip("="), base64.b64encode(b":" + raw).decode()}
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if ordered else None

    def text(self, text: str) -> str:
        """`text` without secret values, credentials in URLs, or secret-looking query parameters."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        if "://" in text:
            text = _USERINFO.sub(f"{MASK}@", text)
        if "=" in text:
            text = _QUERY.sub(lambda m: f"{m[1]}{m[2]}={MASK if secret_name(m[2]) else m[3]}", text)
        return _BEARER.sub(lambda m: f"{m[1]} {MASK}", text)

    def headers(self, headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Header pairs, with the values of secret-looking names masked whole."""
        return tuple((name, MASK if secret_name(name) else self.text(value)) for name, value in headers)

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


def secret_name(name: str) -> bool:
    """Whether a header, parameter or key of this name usually carries a secret."""
    return _NAMES.search(name) is not None
