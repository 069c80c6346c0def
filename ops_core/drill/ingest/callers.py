"""Who calls: the API key, or a token that the service's own secret signed.

Tokens are JSON Web Tokens with one fixed algorithm, HS256. What a library would add is the choice of algorithm, and
that choice is what most holes in such libraries were made of; what is left is one HMAC over two parts, and a date.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

TOKEN_BYTES_MAX = 4096


def caller_of(headers: dict[bytes, bytes], api_key: str, jwt_secret: str, now_s: float) -> str | None:
    """A name for whoever makes the request, such as `key` or `jwt:alice`; None for a stranger.

    Args:
        headers: by lower-case name.
        api_key: the key that is accepted.
        jwt_secret: the secret that signs accepted tokens.
        now_s: seconds since 1970.
    """
    given = headers.get(b"x-api-key")
    if given is not None:
        return "key" if hmac.compare_digest(given, api_key.encode()) else None
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() != b"bearer":
        return None
    claims = claims_of(token.strip(), jwt_secret, now_s)
    return None if claims is None else f"jwt:{claims['sub']}"


def claims_of(token: bytes, secret: str, now_s: float) -> dict[str, Any] | None:
    """The claims of a token that is signed with `secret`, names its bearer in `sub` and runs out later; else None."""
    parts = token.split(b".")
    if len(token) > TOKEN_BYTES_MAX or len(parts) != 3:
        return None
    expected = hmac.new(secret.encode(), parts[0] + b"." + parts[1], hashlib.sha256).digest()
    try:
        # Nothing of a token is read before its signature is known to be ours.
        if not hmac.compare_digest(_decoded(parts[2]), expected):
            return None
        header, claims = json.loads(_decoded(parts[0])), json.loads(_decoded(parts[1]))
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(header, dict) or header.get("alg") != "HS256" or not isinstance(claims, dict):
        return None
    subject, ends_s = claims.get("sub"), claims.get("exp")
    if not isinstance(subject, str) or not 0 < len(subject) <= 64:
        return None
    if isinstance(ends_s, bool) or not isinstance(ends_s, int | float) or not now_s < ends_s:
        return None
    return claims


def token_for(subject: str, secret: str, ends_s: float) -> str:
    """A token for `subject` that is good until `ends_s` (seconds since 1970)."""
    head = _encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _encoded(json.dumps({"sub": subject, "exp": ends_s}).encode())
    signature = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(part: bytes) -> bytes:
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
