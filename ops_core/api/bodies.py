"""What may be sent: one strict model a body, read so that no input whatever makes the server fail.

The framework's own way of reading answers 500 to some bodies: numbers that are not finite, halves of surrogate pairs,
deep nesting. So the bytes are read here, and an error says where and what is allowed but never repeats what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ops_core.api.errors import BadRequest

DEPTH_MAX = 20
M = TypeVar("M", bound="Body")
# One line with something in it: no control characters, no line separators, nothing that turns text around.
_BARRED = r"\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069"
_BLANK = r" \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
ONE_LINE = rf"^[^{_BARRED}]*[^{_BARRED}{_BLANK}][^{_BARRED}]*$"
Reason = Annotated[
    str, Field(min_length=1, max_length=500, pattern=ONE_LINE, description="Why; it is recorded. One line.")
]
Hex = Annotated[str, Field(pattern=r"^[0-9a-fA-F]+$", max_length=256)]


class Body(BaseModel):
    """A JSON object with exactly the fields that are named."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


REASON: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 500, "pattern": ONE_LINE}
# Engaging takes no reason or any; releasing needs one.
STOP_CASES: tuple[dict[str, Any], ...] = (
    {"enabled": {"const": True}},
    {"enabled": {"const": False}, "reason": REASON},
)
# Only REAL_ENABLED ends by itself, so only it takes a duration.
GATE_CASES: tuple[dict[str, Any], ...] = (
    {"mode": {"const": "REAL_ENABLED"}},
    {"mode": {"enum": ["DRY_RUN", "MOCK_ONLY"]}, "duration_minutes": {}},
)


class StopBody(Body):
    """Engage or release the emergency stop."""

    enabled: bool = Field(description="true engages, false releases")
    reason: str = Field(default="", description="Why; needed for releasing. For engaging an unfit one is made fit.")

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": True, "reason": "orders look wrong"}]})


class GateBody(Body):
    """Set the execution gate."""

    mode: Literal["MOCK_ONLY", "DRY_RUN", "REAL_ENABLED"]
    reason: Reason
    duration_minutes: Annotated[int, Field(ge=1, le=480, description="REAL_ENABLED only")] | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"mode": "DRY_RUN", "reason": "done for today"}]})


class WindowBody(Body):
    """Ask for a window."""

    duration_minutes: int = Field(default=60, ge=1, le=480)
    reason: Reason

    model_config = ConfigDict(json_schema_extra={"examples": [{"duration_minutes": 60, "reason": "weekly live fire"}]})


class RevokeBody(Body):
    """Revoke the open window."""

    reason: Reason

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "not today"}]})


class ApproveBody(Body):
    """Give one of the two keys: the signature of the token's owner over the window's digest."""

    digest: Hex = Field(description="the permit_digest that was read and is signed, 64 hexadecimal digits")
    signature: Hex = Field(description="Ed25519 over what `signed_text` of the latest approvals says, in hexadecimal")

    model_config = ConfigDict(json_schema_extra={"examples": [{"digest": "00" * 32, "signature": "00" * 64}]})


class SenderBody(Body):
    """Switch the sender on or off."""

    enabled: bool
    reason: Reason
    channel: Literal["CONSOLE_ONLY", "TELEGRAM_ONLY", "NOTIFY_ONLY"] = "CONSOLE_ONLY"

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"enabled": True, "reason": "weekly live fire", "channel": "TELEGRAM_ONLY"}]}
    )


class CycleBody(Body):
    """Run a cycle."""

    slot: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="`now` for the slot that is due; without it the cycle is run by hand"
    )
    request_types: list[Annotated[str, Field(max_length=64)]] | None = Field(
        default=None, max_length=20, description="what is asked for, instead of what is configured"
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class EmptyBody(Body):
    """Nothing to say."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


def reading(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads the body of a request as that model; no body at all is an empty object."""

    async def read(request: Request) -> M:
        raw = await request.body()
        if raw and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadRequest(
                "the body is not JSON", status=415, where="Content-Type header", allowed="application/json"
            )
        try:
            return model.model_validate(parse_json(raw) if raw else {})
        except ValidationError as error:
            raise _told(error, model) from None

    return read


def documented(model: type[Body], *variants: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads this model.

    Args:
        model: what is read.
        variants: where fields depend on each other: for each case the properties that are narrower and needed there, or
            {} for one that it does not have.
    """
    schema = model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    examples = schema.pop("examples")
    needed = bool(schema.get("required"))
    if variants:
        plain = schema.pop("properties")
        must = set(schema.pop("required"))
        closed = schema.pop("additionalProperties")
        schema["type"] = "object"
        schema["oneOf"] = [
            {
                "type": "object",
                "properties": {name: one for name, one in {**plain, **narrower}.items() if one},
                "required": sorted(must | {name for name, one in narrower.items() if one}),
                "additionalProperties": closed,
            }
            for narrower in variants
        ]
    content = {"schema": schema, "examples": {"example": {"value": examples[0]}}}
    return {"requestBody": {"required": needed, "content": {"application/json": content}}}


def _inlined(schema: Any, named: dict[str, Any]) -> Any:
    """The schema with what it refers to in the places of the references: the document has no such names."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        return _inlined(named[name], named) if name in named else {k: _inlined(v, named) for k, v in schema.items()}
    return [_inlined(one, named) for one in schema] if isinstance(schema, list) else schema


def parse_json(raw: bytes) -> Any:
    """The JSON value in those bytes.

    Raises:
        BadRequest: it is not JSON as the standard has it, repeats a key, nests too deeply, or holds half a character.
    """
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique, parse_float=_finite)
        _check(value, 0)
    except (ValueError, RecursionError):
        raise BadRequest(
            "the body is not JSON",
            where="body",
            allowed=f"one JSON object in UTF-8, finite numbers, each key once, at most {DEPTH_MAX} levels deep",
        ) from None
    return value


def _refuse(_constant: str) -> Any:
    raise ValueError("no number")


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError("no finite number")
    # 60.0 is a whole number to JSON; beyond 2^53 nobody knows which.
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _check(value: Any, depth: int) -> None:
    """Refuse what is too deep, and halves of surrogate pairs, which no record could hold."""
    if depth > DEPTH_MAX:
        raise ValueError("too deep")
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, dict):
        for key, one in value.items():
            _check(key, depth + 1)
            _check(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth + 1)


def _told(error: ValidationError, model: type[Body]) -> BadRequest:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    known = set(model.model_fields)
    place = [str(part) for part in first["loc"][:4] if isinstance(part, int) or part in known]
    unknown = first["type"] == "extra_forbidden"
    return BadRequest(
        "the body holds a key that is not known" if unknown else first["msg"][:200],
        status=422,
        where=".".join(["body", *place]),
        allowed=", ".join(known) or "no key at all" if unknown or not place else "see /openapi.json",
    )
