"""Secrets that stand in a text: by the names under which they stand, and by the forms that well-known ones have.

A placeholder is no secret, and neither is what comes from a variable.
"""

from __future__ import annotations

import re

LENGTH_MIN = 6
NAME = re.compile(
    r"(?i)(?:^|[-_.])(?:secret|token|password|passwd|passphrase|pwd|api[-_]?key|access[-_]?key|private[-_]?key|auth)"
    r"(?:$|[-_](?:key|value|id)?$)|^(?:pgpassword|mysql_pwd|authorization|x-api-key|x-auth-token|x-internal-secret)$"
)
_FORMS = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,}|xox[abpr]-[A-Za-z0-9-]{10,}"
    r"|sk-[A-Za-z0-9_-]{20,}|glpat-[A-Za-z0-9_-]{20}|[0-9]{8,10}:[A-Za-z0-9_-]{35})\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_IN_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@$\"'<>{]+:([^\s/@$\"'<>{]+)@", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(?i)[<>{}$*…%]|x{3,}|\.\.\.|change[-_ ]?me|example|your|placeholder|dummy|redacted|secret[-_]?here|^(.)\1*$"
    r"|^(?:secret|token|password|none|null|true|false|test|wrong)$"
)
_SCHEME = re.compile(r"(?i)^(?:bearer|basic|token)\s+")


def looks_secret(name: str, value: str) -> bool:
    """Whether a literal under this name is a secret that somebody wrote down."""
    bare = _SCHEME.sub("", value.strip().strip("\"'"))
    return bool(NAME.search(name)) and len(bare) >= LENGTH_MIN and " " not in bare and not _PLACEHOLDER.search(bare)


def found_in(text: str) -> str:
    """The secret in a text that has the form of one, or stands in an address; empty where there is none."""
    form = _FORMS.search(text)
    if form:
        return form.group()
    address = _IN_ADDRESS.search(text)
    return address.group(1) if address and not _PLACEHOLDER.search(address.group(1)) else ""


def masked(text: str, secret: str) -> str:
    """The text without the secret."""
    return text.replace(secret, "•" * 6) if secret else text
