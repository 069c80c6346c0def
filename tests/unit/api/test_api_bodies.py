"""Reading bodies: strict models, and no input that could make the server fail."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from ops_core.api.bodies import DEPTH_MAX, ApproveBody, Body, GateBody, SenderBody, StopBody, parse_json, reading
from ops_core.api.errors import BadRequest

MODELS: tuple[type[Body], ...] = (StopBody, GateBody, SenderBody, ApproveBody)
SECRET = "hunter2-hunter2"


def request_with(raw: bytes, content_type: str | None = "application/json") -> Request:
    """A request that carries those bytes."""
    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}, receive)


def read(model: type[Body], raw: bytes, content_type: str | None = "application/json") -> Body:
    """The body, read as that model."""
    return asyncio.run(reading(model)(request_with(raw, content_type)))


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"\xff\xfe{}",
        b'{"enabled": NaN}',
        b'{"enabled": Infinity}',
        b'{"enabled": 1e999}',
        b'{"reason": "\\ud800"}',
        b'{"\\udfff": true}',
        b'{"enabled": true, "enabled": false}',
        b"[" * 100_000,
        b'{"a":' * (DEPTH_MAX + 2) + b"1" + b"}" * (DEPTH_MAX + 2),
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"enabled": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    """With a 400 that names the body, whatever is wrong with the bytes."""
    with pytest.raises(BadRequest) as refused:
        parse_json(raw)
    assert (refused.value.status, refused.value.where) == (400, "body")


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"null", b"1", b"true"])
def test_json_that_is_no_object_is_refused(raw: bytes) -> None:
    """A body is an object."""
    with pytest.raises(BadRequest) as refused:
        read(StopBody, raw)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("model", "sent", "where"),
    [
        (StopBody, {"enabled": "yes"}, "body.enabled"),
        (StopBody, {"enabled": 1}, "body.enabled"),
        (StopBody, {}, "body.enabled"),
        (StopBody, {"enabled": True, "resaon": SECRET}, "body"),
        (GateBody, {"mode": "REAL", "reason": "r"}, "body.mode"),
        (GateBody, {"mode": "DRY_RUN", "reason": ""}, "body.reason"),
        (GateBody, {"mode": "REAL_ENABLED", "reason": "r", "duration_minutes": 481}, "body.duration_minutes"),
        (GateBody, {"mode": "REAL_ENABLED", "reason": "r", "duration_minutes": 1.5}, "body.duration_minutes"),
        (GateBody, {"mode": "REAL_ENABLED", "reason": "r", "duration_minutes": True}, "body.duration_minutes"),
        (SenderBody, {"enabled": True, "reason": "r", "channel": "MAIL"}, "body.channel"),
        (ApproveBody, {"digest": "zz", "signature": "00"}, "body.digest"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(model: type[Body], sent: dict[str, Any], where: str) -> None:
    """By its place, with a 422, and without repeating it."""
    with pytest.raises(BadRequest) as refused:
        read(model, json.dumps(sent).encode())
    assert (refused.value.status, refused.value.where) == (422, where)
    assert SECRET not in str(refused.value)
    assert "resaon" not in str(refused.value)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_kind_of_body_is_refused(content_type: str | None) -> None:
    """A form that a page of another site could send without asking is no request."""
    with pytest.raises(BadRequest) as refused:
        read(StopBody, b'{"enabled": true}', content_type)
    assert refused.value.status == 415


def test_a_charset_beside_the_kind_is_allowed() -> None:
    """`application/json; charset=utf-8` is JSON."""
    assert read(StopBody, b'{"enabled": true}', "application/json; charset=utf-8") == StopBody(enabled=True)


def test_every_example_is_what_its_model_takes() -> None:
    """The examples of the published interface can be sent as they stand."""
    for model in MODELS:
        for example in model.model_json_schema()["examples"]:
            assert read(model, json.dumps(example).encode()).model_dump(exclude_unset=True) == example


@given(raw=st.binary(max_size=200))
def test_no_bytes_make_reading_fail(raw: bytes) -> None:
    """A body is read or refused with a 4xx."""
    for model in MODELS:
        try:
            read(model, raw)
        except BadRequest as refused:
            assert 400 <= refused.status < 500


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=20,
    )
)
def test_no_value_makes_reading_fail(value: Any) -> None:
    """Nor does any JSON value, in the place of the body or of a field."""
    for sent in (value, {"enabled": value, "reason": value}, {"enabled": True, "reason": value}):
        try:
            read(StopBody, json.dumps(sent).encode("utf-8", "surrogatepass"))
        except BadRequest as refused:
            assert 400 <= refused.status < 500
