"""Who may call the reference service: keys and tokens."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_core.drill.ingest.callers import caller_of, claims_of, token_for

SECRET = "a secret of the tests with enough bytes"
NOW = 1_800_000_000.0


def signed(header, claims, secret=SECRET):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.new(secret.encode(), b".".join(parts), hashlib.sha256).digest()
    return b".".join((*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")))


GOOD = {"sub": "alice", "exp": NOW + 60}


def test_a_token_that_we_signed_names_its_bearer():
    """Until it runs out."""
    token = token_for("alice", SECRET, NOW + 60).encode()
    headers = {b"authorization": b"Bearer " + token}
    assert caller_of(headers, "key", SECRET, NOW) == "jwt:alice"
    assert caller_of(headers, "key", SECRET, NOW + 60) is None


@pytest.mark.parametrize(
    "token",
    [
        signed({"alg": "none"}, GOOD),
        signed({"alg": "HS512"}, GOOD),
        signed({"alg": "HS256"}, GOOD, secret="another"),
        signed({"alg": "HS256"}, {"sub": "alice"}),
        signed({"alg": "HS256"}, {"sub": "alice", "exp": True}),
        signed({"alg": "HS256"}, {"sub": "alice", "exp": "tomorrow"}),
        signed({"alg": "HS256"}, {"sub": 1, "exp": NOW + 60}),
        signed({"alg": "HS256"}, {"sub": "x" * 65, "exp": NOW + 60}),
        signed({"alg": "HS256"}, {"sub": "alice", "exp": float("nan")}),
        signed([], GOOD),
        signed({"alg": "HS256"}, []),
        signed({"alg": "HS256"}, GOOD) + b"\xff",
        signed({"alg": "HS256"}, GOOD).rpartition(b".")[0] + b".",
        signed({"alg": "HS256"}, {**GOOD, "more": "x" * 5000}),
        b"..",
        b"",
    ],
)
def test_anything_else_is_no_token(token):
    """Another algorithm, another secret, no end, no bearer, too long, or no token at all."""
    assert claims_of(token, SECRET, NOW) is None


@given(st.binary(max_size=200))
def test_no_bytes_are_a_token(token):
    """Whatever a stranger sends is refused without an error."""
    assert claims_of(token, SECRET, NOW) is None


def test_a_wrong_key_is_not_made_up_for_by_a_token():
    """Who brings a key is judged by it."""
    token = token_for("alice", SECRET, NOW + 60).encode()
    headers = {b"x-api-key": b"wrong", b"authorization": b"Bearer " + token}
    assert caller_of(headers, "key", SECRET, NOW) is None
    assert caller_of({b"x-api-key": b"key"}, "key", SECRET, NOW) == "key"
    assert caller_of({b"x-api-key": "schlüssel".encode()}, "key", SECRET, NOW) is None
    assert caller_of({}, "key", SECRET, NOW) is None
